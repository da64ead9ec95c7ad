"""Plants the trees: woods, hedges, orchards, gardens, banks and rows along the road."""

from __future__ import annotations

import math

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter, map_coordinates
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from backend.sample.features import Frame, Parcel, Tree, Way, direction_at, polygons_of
from backend.sample.village import Village


def plant_trees(
    frame: Frame,
    ways: tuple[Way, ...],
    parcels: tuple[Parcel, ...],
    village: Village,
    forest: BaseGeometry,
    water: BaseGeometry,
    rng: np.random.Generator,
) -> tuple[Tree, ...]:
    """Plants every tree of the landscape, in the order in which they are to be drawn."""
    for_forest, for_edge, for_hedges, for_gardens, for_bank, for_row, for_orchard, for_bales, for_greens = (
        rng.spawn(9)
    )
    trees = [
        *_forest_trees(frame, forest, for_forest),
        *_edge_shrubs(forest, for_edge),
        *_hedges(parcels, for_hedges),
        *_garden_trees(village, for_gardens),
        *_bank_trees(frame, water, for_bank),
        *_roadside(ways[0], village, for_row),
        *_orchard(parcels, for_orchard),
        *_bales(parcels, for_bales),
        *_green_trees(village, for_greens),
    ]
    built = unary_union([building.footprint for building in village.buildings]).buffer(0.6)
    roads = unary_union([way.surface for way in ways])
    x = np.array([tree.x for tree in trees])
    y = np.array([tree.y for tree in trees])
    reach = np.array([tree.radius for tree in trees])
    seen = (x > -12.0) & (y > -12.0) & (x < frame.width + 12.0) & (y < frame.height + 12.0)
    spots = shapely.points(x, y)
    clear = (shapely.distance(spots, built) > 0.45 * reach) if not built.is_empty else np.ones_like(seen)
    clear &= shapely.distance(spots, roads) > 0.35 * reach
    return tuple(tree for tree, keep in zip(trees, seen & clear, strict=True) if keep)


def _forest_trees(frame: Frame, forest: BaseGeometry, rng: np.random.Generator) -> list[Tree]:
    """Fills the woods on a jittered grid; stands of conifers and broadleaves follow a smooth noise."""
    spacing = 4.3
    columns = np.arange(-10.0, frame.width + 10.0, spacing)
    rows = np.arange(-10.0, frame.height + 10.0, spacing * 0.87)
    x, y = np.meshgrid(columns, rows)
    x[1::2] += spacing / 2.0
    x = x + rng.normal(0.0, 1.25, x.shape)
    y = y + rng.normal(0.0, 1.25, y.shape)
    stand = gaussian_filter(rng.standard_normal(x.shape), 6.0)
    stand /= max(float(stand.std()), 1e-6)
    thin = gaussian_filter(rng.standard_normal(x.shape), 2.0)
    thin /= max(float(thin.std()), 1e-6)
    age = gaussian_filter(rng.standard_normal(x.shape), 7.0)
    age /= max(float(age.std()), 1e-6)
    inside = shapely.contains_xy(forest, x, y) & (thin < 2.1)
    trees = []
    for index in np.argwhere(inside):
        at = tuple(index)
        conifer = stand[at] + rng.normal(0.0, 0.35) > 0.45
        old = 1.0 + 0.16 * float(np.clip(age[at], -1.6, 1.6))
        if conifer:
            radius, height = rng.uniform(1.9, 2.9) * old, rng.uniform(15.0, 21.0) * old
            trees.append(Tree(float(x[at]), float(y[at]), radius, height, "conifer"))
        else:
            radius = float(np.clip(rng.lognormal(1.13, 0.27), 1.8, 5.8)) * old
            height = (10.0 + 1.5 * radius + rng.normal(0.0, 1.5)) * old
            trees.append(Tree(float(x[at]), float(y[at]), radius, height, "broadleaf"))
    return trees


def _edge_shrubs(forest: BaseGeometry, rng: np.random.Generator) -> list[Tree]:
    """Puts low growth of uneven depth in front of the woods, as real edges have."""
    trees = []
    for polygon in polygons_of(forest):
        rings = [polygon.exterior, *polygon.interiors]
        for ring in rings:
            for distance in np.arange(0.0, ring.length, 1.7):
                if rng.random() < 0.62:
                    spot = ring.interpolate(float(distance))
                    radius = rng.uniform(1.0, 2.8)
                    x, y = spot.x + rng.normal(0.0, 1.1), spot.y + rng.normal(0.0, 1.1)
                    trees.append(Tree(x, y, radius, 1.5 + radius * rng.uniform(1.2, 2.8), "shrub"))
    return trees


