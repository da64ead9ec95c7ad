"""What the tool understands of a raster, in words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from .source import RasterSource

_LOOK = 512  # pixels a side that are read, decimated, to see how much is valid
_LARGE = 8192  # pixels a side; of a larger raster only parts are looked at
_PARTS = 12  # by 12 of them
_PART = 32  # pixels a side


def describe(path: str | Path, bands: Sequence[int] | None = None) -> dict[str, Any]:
    """Describe a raster.

    Args:
        path: Anything GDAL reads.
        bands: As for :class:`RasterSource`.

    Returns:
        Texts by name, in the order in which they are best read; and "values", a dictionary for programs: "stretch"
        (two lists, low and high), "bands" (numbers of those in use), "band_count" and "band_names" (of all).

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
        valid = look_at_validity(source)
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
            "values": {
                "stretch": [list(stretch.low), list(stretch.high)],
                "bands": [*composite, *extra],
                "band_count": len(titles),
                "band_names": titles,
            },
        }


def look_at_validity(source: RasterSource) -> NDArray[np.bool_]:
    """Which pixels are valid, in a coarse picture of the raster.

    Of a large raster it is put together from small parts that are spread over it: to decimate it, all of it would have
    to be read.
    """
    if max(source.height, source.width) <= _LARGE:
        return source.read(source.window, (min(source.height, _LOOK), min(source.width, _LOOK)))[1]
    rows, cols = (
        sorted(set(np.linspace(0, max(side - _PART, 0), _PARTS).astype(int).tolist()))
        for side in (source.height, source.width)
    )
    size = min(source.height, _PART), min(source.width, _PART)
    return np.block([[source.read(Window(col, row, size[1], size[0]))[1] for col in cols] for row in rows])


def _crs(source: RasterSource) -> str:
    if source.crs is None:
        return "none: coordinates are pixels" if source.transform.is_identity else "none"
    authority = source.crs.to_authority()
    return ":".join(authority) if authority else source.crs.to_wkt()[:80]
