"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

# QGIS's Python, in which the plugin is tested, has none of the backend's libraries: the fixtures import them.
if TYPE_CHECKING:
    import shapely
    from numpy.typing import NDArray
    from rasterio.transform import Affine

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real scenes beside the checkout; tests that need it skip without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the scenes in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights: the real architecture up to level 2, small and quick."""
    import torch

    from backend.encoders.checkpoint import save_checkpoint
    from backend.encoders.encoder import Encoder
    from backend.encoders.layout import EncoderLayout

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_checkpoint(
        Encoder(EncoderLayout(layers=(2,))), path, {"trained_on": "nothing, random weights for tests"}
    )
    return path


@pytest.fixture
def transform() -> Affine:
    """Pixels of 0.6 m."""
    from rasterio.transform import Affine

    return Affine(0.6, 0.0, 400_000.0, 0.0, -0.6, 4_300_000.0)


RasterMaker = Callable[..., Path]
SupportMaker = Callable[..., Path]


@pytest.fixture
def make_raster(tmp_path: Path, transform: Affine) -> RasterMaker:
    """Writes an array as a GeoTIFF: ``make_raster(array, crs=..., transform=..., mask=..., **profile)``."""
    import rasterio

    def make(
        array: NDArray[np.generic],
        name: str = "raster.tif",
        crs: str | None = "EPSG:26917",
        transform: Affine = transform,
        mask: NDArray[np.bool_] | None = None,
        **profile: object,
    ) -> Path:
        path = tmp_path / name
        bands, height, width = array.shape
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path, "w", driver="GTiff", width=width, height=height, count=bands, dtype=array.dtype,
                crs=crs, transform=transform, **profile,
            ) as dst,
        ):  # fmt: skip
            dst.write(array)
            if mask is not None:
                dst.write_mask(mask)
        return path

    return make


@pytest.fixture
def make_support(tmp_path: Path, transform: Affine) -> SupportMaker:
    """Writes polygons in pixel coordinates: ``make_support([(class_id, class_name, polygon), ...], transform)``."""

    def make(
        rows: list[tuple[int, str, shapely.Geometry]],
        transform: Affine = transform,
        crs: str | None = "EPSG:26917",
        name: str = "support.gpkg",
    ) -> Path:
        import pyogrio
        import shapely

        path = tmp_path / name
        matrix = [transform.a, transform.b, transform.d, transform.e, transform.c, transform.f]
        geometries = [shapely.affinity.affine_transform(polygon, matrix) for _, _, polygon in rows]
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(np.array(geometries, object)),
            field_data=[
                np.array([row[0] for row in rows], np.int64),
                np.array([row[1] for row in rows], object),
            ],
            fields=np.array(["class_id", "class_name"], object),
            geometry_type="Unknown",
            crs=crs,
            driver="GPKG" if path.suffix == ".gpkg" else None,
        )
        return path

    return make


@pytest.fixture
def two_halves() -> NDArray[np.uint8]:
    """An image of 3 x 120 x 160: green left half, blue right half, with a little noise."""
    rng = np.random.default_rng(0)
    image = np.empty((3, 120, 160), np.float64)
    image[:, :, :80] = np.array([60, 140, 50])[:, None, None]
    image[:, :, 80:] = np.array([40, 60, 150])[:, None, None]
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
