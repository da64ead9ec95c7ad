"""What the tool understands of a raster, in words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from .source import RasterSource

_LOOK = 512  # pixels a side that are read, decimated, to see how much is valid


def describe(path: str | Path, bands: Sequence[int] | None = None) -> dict[str, str]:
    """Describe a raster.

    Args:
        path: Anything GDAL reads.
        bands: As for :class:`RasterSource`.

    Returns:
        Texts by name, in the order in which they are best read.

    Raises:
        RasterError: When it cannot be read.
    """
    with RasterSource(path, bands) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(source.path) as src:
            titles = [
                text or color.name for text, color in zip(src.descriptions, src.colorinterp, strict=True)
            ]
            names = [
                f"{i} {title} {dtype}"
                for i, title, dtype in zip(src.indexes, titles, src.dtypes, strict=True)
            ]
            nodata = sorted({f"{value:g}" for value in src.nodatavals if value is not None})
            kinds = sorted({flag.name.replace("_", " ") for flags in src.mask_flag_enums for flag in flags})
            driver = src.driver
        shape = min(source.height, _LOOK), min(source.width, _LOOK)
        _, valid = source.read(source.window, shape)
        size = source.pixel_size
        stretch = source.stretch
        identity = not np.any(stretch.low) and set(stretch.high) == {255.0}
        pairs = ", ".join(f"{low:g} to {high:g}" for low, high in zip(stretch.low, stretch.high, strict=True))
        composite, extra = source.bands.composite, source.bands.extra
        return {
            "raster": source.path,
            "format": driver,
            "size": f"{source.width} x {source.height}",
            "bands": ", ".join(names),
            "red, green, blue": f"{composite[0]}, {composite[1]}, {composite[2]} ({source.bands.reason})",
            "extra bands": ", ".join(map(str, extra)) or "none",
            "crs": _crs(source),
            "pixel size": f"{size:.4g} m" if size else "unknown",
            "rotated": "yes" if source.transform.b or source.transform.d else "no",
            "nodata": ", ".join(nodata) or "none declared",
            "mask": ", ".join(kinds),
            "valid": f"{100 * valid.mean():.0f} % (looked at {valid.shape[1]} x {valid.shape[0]} pixels)",
            "stretch": "none, values are 0 to 255 already" if identity else pairs,
        }


def _crs(source: RasterSource) -> str:
    if source.crs is None:
        return "none: coordinates are pixels" if source.transform.is_identity else "none"
    authority = source.crs.to_authority()
    return ":".join(authority) if authority else source.crs.to_wkt()[:80]
