"""Draws the support polygons an analyst would click: few, small, irregular and well inside their object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt
from shapely import Polygon
from shapely.affinity import affine_transform, scale
from shapely.ops import substring

from backend.sample.features import Landscape, SampleClass

_PURITY = 0.97
_MIN_PIXELS = 8
_CANDIDATES = 160
_SHADE = 0.62
_PER_CLASS = 6


@dataclass(frozen=True)
class SupportPolygon:
    """One polygon in pixel coordinates (x = column, y = row, origin upper left) and its class."""

    shape: Polygon
    label: SampleClass


def draw_support(
    land: Landscape,
    picture: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    pixel_size: float,
    rng: np.random.Generator,
) -> tuple[SupportPolygon, ...]:
    """Draws up to six polygons per class, of what looks different and apart from each other.

    Args:
        land: The landscape, for the courses of roads and the plans of buildings.
        picture: The rendered picture, uint8 (3, rows, columns).
        truth: Classes, uint8 (rows, columns), 255 where there is none.
        pixel_size: Metres per pixel.
        rng: Source of all randomness.

    Returns:
        The polygons; a class without an object large enough gets none.
    """
    chosen: list[SupportPolygon] = []
    for label, local in zip(SampleClass, rng.spawn(len(SampleClass)), strict=True):
        if label is SampleClass.ROAD:
            shapes = _on_roads(land, pixel_size, local)
        elif label is SampleClass.BUILDING:
            shapes = _on_roofs(land, pixel_size, local)
        else:
            shapes = _in_areas(truth == label, pixel_size, local)
        # Nobody clicks in a shadow next to sunlit ground; canopy and roofs have shade of their own.
        mottled = label in (SampleClass.FOREST, SampleClass.BUILDING)
        shade = 0.0 if mottled else _SHADE * _typical_brightness(picture, truth == label)
        candidates: list[Polygon] = []
        features: list[NDArray[np.float64]] = []
        for shape in shapes:
            colour = _pure_colour(shape, label, picture, truth, shade)
            if colour is not None:
                candidates.append(shape)
                place = np.array([shape.centroid.x, shape.centroid.y]) / max(truth.shape)
                features.append(np.concatenate([0.7 * place, colour / 40.0]))
        chosen += [SupportPolygon(candidates[i], label) for i in _spread(features, candidates)]
    return tuple(chosen)


def _in_areas(where: NDArray[np.bool_], pixel_size: float, rng: np.random.Generator) -> Iterator[Polygon]:
    """Yields irregular polygons of 5 to 9 corners that keep clear of the edge of a class."""
    room = distance_transform_edt(np.pad(where, 1))[1:-1, 1:-1]
    # Small lawns and single crowns are only used where the picture holds nothing larger.
    least = min(5.0 / pixel_size, 0.7 * float(room.max()))
    rows, columns = np.nonzero(room >= max(least, 2.5))
    if len(rows) == 0:
        return
    for pick in rng.integers(0, len(rows), _CANDIDATES):
        row, column = int(rows[pick]), int(columns[pick])
        radius = min(0.9 * float(room[row, column]), rng.uniform(4.0, 14.0) / pixel_size)
        corners = int(rng.integers(5, 10))
        turn = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * (2.0 * math.pi / corners)
        reach = radius * rng.uniform(0.6, 1.0, corners)
        yield Polygon(
            np.column_stack([column + 0.5 + reach * np.cos(turn), row + 0.5 + reach * np.sin(turn)])
        )


def _on_roads(land: Landscape, pixel_size: float, rng: np.random.Generator) -> Iterator[Polygon]:
    """Yields thin quadrilaterals along the ways."""
    lengths = np.array([way.line.length for way in land.ways])
    for pick in rng.choice(len(lengths), _CANDIDATES, p=lengths / lengths.sum()):
        way = land.ways[int(pick)]
        start = rng.uniform(0.0, way.line.length)
        piece = substring(way.line, start, start + rng.uniform(7.0, 14.0))
        (x0, y0), (x1, y1) = piece.coords[0], piece.coords[-1]
        length = math.hypot(x1 - x0, y1 - y0)
        if length < 4.0:
            continue
        normal = np.array([y0 - y1, x1 - x0]) / length * way.width / 2.0
        ends = np.array([[x0, y0], [x1, y1], [x1, y1], [x0, y0]])
        aside = np.array([1.0, 1.0, -1.0, -1.0]) * rng.uniform(0.5, 0.8, 4)
        yield Polygon((ends + aside[:, None] * normal) / pixel_size)


def _on_roofs(land: Landscape, pixel_size: float, rng: np.random.Generator) -> Iterator[Polygon]:
    """Yields one quadrilateral per roof, larger roofs only."""
    for building in land.buildings:
        if building.length * building.width < 55.0:
            continue
        shrink = rng.uniform(0.68, 0.84, 2)
        corners = np.asarray(scale(building.footprint, shrink[0], shrink[1]).exterior.coords)[:4]
        yield Polygon((corners + rng.uniform(-0.3, 0.3, (4, 2))) / pixel_size)


def _pure_colour(
    shape: Polygon,
    label: SampleClass,
    picture: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    shade: float,
) -> NDArray[np.float64] | None:
    """Returns the mean colour below a polygon, or None unless nearly all of it shows the class in the sun."""
    left, top = (math.floor(v) for v in shape.bounds[:2])
    right, bottom = (math.ceil(v) for v in shape.bounds[2:])
    if left < 0 or top < 0 or right > truth.shape[1] or bottom > truth.shape[0] or not shape.is_valid:
        return None
    size = (max(1, bottom - top), max(1, right - left))
    inside = rasterize([shape], size, transform=Affine.translation(left, top), dtype=np.uint8).astype(bool)
    if inside.sum() < _MIN_PIXELS:
        return None
    window = np.s_[top : top + size[0], left : left + size[1]]
    if (truth[window][inside] == label).mean() < _PURITY:
        return None
    colours = picture[:, window[0], window[1]][:, inside].astype(np.float64)
    if (colours.mean(axis=0) < shade).mean() > 0.06:
        return None
    return colours.mean(axis=1)


def _typical_brightness(picture: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Returns the median display brightness of a class, 0 if there is none of it."""
    return float(np.median(picture[:, where].mean(axis=0))) if where.any() else 0.0


def _spread(features: list[NDArray[np.float64]], shapes: list[Polygon]) -> list[int]:
    """Picks candidates one after the other, each as different as possible from those already picked."""
    if not features:
        return []
    points = np.stack(features)
    # Starting from the most typical one; extremes follow by themselves.
    picked = [int(np.argmin(np.linalg.norm(points - np.median(points, axis=0), axis=1)))]
    apart = np.linalg.norm(points - points[picked[0]], axis=1)
    while len(picked) < _PER_CLASS:
        free = [all(shape.distance(shapes[i]) > 2.0 for i in picked) for shape in shapes]
        best = int(np.argmax(np.where(free, apart, -1.0)))
        if not free[best]:
            break
        picked.append(best)
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
    return picked


def to_map(shape: Polygon, transform: Affine) -> Polygon:
    """Moves a polygon from pixel to map coordinates."""
    return affine_transform(
        shape, [transform.a, transform.b, transform.d, transform.e, transform.c, transform.f]
    )
