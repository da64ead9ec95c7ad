"""Turns a landscape into a picture and the truth that belongs to it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.sample.canvas import Canvas
from backend.sample.features import VOID, Building, Car, Landscape, SampleClass, Tree
from backend.sample.ground import paint_ground
from backend.sample.sensor import expose
from backend.sample.textures import (
    Float,
    crown,
    facing_sun,
    fractal_noise,
    linear,
    roof,
)

OVERSAMPLING = 2
"""Fine pixels per picture pixel along each axis; gives edges the mixed pixels of a real sensor."""

_SUN_AZIMUTH = math.radians(142.0)
_SUN_ELEVATION = math.radians(47.0)
_SUNLIGHT = (0.86, 0.83, 0.77)
_SKYLIGHT = (0.152, 0.172, 0.206)


def render(
    land: Landscape, width: int, height: int, pixel_size: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Renders a landscape.

    Args:
        land: The landscape.
        width: Columns of the picture.
        height: Rows of the picture.
        pixel_size: Metres per pixel.
        rng: Source of all randomness.

    Returns:
        The picture, uint8 (3, height, width), and the truth, uint8 (height, width), 255 where there is none.
    """
    for_ground, for_trees, for_buildings, for_sensor = rng.spawn(4)
    shape = (height * OVERSAMPLING, width * OVERSAMPLING)
    canvas = Canvas(
        np.zeros((*shape, 3), dtype=np.float32),
        np.zeros(shape, dtype=np.float32),
        np.ones(shape, dtype=np.float32),
        np.full(shape, VOID, dtype=np.uint8),
        np.zeros(shape, dtype=bool),
        pixel_size / OVERSAMPLING,
    )
    sun = sun_vector()
    paint_ground(canvas, land, for_ground)
    for car in land.cars:
        _draw_car(canvas, car)
    for building, local in zip(land.buildings, for_buildings.spawn(len(land.buildings)), strict=True):
        _draw_building(canvas, building, sun, local)
    _draw_trees(canvas, land.trees, sun, for_trees)
    light = _illuminate(canvas, sun)
    light *= canvas.albedo
    return expose(light, OVERSAMPLING, for_sensor), _reduce_truth(canvas.truth)


def sun_vector() -> Float:
    """Returns the unit vector (x right, y down, up) that points at the sun."""
    level = math.cos(_SUN_ELEVATION)
    return np.array(
        [level * math.sin(_SUN_AZIMUTH), -level * math.cos(_SUN_AZIMUTH), math.sin(_SUN_ELEVATION)],
        dtype=np.float32,
    )


def _window(canvas: Canvas, x: float, y: float, reach: int) -> tuple[slice, slice, slice, slice] | None:
    """Returns rows and columns of a square around a point on the canvas, and the same within the square."""
    row, column = int(y / canvas.pixel), int(x / canvas.pixel)
    rows, columns = canvas.truth.shape
    top, bottom = max(0, row - reach), min(rows, row + reach + 1)
    left, right = max(0, column - reach), min(columns, column + reach + 1)
    if top >= bottom or left >= right:
        return None
    inner_top, inner_left = top - (row - reach), left - (column - reach)
    return (
        slice(top, bottom),
        slice(left, right),
        slice(inner_top, inner_top + bottom - top),
        slice(inner_left, inner_left + right - left),
    )


