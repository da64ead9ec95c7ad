"""The bands of 8-bit image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DatasetError

_EXTRA_SAMPLES, _PREMULTIPLIED = 338, (1,)  # of TIFF: what bands beyond the colours are


def read_bands(path: Path) -> NDArray[np.uint8]:
    """All bands of an 8-bit file, (bands, height, width).

    Pillow reads the tiles; rasterio does where Pillow cannot, or would change values by an alpha band.

    Raises:
        DatasetError: When neither can.
    """
    try:
        with Image.open(path) as image:
            premultiplied = getattr(image, "tag_v2", {}).get(_EXTRA_SAMPLES) == _PREMULTIPLIED
            if image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "L") and not premultiplied:
                return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
    except (OSError, SyntaxError):
        pass
    try:
        import rasterio
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"Pillow cannot read {path}; install rasterio, or fetch the file again."
        ) from error
    try:
        with rasterio.open(path) as src:
            bands: NDArray[np.uint8] = src.read()
    except rasterio.errors.RasterioIOError as error:
        raise DatasetError(f"The file {path} cannot be read; fetch it again.") from error
    if bands.dtype != np.uint8:
        raise DatasetError(
            f"The file {path} has {bands.dtype} values, not 8-bit ones; use the original file."
        )
    return bands
