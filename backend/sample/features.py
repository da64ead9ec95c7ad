"""The things a sample landscape is made of.

All coordinates and lengths are metres in a frame whose origin is the upper left corner of the picture, x to
the right and y downwards. Angles are radians from the x axis towards the y axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.interpolate import CubicSpline
from shapely import Polygon
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

VOID = 255
"""Truth value of a pixel that belongs to none of the classes."""


class SampleClass(IntEnum):
    """Truth values of the sample: what covers the ground, whoever uses it."""

    FIELD = 1
    FOREST = 2
    ROAD = 3
    BUILDING = 4
    WATER = 5
    GRASS = 6

    @property
    def title(self) -> str:
        """The name for people."""
        return {SampleClass.FIELD: "ripe or ploughed field", SampleClass.GRASS: "grass, green crop"}.get(
            self, self.name.lower()
        )


@dataclass(frozen=True)
class Frame:
    """Extent of the picture in metres, and whether the layout is mirrored in it."""

    width: float
    height: float
    flip_x: bool
    flip_y: bool

    def point(self, fx: float, fy: float) -> tuple[float, float]:
        """Turns a position given as fractions of the extent into metres."""
        x = 1.0 - fx if self.flip_x else fx
        y = 1.0 - fy if self.flip_y else fy
        return x * self.width, y * self.height


@dataclass(frozen=True)
class Way:
    """A road or track; `kind` is "main", "lane" or "track", `width` the paved width."""

    line: LineString
    width: float
    kind: str

    @property
    def surface(self) -> Polygon:
        """Outline of the paved surface."""
        return self.line.buffer(self.width / 2.0, cap_style="flat")


@dataclass(frozen=True)
class Parcel:
    """One field or meadow; `crop` names a recipe of the ground painter, `angle` is the working direction."""

    shape: Polygon
    crop: str
    angle: float


@dataclass(frozen=True)
class Patch:
    """Ground in the village; `kind` is "garden", "drive", "yard", "terrace" or "pool", `tone` is in 0..1."""

    shape: Polygon
    kind: str
    tone: float


@dataclass(frozen=True)
class Building:
    """A house, barn or tower: rectangular plan, `roof` is "gable", "hip" or "flat".

    `length` runs along `angle` (and carries the ridge), `eave` is the height of the eaves and `slope` the
    rise of the roof per metre. `colour` is the display colour (0..255) of a level piece of roof in full sun.
    """

    x: float
    y: float
    length: float
    width: float
    angle: float
    eave: float
    slope: float
    roof: str
    colour: tuple[float, float, float]
    chimney: bool = False
    panels: bool = False

    @property
    def footprint(self) -> Polygon:
        """Outline of the roof."""
        return oriented_box(self.x, self.y, self.length, self.width, self.angle)


@dataclass(frozen=True)
class Tree:
    """One crown; `kind` is "broadleaf", "conifer", "shrub", "fruit" or (a crown of straw) "bale"."""

    x: float
    y: float
    radius: float
    height: float
    kind: str


@dataclass(frozen=True)
class Car:
    """A parked or driving car with its display colour (0..255)."""

    x: float
    y: float
    angle: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Landscape:
    """What lies where."""

    frame: Frame
    ways: tuple[Way, ...]
    parcels: tuple[Parcel, ...]
    patches: tuple[Patch, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    cars: tuple[Car, ...]
    forest: BaseGeometry
    water: BaseGeometry


def oriented_box(x: float, y: float, length: float, width: float, angle: float) -> Polygon:
    """Returns a rectangle centred at (x, y) whose length runs along `angle`."""
    along = np.array([math.cos(angle), math.sin(angle)]) * length / 2.0
    across = np.array([-math.sin(angle), math.cos(angle)]) * width / 2.0
    centre = np.array([x, y])
    return Polygon(
        [centre + along + across, centre + along - across, centre - along - across, centre - along + across]
    )


def smooth_line(points: list[tuple[float, float]], step: float = 3.0) -> LineString:
    """Lays a cubic spline through at least two points and samples it about every `step` metres."""
    knots = np.asarray(points, dtype=np.float64)
    chord = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    count = max(2, int(chord[-1] / step))
    return LineString(CubicSpline(chord, knots)(np.linspace(0.0, chord[-1], count)))


def direction_at(line: LineString, distance: float) -> tuple[float, float, float]:
    """Returns x, y and the heading of a line at a distance from its start."""
    here = line.interpolate(distance)
    before = line.interpolate(max(0.0, distance - 1.5))
    after = line.interpolate(min(line.length, distance + 1.5))
    return here.x, here.y, math.atan2(after.y - before.y, after.x - before.x)


def polygons_of(shape: BaseGeometry) -> list[Polygon]:
    """Lists the polygons of a geometry, whatever its type."""
    if isinstance(shape, Polygon):
        return [] if shape.is_empty else [shape]
    return [part for piece in getattr(shape, "geoms", ()) for part in polygons_of(piece)]
