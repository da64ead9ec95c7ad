"""Paints the ground: gardens, roads and water around the fields, as seen without trees and buildings."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring, unary_union

from backend.sample.canvas import Canvas, Relief, fill
from backend.sample.features import VOID, Landscape, SampleClass, Way
from backend.sample.fields import paint_parcels
from backend.sample.textures import fractal_noise, linear, smoothstep


def paint_ground(canvas: Canvas, land: Landscape, rng: np.random.Generator) -> None:
    """Paints the whole ground in the order in which things lie on each other."""
    for_relief, for_fields, for_gardens, for_ways, for_water = rng.spawn(5)
    relief = Relief.draw(for_relief, canvas.truth.shape, canvas.pixel)
    everywhere = np.ones(canvas.truth.shape, dtype=bool)
    fill(
        canvas,
        everywhere,
        (102, 112, 70),
        (134, 136, 92),
        0.5 + 0.26 * relief.middle + 0.18 * relief.broad + 0.09 * relief.small,
        relief,
        0.075,
    )
    canvas.truth[:] = SampleClass.GRASS
    paint_parcels(canvas, land.parcels, relief, for_fields)
    floor = canvas.mask(land.forest)
    fill(canvas, floor, (52, 56, 38), (84, 84, 56), 0.5 + 0.3 * relief.small, relief, 0.1)
    canvas.truth[floor] = SampleClass.FOREST
    _paint_patches(canvas, land, relief, for_gardens)
    _paint_ways(canvas, land.ways, relief, for_ways)
    _paint_water(canvas, land.water, relief, for_water)


def _paint_patches(canvas: Canvas, land: Landscape, relief: Relief, rng: np.random.Generator) -> None:
    """Paints gardens, drives, yards and terraces."""
    for patch in land.patches:
        where = canvas.mask(patch.shape)
        if not where.any():
            continue
        shift = 0.9 * (patch.tone - 0.5)
        if patch.kind == "garden":
            mix = 0.45 + 1.3 * shift + 0.2 * relief.middle + 0.07 * relief.small
            fill(canvas, where, (86, 102, 62), (138, 140, 94), mix, relief, 0.065)
            bed = where & (relief.middle + 0.35 * relief.small > 1.5 - 0.5 * patch.tone)
            fill(canvas, bed, (98, 84, 68), (134, 122, 98), 0.5 + 0.3 * relief.small, relief, 0.12)
            canvas.truth[bed] = VOID
        elif patch.kind == "pool":
            fill(canvas, where, (116, 142, 148), (136, 164, 168), 0.5 + 0.3 * relief.small, relief, 0.02)
            canvas.truth[where] = VOID
        else:
            mix = 0.5 + shift + 0.12 * relief.middle + 0.1 * relief.small
            fill(canvas, where, (128, 122, 114), (182, 174, 162), mix, relief, 0.05)
            canvas.truth[where] = SampleClass.ROAD if patch.kind == "drive" else VOID


def _paint_ways(canvas: Canvas, ways: tuple[Way, ...], relief: Relief, rng: np.random.Generator) -> None:
    """Paints tracks first, then lanes, then the main road with its markings."""
    for way in sorted(ways, key=lambda item: ("track", "lane", "main").index(item.kind)):
        shoulder = canvas.mask(way.line.buffer(way.width / 2.0 + 0.9))
        fill(
            canvas,
            shoulder,
            (124, 122, 88),
            (164, 154, 122),
            0.4 + 0.35 * relief.small,
            relief,
            0.1,
            cover=0.55,
        )
        where = canvas.mask(way.surface)
        if way.kind == "track":
            fill(
                canvas,
                where,
                (156, 146, 126),
                (196, 184, 162),
                0.5 + 0.25 * relief.middle + 0.1 * relief.small,
                relief,
                0.06,
            )
            middle = canvas.mask(way.line.buffer(0.42)) & (relief.middle + 0.5 * relief.small > -0.5)
            fill(
                canvas,
                middle,
                (122, 126, 86),
                (154, 148, 112),
                0.5 + 0.3 * relief.small,
                relief,
                0.08,
                cover=0.5,
            )
        else:
            dark, light = (
                ((112, 112, 112), (142, 140, 138))
                if way.kind == "main"
                else ((122, 121, 119), (154, 151, 146))
            )
            fill(canvas, where, dark, light, 0.5 + 0.14 * relief.broad + 0.1 * relief.middle, relief, 0.035)
            _wear(canvas, way, relief, rng)
        canvas.truth[where] = SampleClass.ROAD
    _mark(canvas, ways[0])


def _wear(canvas: Canvas, way: Way, relief: Relief, rng: np.random.Generator) -> None:
    """Darkens wheel paths and adds repaired stretches."""
    lane = way.width / 4.0
    paths = [
        way.line.parallel_offset(lane + side, hand) for side in (-0.8, 0.8) for hand in ("left", "right")
    ]
    worn = canvas.mask(
        unary_union([path.buffer(0.3) for path in paths]) if way.kind == "main" else way.line.buffer(0.2)
    )
    canvas.albedo[worn] *= 0.94
    for _ in range(max(1, int(way.line.length / 90.0))):
        start = rng.uniform(0.0, way.line.length)
        piece = substring(way.line, start, start + rng.uniform(4.0, 45.0))
        patch = piece.buffer(way.width / 2.0 * (1.0 if rng.random() < 0.5 else -1.0), single_sided=True)
        canvas.albedo[canvas.mask(patch.intersection(way.surface))] *= rng.uniform(0.78, 1.14)


def _mark(canvas: Canvas, main: Way) -> None:
    """Paints the dashed centre line and the edge lines of the main road."""
    dashes = [
        substring(main.line, start, start + 4.0) for start in np.arange(0.0, main.line.length - 4.0, 12.0)
    ]
    edges = [main.line.parallel_offset(main.width / 2.0 - 0.35, hand) for hand in ("left", "right")]
    for lines, half, cover in ((dashes, 0.13, 0.65), (edges, 0.13, 0.4)):
        where = canvas.mask(unary_union([line.buffer(half, cap_style="flat") for line in lines]))
        canvas.albedo[where] = canvas.albedo[where] * (1.0 - cover) + linear((222, 222, 218)) * cover


def _paint_water(canvas: Canvas, water: BaseGeometry, relief: Relief, rng: np.random.Generator) -> None:
    """Paints water that darkens from the shore, with ripples, wet bank and a reed fringe."""
    bank = canvas.mask(water.buffer(5.0))
    where = canvas.mask(water)
    if not where.any():
        return
    top, left = (int(axis.min()) for axis in np.nonzero(bank))
    bottom, right = (int(axis.max()) + 1 for axis in np.nonzero(bank))
    window = np.s_[top:bottom, left:right]
    inside = distance_transform_edt(where[window]).astype(np.float32) * canvas.pixel
    outside = distance_transform_edt(~where[window]).astype(np.float32) * canvas.pixel
    shore = np.zeros(where.shape, dtype=np.float32)
    shore[window] = inside - outside
    wet = bank & (shore > -1.0 - 0.7 * relief.small)
    fill(
        canvas, wet & ~where, (92, 88, 66), (122, 114, 88), 0.5 + 0.3 * relief.small, relief, 0.08, cover=0.8
    )
    depth = smoothstep(0.0, 13.0, shore + 1.5 * relief.middle)
    ripple = fractal_noise(rng, where.shape, 2.2 / canvas.pixel, 2.4)
    ripple = gaussian_filter(ripple, (0.6, 2.2))
    rows, columns = np.nonzero(where)
    glint = ((columns / where.shape[1] - rows / where.shape[0]) * 0.35).astype(np.float32)
    fill(canvas, where, (84, 90, 68), (61, 74, 71), depth, relief, 0.0)
    breeze = 1.0 + 0.10 * relief.broad[where] + glint * 0.5
    canvas.albedo[where] *= (breeze * (1.0 + 0.07 * ripple[where]) + 0.012 * relief.grain[where])[:, None]
    canvas.truth[where] = SampleClass.WATER
    growth = relief.middle + 1.1 * relief.broad
    width = 2.6 * smoothstep(-0.2, 1.2, growth)
    lake = canvas.mask(water.buffer(-6.0).buffer(10.0))
    reed = bank & lake & (shore < width) & (shore > -2.2 * smoothstep(-0.6, 0.8, growth) - 0.2)
    reed &= (relief.small > -1.2) & (shore > -4.5)
    fill(canvas, reed, (104, 106, 66), (152, 144, 98), 0.5 + 0.35 * relief.small, relief, 0.16)
    canvas.height[reed] = 1.6 + 0.3 * relief.small[reed]
    canvas.truth[reed] = VOID
