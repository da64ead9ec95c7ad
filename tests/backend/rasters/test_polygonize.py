"""Polygons cover exactly the labelled pixels, with names and areas, in every format."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.features import rasterize
from rasterio.transform import Affine

from backend.errors import OutputError, RasterError
from backend.rasters import polygonize as module
from backend.rasters.polygonize import polygonize
from backend.rasters.support import ClassInfo

pytestmark = [
    pytest.mark.filterwarnings("error::UserWarning"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]

_CLASSES = (ClassInfo(1, "water"), ClassInfo(3, "Straße"))
_UTM = "EPSG:32632"
_ROTATED = Affine(0.5, 0.1, 500_000.0, 0.1, -0.5, 5_000_000.0)


def _labels(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).choice(np.array([1, 3, 9, 255], np.uint8), (height // 4, width // 4))
    return coarse.repeat(4, 0).repeat(4, 1)


def _save(
    path: Path, pixels: NDArray[Any], crs: str | None = "EPSG:32632", transform: Affine = _ROTATED
) -> Path:
    height, width = pixels.shape
    size = {"width": width, "height": height, "count": 1, "dtype": str(pixels.dtype), "nodata": 255}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size) as dst:
        dst.write(pixels, 1)
    return path


def _load(path: Path) -> tuple[dict[str, Any], NDArray[np.object_], dict[str, NDArray[Any]]]:
    meta, _, wkb, values = pyogrio.raw.read(path)
    return meta, shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))


@pytest.mark.parametrize("name", ["a.b.gpkg", "a.geojson", "a.fgb", "a.shp", "a.GPKG"])
def test_polygons_cover_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(module, "_CHUNK", 40)
    pixels = _labels()
    source = _save(tmp_path / "labels.tif", pixels)
    output = tmp_path / name
    for _ in range(2):  # the second time it replaces the first
        count = polygonize(source, output, _CLASSES)
    meta, polygons, fields = _load(output)
    assert len(polygons) == count > 80
    assert shapely.is_valid(polygons).all()
    assert meta["crs"] == _UTM
    ids = fields["class_id"].tolist()
    assert set(zip(ids, fields["class_name"], strict=True)) == {(1, "water"), (3, "Straße"), (9, "class 9")}
    assert np.allclose(fields["area_m2"], shapely.area(polygons), rtol=1e-6)
    assert np.isclose(fields["area_m2"].sum(), (pixels != 255).sum() * abs(_ROTATED.determinant))
    burnt = rasterize(
        zip(polygons, ids, strict=True), pixels.shape, fill=255, transform=_ROTATED, dtype="uint8"
    )
    assert (burnt == pixels).all()
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(".") or "-" in file.name]


def test_geographic_areas_are_geodesic(tmp_path: Path) -> None:
    pixels = np.full((100, 100), 1, np.uint8)
    source = _save(tmp_path / "labels.tif", pixels, "EPSG:4326", Affine(0.001, 0, 10.0, 0, -0.001, 60.0))
    assert polygonize(source, tmp_path / "a.gpkg", _CLASSES) == 1
    _, _, fields = _load(tmp_path / "a.gpkg")
    expected = Geod(ellps="WGS84").geometry_area_perimeter(shapely.box(10.0, 59.9, 10.1, 60.0))[0]
    assert np.isclose(fields["area_m2"][0], expected, rtol=1e-3)


def test_areas_in_feet_become_square_metres(tmp_path: Path) -> None:
    source = _save(
        tmp_path / "labels.tif", np.full((10, 10), 1, np.uint8), "EPSG:2263", Affine(1, 0, 9e5, 0, -1, 2e5)
    )
    polygonize(source, tmp_path / "a.gpkg", _CLASSES)
    assert np.isclose(_load(tmp_path / "a.gpkg")[2]["area_m2"][0], 100 * 0.3048006096**2)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_without_crs_areas_are_pixels(tmp_path: Path, scale: float) -> None:
    pixels = np.full((10, 12), 255, np.uint8)
    pixels[2:5, 3:7] = 3
    source = _save(tmp_path / "labels.tif", pixels, None, Affine.scale(scale))
    assert polygonize(source, tmp_path / "a.gpkg", _CLASSES) == 1
    meta, polygons, fields = _load(tmp_path / "a.gpkg")
    assert meta["crs"] is None and fields["area_px"].tolist() == [12.0]
    assert polygons[0].bounds == (3 * scale, 2 * scale, 7 * scale, 5 * scale)


def test_holes_and_corners(tmp_path: Path) -> None:
    pixels = np.full((6, 6), 1, np.uint8)
    pixels[1, 1] = pixels[2, 2] = 3
    polygonize(_save(tmp_path / "labels.tif", pixels), tmp_path / "a.gpkg", _CLASSES)
    _, polygons, fields = _load(tmp_path / "a.gpkg")
    assert sorted(fields["class_id"].tolist()) == [1, 3, 3]
    assert np.isclose(fields["area_m2"].max(), 34 * abs(_ROTATED.determinant))
    assert shapely.is_valid(polygons).all()


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.fgb", "a.shp"])
def test_nothing_labelled_gives_an_empty_layer(tmp_path: Path, name: str) -> None:
    source = _save(tmp_path / "labels.tif", np.full((10, 10), 255, np.uint8))
    assert polygonize(source, tmp_path / name, _CLASSES) == 0
    assert len(_load(tmp_path / name)[1]) == 0


def test_stale_journal_goes_with_the_earlier_output(tmp_path: Path) -> None:
    source = _save(tmp_path / "labels.tif", _labels())
    for name in ("a.gpkg", "a.gpkg-wal", "a.gpkg-shm"):
        (tmp_path / name).write_text("old")
    polygonize(source, tmp_path / "a.gpkg", _CLASSES)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gpkg", "labels.tif"]


@pytest.mark.parametrize("error", [pyogrio.errors.DataSourceError("disk"), KeyboardInterrupt()])
def test_failure_leaves_an_earlier_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    source = _save(tmp_path / "labels.tif", _labels())
    (tmp_path / "a.gpkg").write_text("earlier")
    write, calls = pyogrio.raw.write, []

    def broken(*args: Any, **options: Any) -> None:
        if calls:
            raise error
        calls.append(args)
        write(*args, **options)

    monkeypatch.setattr(module, "_CHUNK", 10)
    monkeypatch.setattr(pyogrio.raw, "write", broken)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError
    with pytest.raises(expected):
        polygonize(source, tmp_path / "a.gpkg", _CLASSES)
    assert (tmp_path / "a.gpkg").read_text() == "earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gpkg", "labels.tif"]


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.fgb", "a.shp"])
def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(1, 3, (250, 250)).astype(np.uint8)
    source = _save(tmp_path / "labels.tif", noise)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    try:
        with pytest.raises(OutputError, match="space"):
            polygonize(source, disk / name, _CLASSES)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_inputs_and_outputs_that_cannot_be(tmp_path: Path) -> None:
    source = _save(tmp_path / "labels.tif", _labels())
    floats = _save(tmp_path / "float.tif", _labels().astype(np.float32))
    (tmp_path / "text.tif").write_text("no raster")
    for name in ("a.txt", "a", "a.tif"):
        with pytest.raises(OutputError, match=r"use \.gpkg or"):
            polygonize(source, tmp_path / name, _CLASSES)
    with pytest.raises(OutputError, match="does not exist"):
        polygonize(source, tmp_path / "missing" / "a.gpkg", _CLASSES)
    with pytest.raises(RasterError, match="float32"):
        polygonize(floats, tmp_path / "a.gpkg", _CLASSES)
    for name in ("text.tif", "none.tif"):
        with pytest.raises(RasterError, match=rf"{name} cannot be read"):
            polygonize(tmp_path / name, tmp_path / "a.gpkg", _CLASSES)
    damaged = tmp_path / "damaged.tif"
    _save(damaged, np.random.default_rng(0).integers(1, 3, (120, 120)).astype(np.uint8))
    data = damaged.read_bytes()
    damaged.write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterError, match=r"damaged\.tif cannot be read"):
        polygonize(damaged, tmp_path / "a.gpkg", _CLASSES)
    assert not (tmp_path / "a.gpkg").exists()
