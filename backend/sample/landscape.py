"""Lays out the countryside: roads, water, forest, the village and the mosaic of parcels between them."""

from __future__ import annotations

import math

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter1d
from shapely import Polygon
from shapely.geometry import LineString, Point, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize, split, unary_union

from backend.sample.features import (
    Frame,
    Landscape,
    Parcel,
    Way,
    direction_at,
    polygons_of,
    smooth_line,
)
from backend.sample.vegetation import plant_trees
from backend.sample.village import build_village

_CROPS = (
    "wheat",
    "barley",
    "meadow",
    "maize",
    "soil",
    "wheat",
    "mown",
    "beet",
    "stubble",
    "barley",
    "meadow",
)


def build_landscape(width: float, height: float, rng: np.random.Generator) -> Landscape:
    """Invents a landscape.

    Args:
        width: Extent along x in metres.
        height: Extent along y in metres.
        rng: Source of all randomness.

    Returns:
        The landscape; its features may reach beyond the frame.
    """
    for_frame, for_ways, for_water, for_forest, for_village, for_parcels, for_trees = rng.spawn(7)
    frame = Frame(width, height, bool(for_frame.random() < 0.5), bool(for_frame.random() < 0.5))
    ways = _lay_ways(frame, for_ways)
    roads = unary_union([way.surface.buffer(0.4) for way in ways])
    water = _dig_water(frame, for_water).difference(roads.buffer(3.0))
    built = [way for way in ways if way.kind == "lane"] + [_village_street(frame, ways[0])]
    settled = unary_union([way.line.buffer(36.0) for way in built]).buffer(12.0).buffer(-12.0)
    settled = _wobble(settled, 3.0, 20.0, for_village).difference(water.buffer(14.0))
    forest = _grow_forest(frame, for_forest)
    forest = forest.difference(unary_union([settled.buffer(12.0), water.buffer(12.0), roads.buffer(2.5)]))
    village = build_village(built, ways, settled, for_village)
    parcels = _divide_land(
        frame, ways, [settled, water.buffer(9.0), forest.buffer(2.0), roads.buffer(1.6)], for_parcels
    )
    trees = plant_trees(frame, ways, parcels, village, forest, water, for_trees)
    return Landscape(
        frame, ways, parcels, village.patches, village.buildings, trees, village.cars, forest, water
    )


def _lay_ways(frame: Frame, rng: np.random.Generator) -> tuple[Way, ...]:
    """Draws the main road (first), the village lanes and the farm tracks."""

    def course(*fractions: tuple[float, float]) -> list[tuple[float, float]]:
        return [frame.point(fx + rng.normal(0.0, 0.009), fy + rng.normal(0.0, 0.011)) for fx, fy in fractions]

    main = smooth_line(
        course(
            (-0.06, 0.69), (0.14, 0.61), (0.33, 0.55), (0.50, 0.52), (0.66, 0.49), (0.84, 0.38), (1.06, 0.33)
        )
    )

    def from_line(line: LineString, fraction: float) -> tuple[float, float]:
        return line.interpolate(fraction, normalized=True).coords[0]

    loop = smooth_line(
        [from_line(main, 0.36), *course((0.36, 0.44), (0.46, 0.36), (0.57, 0.37)), from_line(main, 0.605)]
    )
    south = smooth_line([from_line(main, 0.47), *course((0.45, 0.62), (0.47, 0.70), (0.46, 0.77))])
    end = south.coords[-1]
    tracks = [
        smooth_line([end, *course((0.42, 0.88), (0.37, 1.06))]),
        smooth_line([from_line(loop, 0.45), *course((0.46, 0.22), (0.49, 0.08), (0.48, -0.06))]),
        smooth_line(
            [from_line(main, 0.17), *course((0.12, 0.44), (0.15, 0.30), (0.12, 0.14), (0.07, -0.06))]
        ),
        smooth_line([from_line(main, 0.77), *course((0.77, 0.27), (0.81, 0.12), (0.80, -0.06))]),
        smooth_line([from_line(south, 0.85), *course((0.55, 0.75), (0.62, 0.84), (0.64, 1.06))]),
        smooth_line([from_line(main, 0.24), *course((0.25, 0.72), (0.22, 0.86), (0.25, 1.06))]),
    ]
    lanes = (Way(loop, 4.6, "lane"), Way(south, 4.2, "lane"))
    return (Way(main, 6.6, "main"), *lanes, *(Way(line, rng.uniform(2.6, 3.3), "track") for line in tracks))


def _village_street(frame: Frame, main: Way) -> Way:
    """Cuts out the stretch of the main road that houses stand along."""
    line = shapely.ops.substring(main.line, 0.30, 0.655, normalized=True)
    return Way(line, main.width, main.kind)


def _dig_water(frame: Frame, rng: np.random.Generator) -> BaseGeometry:
    """Makes one lake and the brook that leaves it."""
    x, y = frame.point(0.80, 0.76)
    turn = np.linspace(0.0, 2.0 * math.pi, 160, endpoint=False)
    radius = np.ones_like(turn)
    for order in range(2, 8):
        radius += rng.normal(0.0, 0.13 / order**0.75) * np.cos(order * turn + rng.uniform(0.0, 2.0 * math.pi))
    reach = np.clip(radius, 0.55, 1.5)
    lake = Polygon(
        np.column_stack(
            [x + 0.115 * frame.width * reach * np.cos(turn), y + 0.115 * frame.height * reach * np.sin(turn)]
        )
    ).buffer(0)
    course = [
        frame.point(fx, fy + rng.normal(0.0, 0.01)) for fx, fy in ((0.84, 0.74), (0.92, 0.66), (0.97, 0.69))
    ]
    brook = smooth_line([*course, frame.point(1.05, 0.62)])
    return unary_union([lake, _wobble(brook.buffer(2.1), 0.5, 6.0, rng)]).buffer(3.0).buffer(-3.0)


