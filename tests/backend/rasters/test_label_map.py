"""Rasters are valid cloud-optimised GeoTIFFs, the same at every run, and written whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from backend.errors import OutputError
from backend.rasters.label_map import (
    CLASSES_TAG,
    RasterWriter,
    category_names,
    check_output,
    class_tags,
    label_dtype,
)
from backend.rasters.palette import colors_for
from backend.rasters.support import ClassInfo

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

_CLASSES = (ClassInfo(1, "water"), ClassInfo(2, 'a "b" & <c>'), ClassInfo(5, "Straße"))
_ROTATED = Affine(0.5, 0.1, 500_000.0, 0.1, -0.5, 5_000_000.0)
_UTM = CRS.from_epsg(32632)


def _pixels(height: int = 1100, width: int = 1300, dtype: str = "uint8", bands: int = 1) -> NDArray[Any]:
    values = np.array([1, 2, 5, np.iinfo(dtype).max], dtype)
    coarse = np.random.default_rng(0).integers(0, 4, (bands, -(-height // 50), -(-width // 50)))
    return values[coarse.repeat(50, 1).repeat(50, 2)[:, :height, :width]]


def _write(path: Path, pixels: NDArray[Any], step: int = 300, finish: bool = True, **options: Any) -> None:
    bands, height, width = pixels.shape
    place = {"crs": _UTM, "transform": _ROTATED}
    kind = {"count": bands, "dtype": str(pixels.dtype), "nodata": 255}
    with RasterWriter(path, width, height, **{**place, **kind, **options}) as writer:
        for row in range(0, height, step):
            for col in range(0, width, 2 * step):
                writer.write(pixels[:, row : row + step, col : col + 2 * step], row, col)
        if finish:
            writer.finish()


def _label_options(classes: tuple[ClassInfo, ...] = _CLASSES) -> dict[str, Any]:
    colors = colors_for(classes)
    tags = class_tags(classes, colors)
    return {
        "tags": tags,
        "colormap": colors,
        "categories": category_names(classes),
        "descriptions": ["class"],
    }


@given(st.lists(st.integers(0, 65_534), min_size=1))
def test_label_dtype_holds_ids_and_nodata(ids: list[int]) -> None:
    dtype, nodata = label_dtype([ClassInfo(i, "") for i in ids])
    assert nodata == np.iinfo(dtype).max and nodata not in ids
    assert max(ids) < nodata
    assert dtype == "uint8" or max(ids) > 254


def test_category_names_stay_short() -> None:
    assert category_names(_CLASSES) == ["", "water", 'a "b" & <c>', "", "", "Straße"]
    assert len(category_names([ClassInfo(1023, "x")]) or []) == 1024
    assert category_names([ClassInfo(1024, "x")]) is None
    assert category_names([]) is None


def test_labels_are_a_valid_cog_with_colors_names_and_tags(tmp_path: Path) -> None:
    pixels, path = _pixels(), tmp_path / "labels.tif"
    _write(path, pixels, **_label_options())
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as src:
        assert (src.read() == pixels).all()
        assert (src.crs, src.transform, src.nodata, src.descriptions) == (_UTM, _ROTATED, 255, ("class",))
        assert src.overviews(1) == [2, 4] and src.block_shapes == [(512, 512)]
        assert {src.colormap(1)[i][:3] for i in (1, 2, 5)} == set(colors_for(_CLASSES).values())
        tag = json.loads(src.tags()[CLASSES_TAG])
        assert [(entry["id"], entry["name"]) for entry in tag] == [(info.id, info.name) for info in _CLASSES]
        assert tag[0]["color"].startswith("#")
        assert src.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["labels.tif", "labels.tif.aux.xml"]
    assert _names_by_gdal(path) == category_names(_CLASSES)


def test_overviews_of_labels_hold_only_labels(tmp_path: Path) -> None:
    _write(tmp_path / "a.tif", _pixels(), nodata=255)
    with rasterio.open(tmp_path / "a.tif", overview_level=0) as src:
        assert set(np.unique(src.read()).tolist()) <= {1, 2, 5, 255}


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name, step in (("a.tif", 300), ("b.tif", 512)):
        _write(tmp_path / name, _pixels(), step, **_label_options())
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert (tmp_path / "a.tif.aux.xml").read_bytes() == (tmp_path / "b.tif.aux.xml").read_bytes()


def test_uint16_with_colors_and_large_ids(tmp_path: Path) -> None:
    classes = (*_CLASSES, ClassInfo(60_000, "moss"))
    pixels, path = _pixels(600, 700, "uint16"), tmp_path / "labels.tiff"
    pixels[:, :100] = 60_000
    _write(path, pixels, nodata=65_535, **_label_options(classes))
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as src:
        assert (src.read() == pixels).all() and src.nodata == 65_535
        assert src.colormap(1)[60_000][:3] == colors_for(classes)[60_000]
    assert [file.name for file in tmp_path.iterdir()] == ["labels.tiff"]


def test_thousands_of_classes_travel_inside(tmp_path: Path) -> None:
    classes = tuple(ClassInfo(i, f"class {i}") for i in range(3000))
    tags = class_tags(classes, colors_for(classes))
    _write(tmp_path / "a.tif", _pixels(60, 70, "uint16"), tags=tags)
    with rasterio.open(tmp_path / "a.tif") as src:
        assert src.tags()[CLASSES_TAG] == tags[CLASSES_TAG]
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


def test_several_bands_with_averaged_overviews_and_no_crs(tmp_path: Path) -> None:
    pixels, path = _pixels(bands=3), tmp_path / "confidence.tif"
    options = {"crs": None, "transform": Affine.identity(), "resampling": "average"}
    _write(path, pixels, descriptions=["a", "b", "c"], **options)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as src:
        assert src.crs is None and src.transform.is_identity and src.descriptions == ("a", "b", "c")
        assert (src.read() == pixels).all()


def test_pixels_that_are_never_written_are_nodata(tmp_path: Path) -> None:
    with RasterWriter(tmp_path / "a.tif", 1300, 1100, _UTM, _ROTATED, nodata=255) as writer:
        writer.write(np.full((1, 10, 10), 7, np.uint8), 600, 600)
        writer.finish()
    with rasterio.open(tmp_path / "a.tif") as src:
        pixels = src.read(1)
    assert (pixels == 7).sum() == 100 and (pixels == 255).sum() == pixels.size - 100


def test_crs_beyond_geotiff_is_kept_with_the_names(tmp_path: Path) -> None:
    crs = CRS.from_string("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=sphere")
    _write(tmp_path / "a.tif", _pixels(60, 70), crs=crs, **_label_options())
    with rasterio.open(tmp_path / "a.tif") as src:
        assert src.crs == crs
    assert _names_by_gdal(tmp_path / "a.tif") == category_names(_CLASSES)


def test_sidecars_of_an_earlier_output_go(tmp_path: Path) -> None:
    for ending in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"a.tif{ending}").write_text("<PAMDataset/>")
    _write(tmp_path / "a.tif", _pixels(60, 70))
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("how", ["exception", "unfinished", "copy", "cut", "change"])
def test_nothing_is_left_and_an_earlier_output_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool, how: str
) -> None:
    path = tmp_path / "a.tif"
    if earlier:
        path.write_bytes(b"earlier")
        (tmp_path / "a.tif.aux.xml").write_bytes(b"<PAMDataset/>")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    if how == "exception":
        with pytest.raises(KeyboardInterrupt), RasterWriter(path, 70, 60, None, Affine.identity()) as writer:
            writer.write(_pixels(60, 70), 0, 0)
            raise KeyboardInterrupt
    elif how == "unfinished":
        _write(path, _pixels(), finish=False)
    else:
        _break_the_copy(monkeypatch, how)
        with pytest.raises(OutputError, match=r"a\.tif cannot be written"):
            _write(path, _pixels(), **_label_options())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def _break_the_copy(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    copy = rasterio.shutil.copy

    def broken(source: str, target: str, **options: Any) -> None:
        copy(source, target, **options)
        if how == "copy":
            raise RuntimeError("it broke")
        if how == "cut":
            os.truncate(target, os.path.getsize(target) - 1000)
        else:
            with rasterio.open(target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dst:
                dst.write(np.full((1, 1, 1), 7, np.uint8), window=Window(3, 4, 1, 1))

    monkeypatch.setattr(rasterio.shutil, "copy", broken)


def test_leftovers_of_a_killed_run_do_not_matter(tmp_path: Path) -> None:
    gone = 2**22 + 1  # above the largest process number of any common system
    (tmp_path / f".a.tif.{gone}.tiles.part").write_bytes(b"half")
    (tmp_path / f".a.tif.{gone}.whole.part.aux.xml").write_bytes(b"half")
    alive = tmp_path / f".a.tif.{os.getppid()}.tiles.part"
    alive.write_bytes(b"of another run")
    _write(tmp_path / "a.tif", _pixels(60, 70))
    assert {file.name for file in tmp_path.iterdir()} == {"a.tif", alive.name}
    assert alive.read_bytes() == b"of another run"


def test_block_outside_is_a_mistake(tmp_path: Path) -> None:
    with RasterWriter(tmp_path / "a.tif", 70, 60, None, Affine.identity()) as writer:
        for array, row, col in (((1, 10, 10), 55, 0), ((1, 10, 10), 0, -1), ((2, 10, 10), 0, 0)):
            with pytest.raises(ValueError, match="outside"):
                writer.write(np.zeros(array, np.uint8), row, col)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.tif").mkdir()
    source = tmp_path / "in.tif"
    source.write_text("")
    (tmp_path / "link.tif").symlink_to(source)
    cases = {
        tmp_path / "missing" / "a.tif": "does not exist; create",
        tmp_path / "file" / "a.tif": "does not exist; create",
        tmp_path / "folder.tif": "is a folder",
        tmp_path / "a.png": r"use \.tif\.",
        tmp_path / "a": r"use \.tif\.",
        source: "overwrite the input",
        tmp_path / "link.tif": "overwrite the input",
        tmp_path / "." / "in.tif": "overwrite the input",
    }
    for path, message in cases.items():
        with pytest.raises(OutputError, match=message):
            check_output(path, tmp_path / "other.tif", str(source))
    with pytest.raises(OutputError, match="does not exist"):
        RasterWriter(tmp_path / "file" / "a.tif", 7, 6, None, Affine.identity())
    check_output(tmp_path / "a.TIF", source)


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("side", [500, 700, 740, 1000, 1024, 1050, 1500])
def test_full_disk_is_told_and_leaves_nothing(small_disk: Path, side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, side, side)).astype(np.uint8)
    path = small_disk / "a.tif"
    path.write_bytes(b"earlier")
    try:
        _write(path, pixels, step=100)
    except OutputError as error:
        assert "No space left on" in str(error) or "has free space" in str(error)
        assert {file.name: file.read_bytes() for file in small_disk.iterdir()} == {"a.tif": b"earlier"}
        assert side > 500
    else:
        with rasterio.open(path) as src:
            assert (src.read() == pixels).all()
        assert side < 1000


def test_read_only_disk_is_told_beforehand(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match=r"cannot be written \(Read-only"):
        check_output(small_disk / "a.tif")


def _names_by_gdal(path: Path) -> list[str]:
    """Category names as GDAL reads them: it copies them into a virtual raster."""
    virtual = path.parent / "names.vrt"
    rasterio.shutil.copy(str(path), str(virtual), driver="VRT")
    names = ElementTree.fromstring(virtual.read_bytes()).findall("VRTRasterBand/CategoryNames/Category")
    virtual.unlink()
    return [name.text or "" for name in names]
