"""Patches, the small squares of feature cells that a preview keeps, and the windows they are encoded in.

A run over a whole raster encodes large tiles that overlap. A preview wants cells here and there: what is in view, and
around each support polygon. It keeps them by patch, so that a next view takes what it shares with the last one, and
encodes the missing ones in few windows that fit them closely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from ..rasters.grid import FeatureGrid, Tile

SIDE = 8  # cells; smaller ones fit closer, but each takes its time

Rectangle = tuple[int, int, int, int]  # patches: top, left, bottom, right


def patch_at(grid: FeatureGrid, row: int, col: int) -> Tile:
    """A patch by its position."""
    y, x = row * SIDE, col * SIDE
    return Tile(row, col, y, min(y + SIDE, grid.rows), x, min(x + SIDE, grid.cols))


def patches_over(grid: FeatureGrid, rows: tuple[int, int], cols: tuple[int, int]) -> list[Tile]:
    """The patches that hold any of the cells [start, stop) of each axis."""
    return [
        patch_at(grid, row, col)
        for row in range(rows[0] // SIDE, -(-rows[1] // SIDE))
        for col in range(cols[0] // SIDE, -(-cols[1] // SIDE))
    ]


def patches_in(grid: FeatureGrid, window: Tile) -> Iterator[Tile]:
    """The patches whose features a window shows well: those that are not in its margin."""
    top, left = _behind_margin(grid, window.y0), _behind_margin(grid, window.x0)
    bottom = window.y1 - grid.trim if window.y1 < grid.rows else window.y1
    right = window.x1 - grid.trim if window.x1 < grid.cols else window.x1
    yield from patches_over(grid, (top, bottom), (left, right))


def plan(grid: FeatureGrid, wanted: Sequence[Tile]) -> list[Tile]:
    """Windows to be encoded, so that each wanted patch is in one; in the order of the patches."""
    margin = -(-grid.trim // SIDE)
    most = max((grid.tile_cells - 2 * grid.trim) // SIDE, 1)
    order = {(patch.row, patch.col): position for position, patch in reversed(list(enumerate(wanted)))}
    pieces = [piece for area in merged(rectangles(order), margin) for piece in split(area, most)]

    def first(piece: Rectangle) -> int:
        top, left, bottom, right = piece
        inside = (order.get((row, col)) for row in range(top, bottom) for col in range(left, right))
        return min((position for position in inside if position is not None), default=-1)

    placed = sorted((position, piece) for piece in pieces if (position := first(piece)) >= 0)
    return [_window(grid, piece) for _, piece in placed]


def rectangles(places: Iterable[tuple[int, int]]) -> list[Rectangle]:
    """Cut a set of positions (row, column) into rectangles."""
    done: list[Rectangle] = []
    above: dict[
        tuple[int, int], int
    ] = {}  # first row of the rectangles that reach the row before, by their columns
    last = -2
    for row, group in groupby(sorted(places), key=lambda place: place[0]):
        spans = _spans([col for _, col in group])
        top = {span: above.pop(span) for span in spans if row == last + 1 and span in above}
        done += [(first, left, last + 1, right) for (left, right), first in above.items()]
        above, last = {span: top.get(span, row) for span in spans}, row
    return done + [(first, left, last + 1, right) for (left, right), first in above.items()]


def merged(areas: Iterable[Rectangle], margin: int) -> list[Rectangle]:
    """Put rectangles together as long as one window around two is less than two windows, with their margins."""
    kept = np.empty((0, 4), int)
    for area in areas:
        own = np.array(area)
        while len(kept):
            both = np.hstack([np.minimum(kept[:, :2], own[:2]), np.maximum(kept[:, 2:], own[2:])])
            gain = _cost(kept, margin) + _cost(own[None], margin) - _cost(both, margin)
            best = int(gain.argmax())
            if gain[best] < 0:
                break
            own, kept = both[best], np.delete(kept, best, axis=0)
        kept = np.vstack([kept, own])
    return [(top, left, bottom, right) for top, left, bottom, right in kept.tolist()]


def split(area: Rectangle, most: int) -> list[Rectangle]:
    """Cut a rectangle into nearly equal ones of at most ``most`` by ``most``."""
    top, left, bottom, right = area
    rows, cols = _cuts(top, bottom, most), _cuts(left, right, most)
    return [(y0, x0, y1, x1) for y0, y1 in pairwise(rows) for x0, x1 in pairwise(cols)]


def _cuts(start: int, stop: int, most: int) -> list[int]:
    count = -(-(stop - start) // most)
    return [start + (stop - start) * number // count for number in range(count + 1)]


def _spans(cols: Sequence[int]) -> list[tuple[int, int]]:
    """Runs [start, stop) of neighbouring columns."""
    values = np.array(cols)
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs]


def _cost(areas: NDArray[np.int_], margin: int) -> NDArray[np.int_]:
    """The sizes of their windows."""
    size = areas[:, 2:] - areas[:, :2] + 2 * margin
    return size[:, 0] * size[:, 1]


def _window(grid: FeatureGrid, piece: Rectangle) -> Tile:
    """The cells of a rectangle of patches with the margin that the encoder's padding spoils."""
    top, left, bottom, right = piece
    y0, x0 = max(top * SIDE - grid.trim, 0), max(left * SIDE - grid.trim, 0)
    y1, x1 = min(bottom * SIDE + grid.trim, grid.rows), min(right * SIDE + grid.trim, grid.cols)
    return Tile(top, left, y0, y1, x0, x1)


def _behind_margin(grid: FeatureGrid, start: int) -> int:
    return start + grid.trim if start > 0 else 0
