"""Tiny rasters and support polygons, generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

UTM = "EPSG:32633"
NORTH_UP = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)

MakeRaster = Callable[..., Path]
MakeSupport = Callable[..., Path]


@pytest.fixture
def make_raster(tmp_path: Path) -> MakeRaster:
    """Write a GeoTIFF of 0.5 m pixels in UTM, or as the options say, and return its path."""

    def make(
        pixels: NDArray[Any],
        name: str = "raster.tif",
        crs: Any = UTM,
        transform: Affine = NORTH_UP,
        colors: Sequence[ColorInterp] | None = None,
        names: Sequence[str] | None = None,
        mask: NDArray[np.bool_] | None = None,
        internal: bool = True,
        colormap: dict[int, tuple[int, ...]] | None = None,
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        shape = dict(zip(("count", "height", "width"), pixels.shape, strict=True))
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                dtype=pixels.dtype,
                crs=crs,
                transform=transform,
                **shape,
                **options,
            ) as dst,
        ):
            if colors:
                dst.colorinterp = colors
            if colormap:
                dst.write_colormap(1, colormap)
            if names:
                dst.descriptions = names
            dst.write(pixels)
            if mask is not None:
                dst.write_mask(mask)
        return path

    return make


@pytest.fixture
def make_support(tmp_path: Path) -> MakeSupport:
    """Write polygons and their attributes with OGR and return the path; a geometry may be missing (None)."""

    def make(
        geometries: Sequence[Any],
        file: str = "support.gpkg",
        crs: str | None = UTM,
        layer: str | None = None,
        kind: str = "Unknown",
        **fields: Any,
    ) -> Path:
        path = tmp_path / file
        fields = fields or {"class_id": np.arange(1, len(geometries) + 1)}
        pyogrio.raw.write(
            path,
            shapely.to_wkb(np.array([*geometries, None], object)[:-1]),
            [np.asarray(values) for values in fields.values()],
            list(fields),
            layer=layer,
            crs=crs,
            geometry_type=kind,
            append=path.exists(),
        )
        return path

    return make
