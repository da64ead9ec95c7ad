"""Noise, crop rows, tree crowns and roofs as plain array functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d, zoom

Float = NDArray[np.float32]


def linear(colour: tuple[float, float, float]) -> Float:
    """Converts a display colour (0..255) to linear reflectance (0..1)."""
    return (np.clip(np.asarray(colour, dtype=np.float32), 0.0, 255.0) / 255.0) ** 2.2


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], size: float, rough: float = 2.0, every: int = 1
) -> Float:
    """Makes smooth random relief.

    Args:
        rng: Source of randomness.
        shape: Rows and columns.
        size: Largest feature in pixels; smaller features follow a power law.
        rough: Exponent of that law; 1 is grainy, 3 is smooth.
        every: Computes on a grid this many pixels wide and interpolates, for relief without fine detail.

    Returns:
        Array of `shape`, mean 0 and standard deviation 1.
    """
    rows, columns = (max(4, math.ceil(n / every) + 1) for n in shape)
    spectrum = fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
    fy = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(columns).astype(np.float32)[None, :]
    scale = max(size / every, 1.0)
    spectrum *= (1.0 + (fx**2 + fy**2) * np.float32(scale**2)) ** np.float32(-0.5 * rough)
    relief = fft.irfft2(spectrum, s=(rows, columns)).astype(np.float32)
    if every > 1:
        relief = zoom(relief, every, order=1)
    relief = relief[: shape[0], : shape[1]]
    return (relief - relief.mean()) / max(float(relief.std()), 1e-6)


@dataclass(frozen=True)
class Stripes:
    """One-dimensional noise across the working direction: what drills, ploughs and mowers leave behind."""

    samples: Float
    step: float

    @classmethod
    def draw(cls, rng: np.random.Generator, size: float, step: float = 0.25, count: int = 4096) -> Stripes:
        """Draws stripes about `size` metres wide."""
        noise = gaussian_filter1d(rng.standard_normal(count), max(size / step / 2.0, 0.3), mode="wrap")
        return cls((noise / noise.std()).astype(np.float32), step)

    def at(self, across: Float) -> Float:
        """Looks the stripes up at positions in metres; the pattern repeats after `count * step` metres."""
        position = across / self.step
        index = np.floor(position).astype(np.int64)
        part = (position - index).astype(np.float32)
        count = len(self.samples)
        return self.samples[index % count] * (1.0 - part) + self.samples[(index + 1) % count] * part


def tramlines(across: Float, spacing: float, gauge: float = 1.9, tyre: float = 0.34) -> Float:
    """Returns 0..1 for how much a pixel lies in a wheel track; pairs repeat every `spacing` metres."""
    offset = np.abs(np.mod(across, spacing) - spacing / 2.0)
    return np.exp(-(((offset - gauge / 2.0) / tyre) ** 2)).astype(np.float32)


def facing_sun(height: Float, pixel: float, sun: Float) -> Float:
    """Returns how strongly a surface is lit by the sun, 1 for level ground.

    Args:
        height: Heights in metres, shape (rows, columns).
        pixel: Pixel size in metres.
        sun: Unit vector (x, y, up) towards the sun.
    """
    dy, dx = np.gradient(height, pixel)
    dot = (-dx * sun[0] - dy * sun[1] + sun[2]) / np.sqrt(dx**2 + dy**2 + 1.0)
    return (np.maximum(dot, 0.0) / sun[2]).astype(np.float32)


def crown(
    rng: np.random.Generator, radius: float, depth: float, pointed: bool, pixel: float, lumps: Float
) -> tuple[Float, NDArray[np.bool_]]:
    """Shapes one tree crown.

    Args:
        rng: Source of randomness.
        radius: Crown radius in metres.
        depth: Height of the crown in metres.
        pointed: Cone (conifer) instead of dome (broadleaf).
        pixel: Pixel size in metres.
        lumps: Unit noise of about a metre feature size, larger than any crown; a random piece is cut out.

    Returns:
        Height above the base of the crown in metres and the pixels it covers, both square with odd sides.
    """
    reach = math.ceil(radius * 1.35 / pixel) + 1
    axis = np.arange(-reach, reach + 1, dtype=np.float32) * pixel
    x, y = axis[None, :] - rng.uniform(-0.5, 0.5) * pixel, axis[:, None] - rng.uniform(-0.5, 0.5) * pixel
    turn = np.arctan2(y, x)
    outline = np.ones_like(turn)
    for order, swing in ((2, 0.10), (3, 0.09), (5, 0.07), (8, 0.05)):
        outline += rng.normal(0.0, swing * (0.5 if pointed else 1.0)) * np.cos(
            order * turn + rng.uniform(0.0, 6.28)
        )
    top, left = (int(rng.integers(0, n - 2 * reach - 1)) for n in lumps.shape)
    bumps = lumps[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
    out = np.hypot(x, y) / (radius * outline) + 0.09 * bumps
    covered = out < 1.0
    inner = np.clip(out, 0.0, 1.0)
    shape = (1.0 - inner) ** 0.85 if pointed else np.sqrt(1.0 - inner**2)
    return (depth * shape + (0.22 if pointed else 0.38) * bumps).astype(np.float32), covered


def roof(kind: str, along: Float, across: Float, length: float, width: float, slope: float) -> Float:
    """Returns the height of a roof above its eaves in metres.

    Args:
        kind: "gable", "hip" or "flat".
        along: Metres from the centre along the ridge.
        across: Metres from the centre across the ridge.
        length: Length of the roof.
        width: Width of the roof.
        slope: Rise per metre.
    """
    rise = slope * (width / 2.0 - np.abs(across))
    if kind == "hip":
        rise = np.minimum(rise, slope * (length / 2.0 - np.abs(along)))
    return np.maximum(rise, 0.0) if kind != "flat" else np.zeros_like(rise)


def smoothstep(low: float, high: float, value: Float) -> Float:
    """Rises smoothly from 0 at `low` to 1 at `high`."""
    part = np.clip((value - low) / (high - low), 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)