def _line_growth(line: LineString, share: float, rng: np.random.Generator) -> list[Tree]:
    """Grows a hedge with gaps and a few taller trees along a line."""
    trees = []
    gap = gaussian_filter(rng.standard_normal(max(4, int(line.length))), 7.0, mode="wrap")
    gap /= max(float(gap.std()), 1e-6)
    for distance in np.arange(0.0, line.length, 1.25):
        here = float(map_coordinates(gap, [[distance]], order=1, mode="nearest")[0])
        if here < -1.1:
            continue
        spot = line.interpolate(float(distance))
        x, y = spot.x + rng.normal(0.0, 0.5), spot.y + rng.normal(0.0, 0.5)
        if rng.random() < share:
            radius = rng.uniform(2.4, 4.4)
            trees.append(Tree(x, y, radius, 3.0 + 2.2 * radius, "broadleaf"))
        else:
            radius = rng.uniform(1.0, 1.9)
            trees.append(Tree(x, y, radius, 1.2 + 1.5 * radius, "shrub"))
    return trees


def _hedges(parcels: tuple[Parcel, ...], rng: np.random.Generator) -> list[Tree]:
    """Grows hedges along one long side of some parcels, and lets single trees stand at others."""
    trees = []
    for parcel in parcels:
        outline = parcel.shape.simplify(2.5).exterior.coords
        sides = [LineString([outline[i], outline[i + 1]]) for i in range(len(outline) - 1)]
        side = max(sides, key=lambda line: line.length)
        lot = rng.random()
        if side.length < 40.0 or lot > 0.55:
            continue
        outer = max(
            (side.parallel_offset(1.8, hand) for hand in ("left", "right")),
            key=lambda line: line.distance(parcel.shape.centroid),
        )
        if lot < 0.26:
            trees += _line_growth(shapely.segmentize(outer, 10.0), 0.07, rng)
        else:
            for _ in range(int(rng.integers(1, 4))):
                spot = outer.interpolate(rng.uniform(0.05, 0.95) * outer.length)
                radius = rng.uniform(2.6, 5.2)
                trees.append(Tree(spot.x, spot.y, radius, 4.0 + 2.0 * radius, "broadleaf"))
    return trees


def _garden_trees(village: Village, rng: np.random.Generator) -> list[Tree]:
    """Plants gardens and hedges between plots."""
    trees = []
    drives = unary_union([patch.shape for patch in village.patches if patch.kind == "drive"])
    for patch in village.patches:
        if patch.kind != "garden":
            continue
        left, top, right, bottom = patch.shape.bounds
        for _ in range(int(patch.shape.area / 46.0 * rng.uniform(0.4, 1.5))):
            x, y = rng.uniform(left, right), rng.uniform(top, bottom)
            spot = shapely.Point(x, y)
            if patch.shape.contains(spot) and spot.distance(drives) > 1.0:
                radius = float(np.clip(rng.lognormal(0.55, 0.5), 0.7, 4.6))
                kind = "conifer" if rng.random() < 0.16 else "broadleaf" if radius > 2.0 else "shrub"
                trees.append(Tree(x, y, radius, 1.0 + 2.2 * radius, kind))
        if rng.random() < 0.7:
            outline = patch.shape.simplify(1.0).exterior.coords
            first = int(rng.integers(len(outline) - 1))
            for step in range(int(rng.integers(1, 3))):
                at = (first + step) % (len(outline) - 1)
                for t in np.arange(0.0, math.dist(outline[at], outline[at + 1]), 0.9):
                    part = t / max(math.dist(outline[at], outline[at + 1]), 1e-6)
                    x = outline[at][0] + part * (outline[at + 1][0] - outline[at][0])
                    y = outline[at][1] + part * (outline[at + 1][1] - outline[at][1])
                    if drives.is_empty or shapely.Point(x, y).distance(drives) > 0.8:
                        trees.append(Tree(x, y, rng.uniform(0.6, 0.95), rng.uniform(1.4, 2.0), "shrub"))
    return trees