def _grow_forest(frame: Frame, rng: np.random.Generator) -> BaseGeometry:
    """Returns the outlines of the woods."""
    outlines = (
        (
            (-0.1, -0.1),
            (0.37, -0.1),
            (0.36, 0.06),
            (0.33, 0.15),
            (0.25, 0.20),
            (0.23, 0.31),
            (0.11, 0.36),
            (-0.1, 0.31),
        ),
        ((0.90, -0.1), (1.1, -0.1), (1.1, 0.25), (0.99, 0.22), (0.93, 0.14)),
        ((0.05, 0.84), (0.10, 0.79), (0.18, 0.82), (0.19, 0.90), (0.14, 0.95), (0.06, 0.92)),
    )
    shapes = []
    for outline in outlines:
        corners = [
            frame.point(fx + rng.normal(0.0, 0.012), fy + rng.normal(0.0, 0.012)) for fx, fy in outline
        ]
        rounding = 0.018 * frame.width
        shape = Polygon(corners).buffer(0).buffer(-rounding).buffer(2.0 * rounding).buffer(-rounding)
        shapes.append(_wobble(shape, 3.5, 14.0, rng))
    return unary_union(shapes)


def _wobble(
    shape: BaseGeometry, amplitude: float, wavelength: float, rng: np.random.Generator
) -> BaseGeometry:
    """Displaces outlines by smooth noise of about `amplitude` metres: nothing outdoors is drawn by ruler."""
    pieces = []
    for polygon in polygons_of(shape):
        ring = np.asarray(shapely.segmentize(polygon.exterior, 2.0).coords)[:-1]
        noise = gaussian_filter1d(rng.standard_normal((len(ring), 2)), wavelength / 4.0, axis=0, mode="wrap")
        noise *= amplitude / max(float(noise.std()), 1e-6) / math.sqrt(2.0)
        pieces.append(Polygon(ring + noise, [hole.coords for hole in polygon.interiors]).buffer(0))
    return unary_union(pieces)


def _divide_land(
    frame: Frame, ways: tuple[Way, ...], taken: list[BaseGeometry], rng: np.random.Generator
) -> tuple[Parcel, ...]:
    """Divides the land between the ways into parcels and sows each of them."""
    land = box(-60.0, -60.0, frame.width + 60.0, frame.height + 60.0)
    lines = [LineString(_extended(way.line)) for way in ways]
    cells = list(polygonize(unary_union([land.exterior, *lines])))
    obstacle = unary_union(taken)
    offset = int(rng.integers(len(_CROPS)))
    parcels: list[Parcel] = []
    for cell in cells:
        for piece in _split(cell, rng):
            angle = _long_axis(piece)
            for rest in polygons_of(piece.difference(obstacle)):
                # Opening the shape removes slivers that no tractor could turn on.
                for field in polygons_of(rest.buffer(-5.0).buffer(4.2)):
                    if field.area > 350.0:
                        crop = _CROPS[(offset + len(parcels) * 4) % len(_CROPS)]
                        small = field.area < 2200.0
                        crop = "meadow" if small and rng.random() < 0.6 else crop
                        parcels.append(Parcel(_wobble(field, 0.35, 18.0, rng), crop, angle))
    return tuple(Parcel(part, p.crop, p.angle) for p in parcels for part in polygons_of(p.shape))


def _extended(line: LineString) -> list[tuple[float, float]]:
    """Prolongs a line at its first end, so that it meets the way it branches from."""
    x, y, angle = direction_at(line, 0.0)
    return [(x - 2.0 * math.cos(angle), y - 2.0 * math.sin(angle)), *line.coords]


def _split(cell: Polygon, rng: np.random.Generator) -> list[Polygon]:
    """Divides a piece of land until every part has the size of a field."""
    if cell.area < rng.uniform(11000.0, 30000.0):
        return [cell]
    angle = _long_axis(cell)
    outline = shapely.oriented_envelope(cell).exterior.coords
    sides = sorted(Point(outline[i]).distance(Point(outline[i + 1])) for i in (0, 1))
    lengthwise = sides[1] < 2.3 * sides[0]
    heading = angle if lengthwise else angle + math.pi / 2.0
    heading += rng.normal(0.0, 0.05)
    shift = rng.uniform(-0.14, 0.14) * (sides[0] if lengthwise else sides[1])
    centre = cell.centroid
    x, y = centre.x - shift * math.sin(heading), centre.y + shift * math.cos(heading)
    reach = sides[1] * 1.2
    bend = rng.normal(0.0, 0.012) * reach
    along = np.linspace(-reach, reach, 9)
    aside = bend * np.cos(along / reach * 2.0)
    knife = LineString(
        np.column_stack(
            [
                x + along * math.cos(heading) - aside * math.sin(heading),
                y + along * math.sin(heading) + aside * math.cos(heading),
            ]
        )
    )
    parts = polygons_of(split(cell, knife))
    if len(parts) < 2:
        return [cell]
    return [piece for part in parts for piece in _split(part, rng)]


def _long_axis(shape: Polygon) -> float:
    """Returns the direction of the longer side of the smallest enclosing rectangle."""
    corners = np.asarray(shapely.oriented_envelope(shape).exterior.coords)
    sides = np.diff(corners[:3], axis=0)
    dx, dy = sides[int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))]
    return math.atan2(dy, dx)
