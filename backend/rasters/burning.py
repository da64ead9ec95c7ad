"""Polygons, in pixel coordinates, burnt into masks at full resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, floor

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

_HAIR = 1e-4  # pixels
_CHUNK = 1024  # pixels; large polygons are looked at in windows of this side


def burn_polygon(polygon: BaseGeometry, window: Window, thin: bool | None = None) -> NDArray[np.bool_]:
    """Burn one polygon, in pixel coordinates, into a window.

    A pixel belongs to a polygon when its centre lies inside; a polygon that holds no pixel centre takes every pixel
    that it touches, so that it still counts.

    Args:
        polygon: The polygon, whole.
        window: In pixels.
        thin: What :func:`is_thin` said, where it was asked before.
    """
    return _burn(polygon, window, is_thin(polygon) if thin is None else thin)


def is_thin(polygon: BaseGeometry) -> bool:
    """Whether a polygon, which may be long, holds no pixel centre."""
    if polygon.is_empty:
        return True
    return not any(_burn(polygon, window, touched=False).any() for window in _places(polygon))


def pixel_bounds(polygon: BaseGeometry) -> tuple[int, int, int, int]:
    """The pixels around a polygon: left, top, right, bottom; the last two are beyond it."""
    left, top, right, bottom = polygon.bounds
    return floor(left), floor(top), max(ceil(right), floor(left) + 1), max(ceil(bottom), floor(top) + 1)


def find_rivals(
    polygons: Sequence[BaseGeometry], labels: Sequence[int], thin: Sequence[bool]
) -> dict[int, list[int]]:
    """For each polygon, those of another class with which it shares a pixel; polygons of none are left out.

    Args:
        polygons: In pixel coordinates.
        labels: Class of each polygon.
        thin: What :func:`is_thin` says of each.
    """
    # A thin polygon takes whole pixels, so it may share one with a polygon that it does not touch.
    areas = [shapely.box(*pixel_bounds(p)) if t else p for p, t in zip(polygons, thin, strict=True)]
    tree = shapely.STRtree(areas)
    pairs = tree.query(areas, predicate="intersects").T.tolist()
    rivals: dict[int, list[int]] = {}
    for a, b in pairs:
        if a < b and labels[a] != labels[b] and _share_pixel(polygons[a], polygons[b], thin[a], thin[b]):
            rivals.setdefault(a, []).append(b)
            rivals.setdefault(b, []).append(a)
    return rivals


def overlap_visibly(a: BaseGeometry, b: BaseGeometry) -> bool:
    """Whether rivals are worth a word: not when they only have an edge in common.

    Reprojection leaves a hair of overlap along it, which holds pixel centres where the edge runs through them.
    """
    common = shapely.intersection(a, b)
    return bool(common.area > _HAIR * common.length) or common.is_empty


def _share_pixel(a: BaseGeometry, b: BaseGeometry, thin_a: bool, thin_b: bool) -> bool:
    if not (thin_a or thin_b):
        common = shapely.intersection(a, b)
        return bool(common.area > 0) and not is_thin(polygonal(common))
    (left, top, right, bottom), other = pixel_bounds(a), pixel_bounds(b)
    common_pixels = max(left, other[0]), max(top, other[1]), min(right, other[2]), min(bottom, other[3])
    return any((_burn(a, place, thin_a) & _burn(b, place, thin_b)).any() for place in _chunks(*common_pixels))


def polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """The part of a geometry that has an area."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.union_all([part for part in parts if part.geom_type == "Polygon"])


def _places(polygon: BaseGeometry) -> Iterator[Window]:
    """Windows that cover a polygon, after one where a pixel centre is likely."""
    left, top, right, bottom = pixel_bounds(polygon)
    if max(right - left, bottom - top) > 64:
        x, y = polygon.representative_point().coords[0]
        yield Window(floor(x) - 1, floor(y) - 1, 3, 3)
    yield from _chunks(left, top, right, bottom)


def _chunks(left: int, top: int, right: int, bottom: int) -> Iterator[Window]:
    for y in range(top, bottom, _CHUNK):
        for x in range(left, right, _CHUNK):
            yield Window(x, y, min(_CHUNK, right - x), min(_CHUNK, bottom - y))


def _burn(polygon: BaseGeometry, window: Window, touched: bool) -> NDArray[np.bool_]:
    shape = int(window.height), int(window.width)
    if polygon.is_empty:
        return np.zeros(shape, bool)
    transform = Affine.translation(window.col_off, window.row_off)
    burnt = rasterize([polygon], shape, transform=transform, dtype="uint8", all_touched=touched)
    mask: NDArray[np.bool_] = burnt.astype(bool)
    return mask
