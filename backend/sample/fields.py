"""Paints fields and meadows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt, find_objects, zoom

from backend.sample.canvas import Canvas, Relief
from backend.sample.features import Parcel, SampleClass
from backend.sample.textures import Float, Stripes, linear, smoothstep, tramlines


@dataclass(frozen=True)
class Crop:
    """How a crop looks: two display colours and the strengths of what mixes and modulates them."""

    dark: tuple[float, float, float]
    light: tuple[float, float, float]
    patchy: float
    stripes: float
    stripe_size: float
    rows: float
    row_spacing: float
    tram_spacing: float
    tram: float
    texture: float
    truth: SampleClass = SampleClass.FIELD


def _crop(name: str) -> Crop:
    """Returns the recipe of a crop."""
    recipes = {
        "wheat": Crop(
            (90, 101, 64), (130, 133, 88), 0.18, 0.09, 2.5, 0.0, 1.0, 18.0, 0.55, 0.07, SampleClass.GRASS
        ),
        "barley": Crop((152, 138, 96), (188, 172, 126), 0.17, 0.09, 2.5, 0.0, 1.0, 18.0, -0.5, 0.06),
        "maize": Crop((96, 104, 66), (150, 136, 108), 0.22, 0.06, 3.0, 0.30, 1.5, 24.0, 0.3, 0.08),
        "soil": Crop((110, 96, 79), (160, 143, 118), 0.26, 0.16, 0.8, 0.0, 1.0, 12.0, 0.05, 0.08),
        "beet": Crop(
            (76, 94, 54), (116, 122, 78), 0.20, 0.08, 3.0, 0.20, 1.5, 21.0, 0.4, 0.08, SampleClass.GRASS
        ),
        "stubble": Crop((162, 146, 110), (200, 184, 146), 0.18, 0.12, 1.2, 0.22, 7.2, 36.0, -0.05, 0.06),
        "meadow": Crop(
            (96, 108, 66), (138, 142, 92), 0.26, 0.05, 2.5, 0.0, 1.0, 1e6, 0.0, 0.09, SampleClass.GRASS
        ),
        "mown": Crop(
            (118, 126, 78), (162, 160, 112), 0.18, 0.14, 1.8, 0.20, 6.2, 1e6, 0.0, 0.08, SampleClass.GRASS
        ),
    }
    return recipes[name]


def paint_parcels(
    canvas: Canvas, parcels: tuple[Parcel, ...], relief: Relief, rng: np.random.Generator
) -> None:
    """Paints fields and meadows with rows, tramlines, headlands, moisture and lodged patches."""
    if not parcels:
        return
    shapes = ((parcel.shape, number) for number, parcel in enumerate(parcels, start=1))
    numbers = rasterize(shapes, canvas.truth.shape, transform=Affine.scale(canvas.pixel), dtype=np.int32)
    rows, columns = numbers.shape
    edge = distance_transform_edt(numbers[::2, ::2] > 0).astype(np.float32) * (2.0 * canvas.pixel)
    edge = zoom(edge, 2, order=1)[:rows, :columns]
    generators = rng.spawn(len(parcels))
    for number, window in enumerate(find_objects(numbers, len(parcels)), start=1):
        if window is None:
            continue
        parcel, local = parcels[number - 1], generators[number - 1]
        where = np.zeros(numbers.shape, dtype=bool)
        where[window] = numbers[window] == number
        y, x = (axis.astype(np.float32) * canvas.pixel for axis in np.nonzero(where))
        border = edge[where]
        _paint_parcel(canvas, where, parcel, x, y, border, relief, local)


def _paint_parcel(
    canvas: Canvas,
    where: NDArray[np.bool_],
    parcel: Parcel,
    x: Float,
    y: Float,
    border: Float,
    relief: Relief,
    rng: np.random.Generator,
) -> None:
    """Paints one parcel; `x`, `y` and the distance to the `border` are metres per pixel of the mask."""
    crop = _crop(parcel.crop)
    along = x * math.cos(parcel.angle) + y * math.sin(parcel.angle)
    across = -x * math.sin(parcel.angle) + y * math.cos(parcel.angle)
    # Nobody drives perfectly straight.
    across = across + rng.normal(0.0, 0.5) * np.sin(along / rng.uniform(35.0, 70.0) + rng.uniform(0.0, 6.28))
    headland = border < rng.uniform(8.0, 11.0)
    lane = np.where(headland, border + 500.0, across).astype(np.float32)
    stripes = Stripes.draw(rng, crop.stripe_size).at(lane)
    passes = Stripes.draw(rng, 9.0).at(across.astype(np.float32))
    rows = np.cos(lane * (2.0 * math.pi / crop.row_spacing) + 0.5 * relief.middle[where])
    broad, middle = relief.broad[where], relief.middle[where]
    sign = 1.0 if rng.random() < 0.6 else -1.0
    mix = 0.5 + crop.patchy * (sign * broad + 0.55 * middle) + crop.stripes * (stripes + 0.6 * passes)
    mix += crop.rows * rows * smoothstep(-2.2, 0.3, middle + 0.8)
    mix += 0.10 * rng.normal() + 0.22 * np.exp(-border / 2.0) * (1.0 + middle)
    lodged = smoothstep(1.5, 2.1, middle - 0.5 * broad) if parcel.crop in ("wheat", "barley") else 0.0
    mix += 0.35 * lodged
    part = np.clip(mix, -0.25, 1.25)[:, None]
    tint = 1.0 + rng.normal(0.0, 0.022, 3).astype(np.float32)
    colour = (linear(crop.dark) * (1.0 - part) + linear(crop.light) * part) * tint
    passing = rng.uniform(0.0, crop.tram_spacing)
    drive = np.where(headland, border + crop.tram_spacing / 2.0 - 5.0, across + passing)
    wheel = tramlines(drive, crop.tram_spacing) * (~headland | (border < 9.0))
    strength = crop.tram * (0.65 + 0.35 * np.tanh(middle))
    soil = linear((146, 128, 104)) if crop.tram > 0 else linear(crop.dark) * 0.6
    cover = (np.abs(strength) * wheel)[:, None].astype(np.float32)
    colour = colour * (1.0 - cover) + soil * cover
    colour *= (1.0 + crop.texture * (0.9 * relief.small[where] + 0.9 * relief.grain[where]))[:, None]
    canvas.albedo[where] = np.maximum(colour, 0.004)
    canvas.truth[where] = crop.truth
