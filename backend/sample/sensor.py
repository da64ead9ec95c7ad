"""The camera: blur, haze, tone curve, noise and the compression that aerial pictures are delivered with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter, zoom

from backend.sample.textures import Float, fractal_noise

_HAZE = (0.013, 0.017, 0.024)


def expose(light: Float, oversampling: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Takes the picture.

    Args:
        light: Light that leaves the ground, linear, (rows, columns, 3) on the fine grid; 1 is white ground.
        oversampling: Fine pixels per picture pixel along each axis.
        rng: Source of the noise.

    Returns:
        The picture, uint8 (3, rows / oversampling, columns / oversampling).
    """
    for_fall, for_soft, for_grain = rng.spawn(3)
    rows, columns = (n // oversampling for n in light.shape[:2])
    picture = light.reshape(rows, oversampling, columns, oversampling, 3).mean(axis=(1, 3))
    picture = gaussian_filter(picture, (0.42, 0.42, 0.0))
    # Delivered orthophotos are sharpened a little after resampling.
    picture += 0.45 * (picture - gaussian_filter(picture, (1.0, 1.0, 0.0)))
    picture *= _falloff(rows, columns, for_fall)[..., None]
    picture = picture * 1.10 + np.asarray(_HAZE, dtype=np.float32)
    soft = np.stack([fractal_noise(g, (rows, columns), 2.5, 2.0) for g in for_soft.spawn(3)], axis=-1)
    grain = for_grain.standard_normal(picture.shape, dtype=np.float32)
    # Photon noise grows with the square root of the signal.
    picture += np.sqrt(np.maximum(picture, 0.0)) * (0.005 * soft + 0.007 * grain)
    display = np.clip(picture, 0.0, 1.0) ** np.float32(1.0 / 2.2)
    # The gentle S-curve that photogrammetric workflows apply for contrast.
    display = display + 0.10 * display * (1.0 - display) * (2.0 * display - 0.75)
    grey = display.mean(axis=-1, keepdims=True)
    display = grey + 0.96 * (display - grey)
    compressed = _compress(np.clip(display, 0.0, 1.0) * 255.0)
    return np.ascontiguousarray(np.clip(np.rint(compressed), 0, 255).astype(np.uint8).transpose(2, 0, 1))


def _falloff(rows: int, columns: int, rng: np.random.Generator) -> Float:
    """Returns the uneven brightness of a flight line: a tilt over the picture and a little vignetting."""
    y = np.linspace(-1.0, 1.0, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, columns, dtype=np.float32)[None, :]
    tilt_x, tilt_y = rng.uniform(-0.035, 0.035, 2)
    return (1.0 + tilt_x * x + tilt_y * y - 0.025 * (x**2 + y**2)).astype(np.float32)


def _compress(display: Float) -> Float:
    """Imitates a good JPEG: half resolution colour and brightness quantised in blocks of 8 x 8.

    Args:
        display: Display values 0..255, (rows, columns, 3).

    Returns:
        Display values of the same shape.
    """
    red, green, blue = (display[..., band] for band in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return_luma = _quantise(luma, 1.8)
    bands = []
    for band in (red, blue):
        bands.append(return_luma + _halve(band - luma))
    green_out = (return_luma - 0.299 * bands[0] - 0.114 * bands[1]) / 0.587
    return np.stack([bands[0], green_out, bands[1]], axis=-1)


def _halve(chroma: Float) -> Float:
    """Averages 2 x 2 pixels and interpolates back."""
    rows, columns = chroma.shape
    even = np.pad(chroma, ((0, rows % 2), (0, columns % 2)), mode="edge")
    small = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))
    return zoom(_quantise(small, 1.5), 2, order=1, grid_mode=True, mode="nearest")[:rows, :columns]


def _quantise(plane: Float, step: float) -> Float:
    """Rounds the cosine coefficients of 8 x 8 blocks, coarser for finer detail."""
    rows, columns = plane.shape
    full = np.pad(plane, ((0, -rows % 8), (0, -columns % 8)), mode="edge")
    blocks = full.reshape(full.shape[0] // 8, 8, full.shape[1] // 8, 8)
    order = np.arange(8, dtype=np.float32)
    table = step * (1.0 + 0.38 * (order[:, None] + order[None, :]))[None, :, None, :]
    coefficients = np.rint(fft.dctn(blocks, axes=(1, 3), norm="ortho") / table) * table
    return (
        fft.idctn(coefficients, axes=(1, 3), norm="ortho")
        .reshape(full.shape)[:rows, :columns]
        .astype(np.float32)
    )
