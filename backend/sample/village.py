"""Builds the village: plots along the lanes, houses, barns, a church, drives, terraces and cars."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from shapely import STRtree
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from backend.sample.features import (
    Building,
    Car,
    Patch,
    Way,
    direction_at,
    oriented_box,
    polygons_of,
)

_ROOFS = (
    (142, 101, 87),
    (134, 92, 80),
    (150, 112, 96),
    (122, 90, 80),
    (92, 91, 92),
    (114, 111, 109),
    (128, 104, 92),
    (140, 136, 131),
)
_CAR_PAINTS = ((212, 212, 210), (60, 62, 66), (140, 142, 146), (130, 50, 46), (64, 80, 112), (96, 98, 100))


@dataclass(frozen=True)
class Village:
    """Everything people have built or laid out, apart from the ways."""

    patches: tuple[Patch, ...]
    buildings: tuple[Building, ...]
    cars: tuple[Car, ...]
    settled: BaseGeometry


@dataclass
class _Site:
    """The village while it is being built."""

    roads: BaseGeometry
    settled: BaseGeometry
    buildings: list[Building] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    cars: list[Car] = field(default_factory=list)

    def is_free(self, building: Building, gap: float) -> bool:
        """Says whether a building keeps its distance from the ways, the edge and its neighbours."""
        plan = building.footprint
        if plan.distance(self.roads) < 2.5 or not self.settled.contains(plan):
            return False
        return all(plan.distance(other.footprint) >= gap for other in self.buildings)


def build_village(
    streets: list[Way], ways: tuple[Way, ...], settled: BaseGeometry, rng: np.random.Generator
) -> Village:
    """Builds on both sides of the streets.

    Args:
        streets: The stretches of road that houses stand along.
        ways: All ways, which must stay free.
        settled: The ground the village may use.
        rng: Source of all randomness.

    Returns:
        The village.
    """
    site = _Site(unary_union([way.surface for way in ways]), settled)
    for_church, for_houses, for_cars, for_barns = rng.spawn(4)
    _place_church(site, streets[-1], for_church)
    _place_farm(site, streets, for_barns)
    for street in streets:
        distance = 9.0
        while distance < street.line.length - 6.0:
            step = for_houses.uniform(17.0, 25.0)
            for side in (-1.0, 1.0):
                if for_houses.random() < 0.93:
                    tries = for_houses.spawn(4)
                    any(_place_house(site, street, distance, side, step, local) for local in tries)
            distance += step
    _drive_cars(site, ways, for_cars)
    return Village(_without_overlap(site), tuple(site.buildings), tuple(site.cars), settled)


def _place_house(
    site: _Site, street: Way, distance: float, side: float, step: float, rng: np.random.Generator
) -> bool:
    """Places one house with plot, garage, drive, terrace and shed; says whether there was room."""
    x, y, heading = direction_at(street.line, distance + rng.normal(0.0, 2.5))
    aside = (-math.sin(heading) * side, math.cos(heading) * side)
    length, width = rng.uniform(10.0, 15.0), rng.uniform(8.0, 10.0)
    across = rng.random() < 0.4
    depth = (length if across else width) / 2.0
    setback = street.width / 2.0 + rng.uniform(4.0, 9.0) + depth
    angle = heading + (math.pi / 2.0 if across else 0.0) + rng.normal(0.0, 0.05)
    roof = "hip" if rng.random() < 0.28 else "gable"
    tint = rng.normal(0.0, 5.0)
    red, green, blue = _ROOFS[int(rng.integers(len(_ROOFS)))]
    tints = tint + rng.normal(0.0, 3.0, 3)
    colour = (float(red + tints[0]), float(green + tints[1]), float(blue + tints[2]))
    house = Building(
        x + aside[0] * setback,
        y + aside[1] * setback,
        length,
        width,
        angle,
        rng.uniform(3.6, 6.0),
        rng.uniform(0.55, 0.95),
        roof,
        colour,
        bool(rng.random() < 0.75),
        bool(rng.random() < 0.22),
    )
    if not site.is_free(house, 4.0):
        return False
    site.buildings.append(house)
    reach = rng.uniform(28.0, 36.0)
    middle = street.width / 2.0 + reach / 2.0 + 0.8
    plot = oriented_box(x + aside[0] * middle, y + aside[1] * middle, step - 1.0, reach, heading)
    site.patches.append(Patch(plot, "garden", float(rng.random())))
    if rng.random() < 0.6:
        back = setback + depth + 2.0
        terrace = oriented_box(
            x + aside[0] * back, y + aside[1] * back, rng.uniform(4, 7), rng.uniform(3, 4.5), heading
        )
        site.patches.append(Patch(terrace, "terrace", float(rng.random())))
    _place_garage(site, house, street, (x, y, heading), aside, setback, rng)
    back, shift = setback + depth + rng.uniform(6.0, 13.0), rng.uniform(-0.4, 0.4) * step
    sx, sy = x + aside[0] * back + shift * math.cos(heading), y + aside[1] * back + shift * math.sin(heading)
    if rng.random() < 0.12:
        pool = oriented_box(sx, sy, rng.uniform(3.0, 6.0), 2.8, heading).buffer(0.4)
        site.patches.append(Patch(pool, "pool", float(rng.random())))
    elif rng.random() < 0.6:
        shed = Building(sx, sy, rng.uniform(3.2, 5.0), 3.0, heading, 2.2, 0.3, "gable", (118.0, 106.0, 94.0))
        if site.is_free(shed, 1.5):
            site.buildings.append(shed)
    return True


def _place_garage(
    site: _Site,
    house: Building,
    street: Way,
    foot: tuple[float, float, float],
    aside: tuple[float, float],
    setback: float,
    rng: np.random.Generator,
) -> None:
    """Puts a garage beside the house and a drive in front of it."""
    x, y, heading = foot
    hand = 1.0 if rng.random() < 0.5 else -1.0
    span = (house.length if abs(math.cos(house.angle - heading)) > 0.7 else house.width) / 2.0
    along = hand * (span + rng.uniform(2.4, 3.4))
    gx, gy = x + along * math.cos(heading), y + along * math.sin(heading)
    tone = float(rng.random())
    grey = 108.0 + 46.0 * tone
    garage = Building(
        gx + aside[0] * (setback + 1.5),
        gy + aside[1] * (setback + 1.5),
        6.2,
        3.6,
        heading + math.pi / 2.0,
        2.7,
        0.0,
        "flat",
        (grey, grey - 1.0, grey - 5.0),
    )
    built = rng.random() < 0.7 and site.is_free(garage, 0.4)
    if built:
        site.buildings.append(garage)
    drive = LineString([(gx, gy), (gx + aside[0] * setback, gy + aside[1] * setback)])
    drive = drive.buffer(rng.uniform(1.5, 2.2), cap_style="flat")
    site.patches.append(Patch(drive, "drive", tone))
    if rng.random() < 0.5:
        out = street.width / 2.0 + rng.uniform(3.2, 4.5)
        paint = _CAR_PAINTS[int(rng.integers(len(_CAR_PAINTS)))]
        site.cars.append(Car(gx + aside[0] * out, gy + aside[1] * out, math.atan2(aside[1], aside[0]), paint))


def _place_church(site: _Site, street: Way, rng: np.random.Generator) -> None:
    """Places a nave with a tower near the middle of the street."""
    x, y, heading = direction_at(street.line, street.line.length * 0.36)
    for side in (1.0, -1.0):
        setback = street.width / 2.0 + 13.0
        cx, cy = x - math.sin(heading) * side * setback, y + math.cos(heading) * side * setback
        angle = rng.normal(0.0, 0.08)
        slate = (96.0, 95.0, 98.0)
        nave = Building(cx, cy, 21.0, 10.5, angle, 7.5, 1.05, "gable", (134.0, 96.0, 84.0))
        shift = 10.5 + 2.6
        tower = Building(
            cx - shift * math.cos(angle),
            cy - shift * math.sin(angle),
            6.2,
            6.2,
            angle,
            17.0,
            2.2,
            "hip",
            slate,
        )
        if site.is_free(nave, 4.0) and site.is_free(tower, 4.0):
            site.buildings += [nave, tower]
            yard = oriented_box(cx, cy, 42.0, 27.0, angle)
            site.patches.append(Patch(yard, "garden", 0.3))
            path = oriented_box(cx, cy, 28.0, 16.0, angle)
            site.patches.append(Patch(path, "yard", 0.9))
            return


def _place_farm(site: _Site, streets: list[Way], rng: np.random.Generator) -> None:
    """Places pairs of barns with a paved yard between them."""
    for street, fraction, side in (
        (streets[1], 0.82, 1.0),
        (streets[0], 0.40, -1.0),
        (streets[-1], 0.08, 1.0),
    ):
        x, y, heading = direction_at(street.line, street.line.length * fraction)
        out = street.width / 2.0 + 20.0
        yard_x, yard_y = x - math.sin(heading) * side * out, y + math.cos(heading) * side * out
        placed = False
        for offset, turn in ((-13.0, math.pi / 2.0), (13.0, math.pi / 2.0)):
            colour = ((138.0, 106.0, 92.0), (152.0, 148.0, 142.0), (122.0, 116.0, 112.0))[
                int(rng.integers(3))
            ]
            barn = Building(
                yard_x + offset * math.cos(heading),
                yard_y + offset * math.sin(heading),
                rng.uniform(20.0, 27.0),
                rng.uniform(10.0, 13.5),
                heading + turn,
                rng.uniform(4.5, 6.0),
                rng.uniform(0.3, 0.55),
                "gable",
                colour,
                panels=bool(rng.random() < 0.5),
            )
            if site.is_free(barn, 3.0):
                site.buildings.append(barn)
                placed = True
        if placed:
            yard = oriented_box(
                x - math.sin(heading) * side * (out - 6),
                y + math.cos(heading) * side * (out - 6),
                16,
                32,
                heading,
            )
            site.patches.append(Patch(yard, "yard", float(rng.random())))


def _drive_cars(site: _Site, ways: tuple[Way, ...], rng: np.random.Generator) -> None:
    """Sets a few cars on the roads, on the right hand side."""
    for way in (ways[0], ways[0], ways[0], ways[0], ways[1], ways[2]):
        x, y, heading = direction_at(way.line, way.line.length * rng.uniform(0.1, 0.9))
        heading += math.pi if rng.random() < 0.5 else 0.0
        keep = way.width / 4.0
        paint = _CAR_PAINTS[int(rng.integers(len(_CAR_PAINTS)))]
        site.cars.append(Car(x - math.sin(heading) * keep, y + math.cos(heading) * keep, heading, paint))


def _without_overlap(site: _Site) -> tuple[Patch, ...]:
    """Gives ground that two plots claim to the earlier one, and keeps every patch inside the village."""
    order = {"garden": 0, "yard": 1, "terrace": 2, "pool": 3, "drive": 4}
    kept: list[Patch] = []
    gardens = [patch.shape for patch in site.patches if patch.kind == "garden"]
    tree = STRtree(gardens)
    rank = {id(shape): index for index, shape in enumerate(gardens)}
    for patch in site.patches:
        shape = patch.shape.intersection(site.settled).difference(site.roads)
        if patch.kind == "garden":
            mine = rank[id(patch.shape)]
            earlier = [gardens[int(i)] for i in tree.query(patch.shape) if int(i) < mine]
            shape = shape.difference(unary_union(earlier)) if earlier else shape
        kept += [Patch(part, patch.kind, patch.tone) for part in polygons_of(shape) if part.area > 3.0]
    return tuple(sorted(kept, key=lambda patch: order[patch.kind]))
