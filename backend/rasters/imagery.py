"""A tile's image, ready for the encoder: invalid pixels filled, edges padded, resampled to 8 pixels per cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import interpolate

from .grid import FeatureGrid, Tile
from .source import RasterSource

STRIDE = 8  # encoder input pixels per feature cell


@dataclass(frozen=True)
class TileImage:
    """What was read for one tile.

    Attributes:
        image: Encoder input with shape (3, 8 * cell rows, 8 * cell columns), values 0..255, or None when the tile
            has no valid pixel.
        spectral: All bands in use with shape (bands, height, width) in raster pixels, 0..255, 0 where invalid;
            None unless it was asked for.
        valid: Shape (height, width); None unless it was asked for.
    """

    image: Tensor | None
    spectral: NDArray[np.float32] | None = None
    valid: NDArray[np.bool_] | None = None


def read_tile(source: RasterSource, grid: FeatureGrid, tile: Tile, pixels: bool = False) -> TileImage:
    """Read a tile and prepare it for the encoder.

    Args:
        source: The raster.
        grid: The feature grid.
        tile: One of its tiles.
        pixels: Whether the full-resolution values and validity are wanted too.
    """
    window = grid.pixels(tile)
    height, width = int(window.height), int(window.width)
    coarse = grid.cell > STRIDE
    if coarse:
        # Averaging while reading lets GDAL use overviews, and a tile of a fine drone mosaic never fills the memory.
        factor = STRIDE / grid.cell
        shape = max(1, round(height * factor)), max(1, round(width * factor))
        spectral, valid = source.read(window, shape)
    else:
        spectral, valid = source.read(window)
    image = None
    if valid.any():
        filled = fill_invalid(source.composite(spectral), valid)
        rows, cols = tile.y1 - tile.y0, tile.x1 - tile.x0
        side = STRIDE if coarse else grid.cell
        padded = pad_to(filled, rows * side, cols * side)
        image = torch.from_numpy(padded)
        if grid.cell != side or side != STRIDE:
            size = (rows * STRIDE, cols * STRIDE)
            image = interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
    if not pixels:
        return TileImage(image)
    if coarse:
        spectral, valid = source.read(window)
    return TileImage(image, spectral, valid)


def fill_invalid(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace invalid pixels by the mirror image of what lies across the nearest edge of the valid area.

    An encoder sees a border of imagery as an edge, and its features there tell of the edge and not of the ground.
    Mirrored content has no edge and depends on valid pixels alone.

    Args:
        image: Shape (bands, height, width).
        valid: Shape (height, width).
    """
    if valid.all() or not valid.any():
        return image
    near_row, near_col = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    row, col = np.indices(valid.shape)
    # The mirror is the outer edge of the nearest valid pixel, not its middle, so that pixel itself comes first.
    mirror_row = np.clip(2 * near_row - row + np.sign(row - near_row), 0, valid.shape[0] - 1)
    mirror_col = np.clip(2 * near_col - col + np.sign(col - near_col), 0, valid.shape[1] - 1)
    usable = valid[mirror_row, mirror_col]
    row, col = np.where(usable, mirror_row, near_row), np.where(usable, mirror_col, near_col)
    filled: NDArray[np.float32] = image[:, row, col]
    return filled


def pad_to(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Pad at the bottom and right by reflection, repeated as often as a small image needs."""
    missing = ((0, 0), (0, height - image.shape[1]), (0, width - image.shape[2]))
    if not any(after for _, after in missing):
        return np.ascontiguousarray(image)
    return np.pad(image, missing, mode="symmetric")