def _draw_trees(canvas: Canvas, trees: tuple[Tree, ...], sun: Float, rng: np.random.Generator) -> None:
    """Draws every crown where it is the highest thing."""
    lumps = fractal_noise(rng, (512, 512), 1.3 / canvas.pixel, 2.2)
    leaves = fractal_noise(rng, (512, 512), 0.6 / canvas.pixel, 1.4)
    for tree in trees:
        conifer = tree.kind == "conifer"
        depth = min(tree.height * (0.62 if conifer else 0.5), tree.radius * (2.4 if conifer else 1.05))
        rise, covered = crown(rng, tree.radius, depth, conifer, canvas.pixel, lumps)
        tone = rng.normal(0.0, 1.0, 3)
        window = _window(canvas, tree.x, tree.y, rise.shape[0] // 2)
        if window is None:
            continue
        outer, inner = window[:2], window[2:]
        surface = rise + (tree.height - depth)
        lit = facing_sun(rise, canvas.pixel, sun)[inner]
        seen = covered[inner] & (surface[inner] > canvas.height[outer])
        colour = linear(_leaf_colour(tree.kind, tone))
        top, left = (int(n) for n in rng.integers(0, 512 - rise.shape[0], 2))
        speckle = leaves[top : top + rise.shape[0], left : left + rise.shape[0]][inner][seen]
        canvas.height[outer][seen] = surface[inner][seen]
        canvas.leafy[outer][seen] = True
        # Light passes through and between leaves, so crowns never shade as hard as solid bodies.
        canvas.facing[outer][seen] = 0.26 + 0.74 * np.minimum(lit[seen], 1.4)
        canvas.albedo[outer][seen] = colour * (1.0 + 0.16 * speckle)[:, None]
        # Low shrubs are neither forest nor the ground below them.
        canvas.truth[outer][seen] = VOID if tree.height < 3.5 else SampleClass.FOREST


def _leaf_colour(kind: str, tone: NDArray[np.float64]) -> tuple[float, float, float]:
    """Varies the display colour of foliage: brightness, warmth and a little green."""
    base = {
        "broadleaf": (90.0, 99.0, 57.0),
        "conifer": (72.0, 79.0, 53.0),
        "shrub": (92.0, 104.0, 64.0),
        "fruit": (98.0, 108.0, 70.0),
        "bale": (186.0, 170.0, 126.0),
    }[kind]
    spread = 4.0 if kind == "conifer" else 9.0
    bright = spread * tone[0]
    return (
        base[0] + bright + 3.6 * tone[1],
        base[1] + bright + 2.0 * tone[2],
        base[2] + 0.7 * bright - 2.0 * tone[1],
    )


def _local_axes(canvas: Canvas, x: float, y: float, angle: float, reach: int) -> tuple[Float, Float]:
    """Returns metres along and across an object for the square of pixels around it."""
    row, column = int(y / canvas.pixel), int(x / canvas.pixel)
    steps = np.arange(-reach, reach + 1)
    px = ((column + steps + 0.5) * canvas.pixel - x).astype(np.float32)[None, :]
    py = ((row + steps + 0.5) * canvas.pixel - y).astype(np.float32)[:, None]
    return px * math.cos(angle) + py * math.sin(angle), -px * math.sin(angle) + py * math.cos(angle)


def _draw_building(canvas: Canvas, building: Building, sun: Float, rng: np.random.Generator) -> None:
    """Draws one roof with tiles, ridge, chimney and sometimes solar panels."""
    reach = math.ceil(math.hypot(building.length, building.width) / 2.0 / canvas.pixel) + 2
    window = _window(canvas, building.x, building.y, reach)
    tiles = fractal_noise(rng, (2 * reach + 1, 2 * reach + 1), 3.0 / canvas.pixel, 1.6)
    if window is None:
        return
    outer, inner = window[:2], window[2:]
    along, across = _local_axes(canvas, building.x, building.y, building.angle, reach)
    inside = (np.abs(along) <= building.length / 2.0) & (np.abs(across) <= building.width / 2.0)
    rise = roof(building.roof, along, across, building.length, building.width, building.slope)
    lit = facing_sun(rise, canvas.pixel, sun)
    shade = 1.0 + 0.10 * tiles + 0.05 * rng.standard_normal(tiles.shape)
    colour = np.broadcast_to(linear(building.colour), (*rise.shape, 3)).copy()
    if building.roof == "flat":
        rim = (building.length / 2.0 - np.abs(along) < 0.3) | (building.width / 2.0 - np.abs(across) < 0.3)
        colour[rim] *= 1.25
    else:
        shade += 0.05 * np.cos(along * (2.0 * math.pi / 0.9)) + 0.05 * np.cos(
            np.abs(across) * (2.0 * math.pi / 1.1)
        )
        # Rain and moss darken a roof towards the eaves; the ridge tiles are newer and catch light.
        shade -= 0.10 * np.clip(1.0 - rise / max(float(rise.max()), 0.1), 0.0, 1.0) * rng.uniform(0.2, 1.2)
        ridge = rise > float(rise.max()) - 0.25 * building.slope
        shade[ridge] += 0.14
    if building.panels and building.roof == "gable":
        sunny = 1.0 if -math.sin(building.angle) * sun[0] + math.cos(building.angle) * sun[1] > 0 else -1.0
        field = (np.abs(along) < building.length * 0.32) & (
            np.abs(across * sunny - building.width * 0.25) < building.width * 0.15
        )
        seam = np.minimum(np.mod(along, 1.1), np.mod(across, 1.6)) < 0.14
        colour[field] = linear((52.0, 58.0, 74.0))
        colour[field & seam] *= 1.7
    colour *= np.maximum(shade, 0.3)[..., None]
    height = building.eave + rise
    if building.chimney:
        place = (rng.uniform(-0.3, 0.3) * building.length, rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.4))
        stack = (np.abs(along - place[0]) < 0.45) & (np.abs(across - place[1]) < 0.45)
        height[stack] = float(height.max()) + 0.9
        colour[stack] = linear((120.0, 104.0, 96.0))
        lit[stack] = 1.0
    seen = inside[inner] & (height[inner] > canvas.height[outer])
    canvas.height[outer][seen] = height[inner][seen]
    canvas.facing[outer][seen] = lit[inner][seen]
    canvas.albedo[outer][seen] = colour[inner][seen]
    canvas.truth[outer][seen] = SampleClass.BUILDING


