"""The canvas a scene is painted on, and the noise all ground shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from backend.sample.textures import Float, fractal_noise, linear


@dataclass
class Canvas:
    """The scene while it is painted, all arrays (rows, columns) on the fine grid.

    `albedo` (rows, columns, 3) is linear reflectance, `height` metres above ground, `facing` the strength of
    direct sun on the surface (1 for level ground), `truth` the class seen from above, `leafy` whether
    that is a crown, `pixel` the size of a fine pixel in metres.
    """

    albedo: Float
    height: Float
    facing: Float
    truth: NDArray[np.uint8]
    leafy: NDArray[np.bool_]
    pixel: float

    def mask(self, shape: BaseGeometry) -> NDArray[np.bool_]:
        """Rasterises a shape given in metres."""
        if shape.is_empty:
            return np.zeros(self.truth.shape, dtype=bool)
        grid = Affine.scale(self.pixel)
        return rasterize([shape], self.truth.shape, transform=grid, dtype=np.uint8).astype(bool)


@dataclass(frozen=True)
class Relief:
    """Unit noise of several feature sizes, shared by all ground because soil does not end at a parcel."""

    broad: Float
    middle: Float
    small: Float
    grain: Float

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, int], pixel: float) -> Relief:
        """Draws the noise for a canvas."""
        one, two, three, four = rng.spawn(4)
        return cls(
            fractal_noise(one, shape, 70.0 / pixel, 2.8, every=4),
            fractal_noise(two, shape, 9.0 / pixel, 2.2, every=2),
            fractal_noise(three, shape, 1.6 / pixel, 2.0),
            three.standard_normal(shape, dtype=np.float32) * 0.6 + 0.4 * fractal_noise(four, shape, 2.0, 1.0),
        )


def fill(
    canvas: Canvas,
    where: NDArray[np.bool_],
    dark: tuple[float, float, float],
    light: tuple[float, float, float],
    mix: Float,
    relief: Relief,
    texture: float,
    cover: float = 1.0,
) -> None:
    """Lays a colour between two display colours over a mask; `cover` below 1 lets the ground through."""
    part = np.clip(mix[where], -0.3, 1.3)[:, None]
    colour = linear(dark) * (1.0 - part) + linear(light) * part
    colour *= (1.0 + texture * (0.8 * relief.small[where] + 0.9 * relief.grain[where]))[:, None]
    canvas.albedo[where] = canvas.albedo[where] * (1.0 - cover) + np.maximum(colour, 0.004) * cover
