"""Fewer points for polygons along pixel edges, without gaps or overlaps between neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import shapely
from numpy.typing import NDArray

Chunk = tuple[NDArray[np.int32], NDArray[np.object_]]
_TOGETHER = 100_000  # polygons that are simplified at once; more would take too much memory
_PART = 5_000  # polygons whose edges are cut at every pixel at once
_ROW = 1 << 32


def can_simplify() -> bool:
    """Whether the libraries at hand can do it: Shapely 2.1 with GEOS 3.12, or newer."""
    return hasattr(shapely, "coverage_simplify") and shapely.geos_version >= (3, 12, 0)


def simplified(chunks: Iterable[Chunk], tolerance: float) -> Iterator[Chunk]:
    """Simplify ids and polygons that come some at a time.

    Where they are too many to be simplified all at once, the edges between those that are not keep their points.

    Args:
        chunks: Polygons along pixel edges, in whole pixels.
        tolerance: Pixels; corners that cut off less than its square are left out (Visvalingam and Whyatt, 1993).
    """
    groups = _grouped(chunks)
    begin = list(filter(None, (next(groups, None), next(groups, None))))
    for ids, polygons in chain(begin, groups):
        shared = _with_shared_points(polygons)
        result = shapely.coverage_simplify(shared, tolerance, simplify_boundary=len(begin) == 1)
        yield ids, np.asarray(result, object)


def _grouped(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    held: list[Chunk] = []
    for chunk in chunks:
        held.append(chunk)
        if sum(len(ids) for ids, _ in held) >= _TOGETHER:
            yield joined(held)
            held = []
    if held:
        yield joined(held)


def joined(chunks: Iterable[Chunk]) -> Chunk:
    """Put chunks together."""
    ids, polygons = zip(*chunks, strict=True)
    return np.concatenate(ids), np.concatenate(polygons)


def _with_shared_points(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Add to each polygon the corners of its neighbours that lie on its edges: a coverage needs them in both."""
    corners = np.unique(_keys(shapely.get_coordinates(polygons).astype(np.int64)))
    parts = [polygons[start : start + _PART] for start in range(0, len(polygons), _PART)]
    return np.concatenate([_cut(part, corners) for part in parts]) if parts else polygons


def _cut(polygons: NDArray[np.object_], corners: NDArray[np.int64]) -> NDArray[np.object_]:
    rings, owner = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    here = np.flatnonzero(ring[1:] == ring[:-1])  # segments by their first point
    points = points.astype(np.int64)
    step = points[here + 1] - points[here]
    length = np.abs(step).sum(axis=1)  # they run along rows or columns
    segment = np.repeat(np.arange(len(here)), length)
    along = np.arange(len(segment)) - np.repeat(np.cumsum(length) - length, length)
    dense = points[here][segment] + np.sign(step)[segment] * along[:, None]
    kept = np.isin(_keys(dense), corners)
    closed = shapely.linearrings(dense[kept].astype(np.float64), indices=ring[here][segment][kept])
    return np.asarray(shapely.polygons(closed, indices=owner), object)


def _keys(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each point of shape (n, 2)."""
    return points[:, 1] * _ROW + points[:, 0]