def _bank_trees(frame: Frame, water: BaseGeometry, rng: np.random.Generator) -> list[Tree]:
    """Grows alders and willows in groups along the shore."""
    trees = []
    for polygon in polygons_of(water.buffer(4.0)):
        ring = polygon.exterior
        group = gaussian_filter(rng.standard_normal(max(8, int(ring.length))), 9.0, mode="wrap")
        group /= max(float(group.std()), 1e-6)
        for distance in np.arange(0.0, ring.length, 2.6):
            if group[int(distance) % len(group)] > 0.25 and rng.random() < 0.75:
                spot = ring.interpolate(float(distance))
                radius = rng.uniform(1.6, 4.4)
                x, y = spot.x + rng.normal(0.0, 1.8), spot.y + rng.normal(0.0, 1.8)
                trees.append(Tree(x, y, radius, 2.5 + 2.0 * radius, "broadleaf"))
    return trees


def _roadside(main: Way, village: Village, rng: np.random.Generator) -> list[Tree]:
    """Plants a row of trees along a stretch of the main road."""
    trees = []
    length = main.line.length
    for distance in np.arange(0.70 * length, 0.93 * length, 11.0):
        for side in (-1.0, 1.0):
            if rng.random() < 0.78:
                x, y, heading = direction_at(main.line, float(distance + rng.normal(0.0, 0.8)))
                out = main.width / 2.0 + rng.uniform(2.4, 3.2)
                radius = rng.uniform(2.0, 3.6)
                x, y = x - math.sin(heading) * side * out, y + math.cos(heading) * side * out
                trees.append(Tree(x, y, radius, 3.5 + 2.0 * radius, "broadleaf"))
    return trees


def _orchard(parcels: tuple[Parcel, ...], rng: np.random.Generator) -> list[Tree]:
    """Plants fruit trees in rows on one meadow of middling size."""
    meadows = [p for p in parcels if p.crop == "meadow" and 1200.0 < p.shape.area < 9000.0]
    trees = []
    for parcel in meadows[: max(1, len(meadows) // 3)]:
        centre = parcel.shape.centroid
        reach = math.sqrt(parcel.shape.area) * 1.5
        inner = parcel.shape.buffer(-3.0)
        for along in np.arange(-reach, reach, 9.0):
            for across in np.arange(-reach, reach, 9.5):
                a, b = along + rng.normal(0.0, 0.5), across + rng.normal(0.0, 0.5)
                x = centre.x + a * math.cos(parcel.angle) - b * math.sin(parcel.angle)
                y = centre.y + a * math.sin(parcel.angle) + b * math.cos(parcel.angle)
                if rng.random() < 0.84 and inner.contains(shapely.Point(x, y)):
                    radius = rng.uniform(1.5, 2.9)
                    trees.append(Tree(x, y, radius, 2.0 + 1.5 * radius, "fruit"))
    return trees


def _bales(parcels: tuple[Parcel, ...], rng: np.random.Generator) -> list[Tree]:
    """Drops round bales along the swaths of some mown parcels."""
    bales = []
    for parcel in parcels:
        if parcel.crop not in ("stubble", "mown") or rng.random() < 0.35:
            continue
        left, top, right, bottom = parcel.shape.buffer(-6.0).bounds or (0.0, 0.0, 0.0, 0.0)
        for _ in range(int(parcel.shape.area / 420.0)):
            x, y = rng.uniform(left, right), rng.uniform(top, bottom)
            if parcel.shape.buffer(-5.0).contains(shapely.Point(x, y)):
                bales.append(Tree(x, y, rng.uniform(0.75, 0.95), 1.5, "bale"))
    return bales


def _green_trees(village: Village, rng: np.random.Generator) -> list[Tree]:
    """Scatters groups of trees over the village ground that no plot takes."""
    plots = unary_union([patch.shape for patch in village.patches])
    greens = village.settled.difference(plots.buffer(1.0))
    trees = []
    for green in polygons_of(greens):
        left, top, right, bottom = green.bounds
        for _ in range(int((right - left) * (bottom - top) / 700.0)):
            x, y = rng.uniform(left, right), rng.uniform(top, bottom)
            for _ in range(int(rng.integers(1, 5))):
                spot = shapely.Point(x + rng.normal(0.0, 4.0), y + rng.normal(0.0, 4.0))
                radius = float(np.clip(rng.lognormal(0.9, 0.4), 1.0, 5.0))
                if green.contains(spot):
                    trees.append(Tree(spot.x, spot.y, radius, 1.5 + 2.0 * radius, "broadleaf"))
    return trees