def _draw_car(canvas: Canvas, car: Car) -> None:
    """Draws a car: painted body, dark windscreen."""
    reach = math.ceil(2.8 / canvas.pixel)
    window = _window(canvas, car.x, car.y, reach)
    if window is None:
        return
    outer, inner = window[:2], window[2:]
    along, across = _local_axes(canvas, car.x, car.y, car.angle, reach)
    body = ((np.abs(along) < 2.15) & (np.abs(across) < 0.9))[inner]
    glass = body & (np.abs(along - 0.7) < 0.4)[inner]
    canvas.albedo[outer][body] = linear(car.colour)
    canvas.albedo[outer][glass] = linear((72.0, 76.0, 80.0))
    canvas.height[outer][body] = 1.4
    canvas.truth[outer][body] = VOID


def _illuminate(canvas: Canvas, sun: Float) -> Float:
    """Returns the light (rows, columns, 3) that reaches each visible surface from sun and sky."""
    height = canvas.height
    above = _cast_shadows(height, canvas.pixel, sun)
    # Leaves let light through: the shaded side of a crown darkens gradually, solid ground at once.
    shadow = np.where(
        canvas.leafy, 0.95 * np.clip((above - 0.1) / 1.3, 0.0, 1.0), np.clip(above / 0.5, 0.0, 1.0)
    )
    around = gaussian_filter(height, 2.2 / canvas.pixel)
    openness = np.exp(-np.maximum(around - height, 0.0) / 7.0)
    direct = canvas.facing * (1.0 - shadow)
    light = np.empty((*height.shape, 3), dtype=np.float32)
    for band in range(3):
        light[..., band] = _SUNLIGHT[band] * direct + _SKYLIGHT[band] * openness
    return light


def _cast_shadows(height: Float, pixel: float, sun: Float) -> Float:
    """Returns by how many metres the skyline towards the sun rises above the sun, seen from every pixel."""
    level = math.hypot(float(sun[0]), float(sun[1]))
    climb = float(sun[2]) / level
    rows, columns = height.shape
    horizon = np.full(height.shape, -1e3, dtype=np.float32)
    for step in range(1, math.ceil(float(height.max()) / climb / pixel) + 1):
        dx = round(step * float(sun[0]) / level)
        dy = round(step * float(sun[1]) / level)
        if abs(dx) >= columns or abs(dy) >= rows:
            break
        here = np.s_[max(0, -dy) : rows - max(0, dy), max(0, -dx) : columns - max(0, dx)]
        there = np.s_[max(0, dy) : rows - max(0, -dy), max(0, dx) : columns - max(0, -dx)]
        np.maximum(horizon[here], height[there] - np.float32(step * climb * pixel), out=horizon[here])
    return horizon - height


def _reduce_truth(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives a picture pixel the class that covers more than half of it, and 255 if there is none."""
    rows, columns = (n // OVERSAMPLING for n in truth.shape)
    blocks = (
        truth.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING)
        .transpose(0, 2, 1, 3)
        .reshape(rows, columns, -1)
    )
    reduced = np.full((rows, columns), VOID, dtype=np.uint8)
    for value in SampleClass:
        reduced[(blocks == value).sum(axis=-1) * 2 > OVERSAMPLING**2] = value
    return reduced
