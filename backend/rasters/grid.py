"""The feature grid: where features lie on the raster, and the tiles that cover it.

A feature cell is ``cell`` raster pixels wide, whatever the scale, so that the windows of neighbouring tiles share one
grid and their scores blend cell by cell, long before anything is brought to full resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import floor

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window


@dataclass(frozen=True)
class Tile:
    """A rectangle of feature cells, encoded at once.

    Attributes:
        row, col: Position in the tile grid.
        y0, y1, x0, x1: Cells [y0, y1) x [x0, x1).
    """

    row: int
    col: int
    y0: int
    y1: int
    x0: int
    x1: int


@dataclass(frozen=True)
class FeatureGrid:
    """Cells and tiles over a part of a raster.

    Attributes:
        left, top: The part's first pixel.
        width, height: The part's size in pixels.
        cell: Raster pixels per cell side.
        first_center: Where the first cell's feature is centred, in pixels from the part's edge.
        tile_cells: Cells per tile side at most.
        trim: Cells at a tile's inner edges whose features the tile's padding spoils; they count for nothing.
        ramp: Cells over which the scores of neighbouring tiles are blended.
    """

    left: int
    top: int
    width: int
    height: int
    cell: int
    first_center: float
    tile_cells: int = 88
    trim: int = 8
    ramp: int = 4

    @property
    def overlap(self) -> int:
        """Cells that neighbouring tiles share."""
        return 2 * self.trim + self.ramp

    @property
    def rows(self) -> int:
        """Cells from top to bottom; the last may reach over the edge."""
        return -(-self.height // self.cell)

    @property
    def cols(self) -> int:
        """Cells from left to right."""
        return -(-self.width // self.cell)

    @cached_property
    def row_spans(self) -> list[tuple[int, int]]:
        """Cells [start, stop) of each row of tiles."""
        return cover(self.rows, self.tile_cells, self.overlap)

    @cached_property
    def col_spans(self) -> list[tuple[int, int]]:
        """Cells [start, stop) of each column of tiles."""
        return cover(self.cols, self.tile_cells, self.overlap)

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        for row, (y0, y1) in enumerate(self.row_spans):
            for col, (x0, x1) in enumerate(self.col_spans):
                yield Tile(row, col, y0, y1, x0, x1)

    @property
    def tile_count(self) -> int:
        """How many tiles there are."""
        return len(self.row_spans) * len(self.col_spans)

    def pixels(self, tile: Tile) -> Window:
        """The raster window under a tile, cut at the part's edge."""
        x0, y0 = self.left + tile.x0 * self.cell, self.top + tile.y0 * self.cell
        x1 = min(self.left + tile.x1 * self.cell, self.left + self.width)
        y1 = min(self.top + tile.y1 * self.cell, self.top + self.height)
        return Window(x0, y0, x1 - x0, y1 - y0)

    def weights(self, tile: Tile) -> NDArray[np.float32]:
        """Blending weights of a tile's cells with shape (y1 - y0, x1 - x0); those of all tiles add up to 1."""
        vertical = self._share(self.row_spans, tile.row)
        horizontal = self._share(self.col_spans, tile.col)
        return np.outer(vertical, horizontal).astype(np.float32)

    def final_rows(self, tile_row: int) -> int:
        """Cells from the top whose scores no later row of tiles changes, once this one is done."""
        if tile_row + 1 >= len(self.row_spans):
            return self.rows
        return self.row_spans[tile_row + 1][0] + self.trim

    def core(self, tile: Tile) -> Tile:
        """The cells of a tile that count for something."""
        y0, y1 = self._inner(self.row_spans, tile.row)
        x0, x1 = self._inner(self.col_spans, tile.col)
        return Tile(tile.row, tile.col, y0, y1, x0, x1)

    def tiles_over(self, rows: tuple[int, int], cols: tuple[int, int]) -> list[Tile]:
        """The tiles whose cores hold any of the cells [start, stop) of each axis."""
        down = [row for row, span in enumerate(self.row_spans) if _meet(span, rows)]
        across = [col for col, span in enumerate(self.col_spans) if _meet(span, cols)]
        tiles = [Tile(r, c, *self.row_spans[r], *self.col_spans[c]) for r in down for c in across]
        cores = map(self.core, tiles)
        return [
            tile
            for tile, core in zip(tiles, cores, strict=True)
            if _meet((core.y0, core.y1), rows) and _meet((core.x0, core.x1), cols)
        ]

    def cells_around(self, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
        """The cells [start, stop) of each axis that interpolating a window of raster pixels needs."""
        spans = []
        for first, size, count in (
            (int(window.row_off) - self.top, int(window.height), self.rows),
            (int(window.col_off) - self.left, int(window.width), self.cols),
        ):
            start = floor((first + 0.5 - self.first_center) / self.cell)
            stop = floor((first + size - 0.5 - self.first_center) / self.cell) + 2
            spans.append((min(max(start, 0), count - 1), min(max(stop, 1), count)))
        return spans[0], spans[1]

    def interpolation(
        self, pixels: tuple[int, int], cells: tuple[int, int], step: int = 1
    ) -> NDArray[np.float32]:
        """Linear interpolation along one axis, from cells to pixel centres.

        Upsampling an image is ``A_y @ image @ A_x.T``. The transposed product takes a full-resolution mask to
        weights on the cells: pooling features with them is exactly pooling the upsampled features with the mask.

        Args:
            pixels: Pixels [start, stop) relative to the part.
            cells: Cells [start, stop) that are at hand; beyond the first and last one their value is kept.
            step: Pixels that are averaged to one; the interpolation is to the centres of these.

        Returns:
            The matrix with shape (pixels / step, cells); each row adds up to 1.
        """
        (p0, p1), (c0, c1) = pixels, cells
        position = (np.arange(p0, p1, step) + 0.5 * step - self.first_center) / self.cell
        position = np.clip(position, c0, c1 - 1) - c0
        lower = np.minimum(position.astype(int), max(c1 - c0 - 2, 0))
        fraction = (position - lower).astype(np.float32)
        matrix = np.zeros((len(position), c1 - c0), np.float32)
        index = np.arange(len(position))
        matrix[index, lower] = 1.0 - fraction
        if c1 - c0 > 1:
            matrix[index, lower + 1] = fraction
        return matrix

    def _share(self, spans: list[tuple[int, int]], position: int) -> NDArray[np.float64]:
        """A tile's share along one axis: its trapezoid over the sum of all trapezoids there."""
        start, stop = spans[position]
        own = self._trapezoid(spans, position)
        total = own.copy()
        for other in range(len(spans)):
            begin, end = max(start, spans[other][0]), min(stop, spans[other][1])
            if other != position and begin < end:
                shape = self._trapezoid(spans, other)
                total[begin - start : end - start] += shape[begin - spans[other][0] : end - spans[other][0]]
        share: NDArray[np.float64] = own / total
        return share

    def _inner(self, spans: list[tuple[int, int]], position: int) -> tuple[int, int]:
        """The cells [start, stop) of a tile along one axis whose share is above 0."""
        start, stop = spans[position]
        first = start + (self.trim if position > 0 else 0)
        return first, stop - (self.trim if position < len(spans) - 1 else 0)

    def _trapezoid(self, spans: list[tuple[int, int]], position: int) -> NDArray[np.float64]:
        start, stop = spans[position]
        shape = np.ones(stop - start)
        slope = np.clip((np.arange(stop - start) + 1.0 - self.trim) / (self.ramp + 1.0), 0.0, 1.0)
        if position > 0:
            shape = np.minimum(shape, slope)
        if position < len(spans) - 1:
            shape = np.minimum(shape, slope[::-1])
        return shape


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def cover(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Cover 0..length with the fewest spans of at most ``size`` that overlap by at least ``overlap``.

    The spans are made equally long, so that none is nearly all overlap.

    Raises:
        ValueError: When spans of this size cannot advance.
    """
    if length <= size:
        return [(0, length)]
    if size <= 2 * overlap:
        raise ValueError(f"Tiles of {size} cells are too small for an overlap of {overlap}.")
    count = -(-(length - overlap) // (size - overlap))
    even = -(-(length + (count - 1) * overlap) // count)
    starts = [round(i * (length - even) / (count - 1)) for i in range(count)]
    return [(start, start + even) for start in starts]
