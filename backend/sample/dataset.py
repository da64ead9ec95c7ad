"""Generates the sample and writes it as the files a user of the plugin would bring along."""

from __future__ import annotations

import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from pyogrio.raw import write as write_vector
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from shapely import to_wkb

from backend.rasters.label_map import write_error
from backend.sample.features import VOID, SampleClass
from backend.sample.landscape import build_landscape
from backend.sample.rendering import render
from backend.sample.support import SupportPolygon, draw_support, to_map

DEFAULT_SEED = 42
CRS = "EPSG:25832"
_UPPER_LEFT = (561_200.0, 5_534_800.0)
_TILE = 256
_COLOURS = {
    SampleClass.FIELD: (222, 190, 110),
    SampleClass.FOREST: (38, 92, 44),
    SampleClass.ROAD: (96, 96, 100),
    SampleClass.BUILDING: (196, 64, 48),
    SampleClass.WATER: (58, 112, 190),
    SampleClass.GRASS: (150, 196, 96),
}


@dataclass(frozen=True)
class Sample:
    """A generated scene.

    `image` is the picture, uint8 (3, rows, columns) in the order red, green, blue. `truth` holds the class of
    every pixel, uint8 (rows, columns), 255 where none applies. `support` lists hand-drawn-looking polygons.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    support: tuple[SupportPolygon, ...]


@dataclass(frozen=True)
class SamplePaths:
    """The files of a written sample: the orthophoto, its truth and the support polygons."""

    raster: Path
    labels: Path
    support: Path


def generate_sample(width: int, height: int, seed: int, pixel_size: float = 0.5) -> Sample:
    """Generates a scene; the same arguments always give the same arrays.

    Args:
        width: Columns of the picture, at least 64.
        height: Rows of the picture, at least 64.
        seed: Seed of all randomness.
        pixel_size: Metres per pixel.

    Returns:
        The scene.

    Raises:
        ValueError: If the picture would be too small or the pixel size is not positive.
    """
    if width < 64 or height < 64:
        raise ValueError(f"A sample needs at least 64 x 64 pixels, not {width} x {height}.")
    if pixel_size <= 0.0:
        raise ValueError(f"The pixel size must be positive, not {pixel_size}.")
    for_land, for_picture, for_support = np.random.default_rng(seed).spawn(3)
    land = build_landscape(width * pixel_size, height * pixel_size, for_land)
    image, truth = render(land, width, height, pixel_size, for_picture)
    return Sample(image, truth, draw_support(land, image, truth, pixel_size, for_support))


def write_sample(
    folder: Path, width: int = 1600, height: int = 1200, seed: int = DEFAULT_SEED, pixel_size: float = 0.5
) -> SamplePaths:
    """Generates a scene and writes it.

    Args:
        folder: Where the files go; created if it is missing.
        width: Columns of the picture.
        height: Rows of the picture.
        seed: Seed of all randomness.
        pixel_size: Metres per pixel.

    Returns:
        The paths of `orthophoto.tif`, `labels.tif` and `support.gpkg`. Existing files are replaced.

    Raises:
        OutputError: When the folder cannot be written to; nothing is left half-written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written aside first: the scene takes a while, and a folder that cannot be written to shows at once.
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=folder) as aside, rasterio.Env():
            sample = generate_sample(width, height, seed, pixel_size)
            transform = Affine.translation(*_UPPER_LEFT) @ Affine.scale(pixel_size, -pixel_size)
            parts = _paths(Path(aside))
            _write_picture(parts.raster, sample.image, transform)
            _write_labels(parts.labels, sample.truth, transform)
            _write_support(parts.support, sample.support, transform)
            paths = _paths(folder)
            for part, path in zip(astuple(parts), astuple(paths), strict=True):
                part.replace(path)
    except (OSError, RasterioError, DataSourceError) as error:
        raise write_error(folder / "orthophoto.tif", error) from error
    return paths


def _paths(folder: Path) -> SamplePaths:
    return SamplePaths(folder / "orthophoto.tif", folder / "labels.tif", folder / "support.gpkg")


def _profile(shape: tuple[int, ...], transform: Affine) -> dict[str, object]:
    """Returns the settings both rasters share; tiles only where the raster is larger than one."""
    profile: dict[str, object] = {
        "driver": "GTiff",
        "count": shape[0],
        "height": shape[1],
        "width": shape[2],
        "dtype": "uint8",
        "crs": CRS,
        "transform": transform,
        "compress": "deflate",
    }
    if min(shape[1:]) > _TILE:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    return profile


def _write_picture(path: Path, image: NDArray[np.uint8], transform: Affine) -> None:
    """Writes the orthophoto with overviews, which make zooming out smooth."""
    profile = _profile(image.shape, transform) | {"predictor": 2, "photometric": "RGB", "interleave": "pixel"}
    with rasterio.open(path, "w", **profile) as target:
        target.write(image)
        target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        target.build_overviews([2, 4, 8], Resampling.average)


def _write_labels(path: Path, truth: NDArray[np.uint8], transform: Affine) -> None:
    """Writes the truth with a colour table; 255 is nodata."""
    with rasterio.open(path, "w", **_profile((1, *truth.shape), transform), nodata=VOID) as target:
        target.write(truth, 1)
        target.write_colormap(1, {int(label): (*colour, 255) for label, colour in _COLOURS.items()})
        target.set_band_description(1, ", ".join(f"{label.value} {label.title}" for label in SampleClass))


def _write_support(path: Path, support: tuple[SupportPolygon, ...], transform: Affine) -> None:
    """Writes the support polygons as a GeoPackage layer `support`."""
    shapes = np.array([to_wkb(to_map(polygon.shape, transform)) for polygon in support], dtype=object)
    write_vector(
        path,
        geometry=shapes,
        field_data=[
            np.array([int(polygon.label) for polygon in support], dtype=np.int32),
            np.array([polygon.label.title for polygon in support], dtype=object),
            np.array(["support"] * len(support), dtype=object),
        ],
        fields=["class_id", "class_name", "use"],
        geometry_type="Polygon",
        crs=CRS,
        layer="support",
        driver="GPKG",
    )
