"""Folders of rasters with label rasters."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from backend.episodes.datasets.geotiff_pairs import class_list, geotiff_files, geotiff_pairs
from backend.episodes.errors import DatasetError
from backend.errors import ProtolabelError

CLASSES = {2: "road", 7: "roof"}


@pytest.fixture
def write(make_raster, tmp_path: Path):
    """A pair: noise and labels 0, 2, 7, 255 in columns."""

    def pair(
        stem: str = "a", labels: np.ndarray | None = None, image: np.ndarray | None = None, **profile: object
    ):
        image = np.random.default_rng(1).integers(0, 256, (4, 20, 24), np.uint8) if image is None else image
        if labels is None:
            labels = np.array([0, 2, 7, 255], np.uint8)[np.arange(24) * 4 // 24][None, None].repeat(20, 1)
        make_raster(image, f"{stem}.tif")
        make_raster(labels, f"{stem}_labels.tif", **profile)
        return tmp_path

    return pair


def test_values_become_class_ids(write, tmp_path: Path) -> None:
    root = write()
    write("b")
    patches = geotiff_pairs(root, CLASSES, patch=12, cache=tmp_path / "cache")
    assert patches.classes == ("road", "roof")
    assert [file.name for file in patches.tiles] == ["a", "b"]
    assert len(patches) == 2 * 4  # 20 rows: 0 and, shifted inwards, 8
    assert (patches.patches[2].top, patches.patches[2].left) == (8, 0)
    assert [patches.present(index) for index in range(4)] == [{1}, {2}] * 2
    assert set(patches[0].labels.unique().tolist()) == {0, 1}
    assert set(patches[1].labels.unique().tolist()) == {2, 255}


def test_halved(write, tmp_path: Path) -> None:
    root = write()
    (whole,) = geotiff_files(root, CLASSES)
    (half,) = geotiff_files(root, CLASSES, halved=True)
    image, labels = whole.read().image.float(), whole.read().labels
    assert half.read().image.shape == (3, 10, 12)
    mean = image[:, :2, :2].mean(dim=(1, 2))
    assert (half.read().image[:, 0, 0] - mean).abs().max() <= 0.5
    assert half.read().labels.equal(labels[::2, ::2])
    # Another resolution is another cache.
    patches = [geotiff_pairs(root, CLASSES, patch=4, halved=h, cache=tmp_path / "c") for h in (False, True)]
    assert [len(each) for each in patches] == [25, 9]  # patches of nothing but ignored pixels are left out


def test_values_to_ignore_and_nodata(write, tmp_path: Path) -> None:
    labels = np.array([0, 2, 7, -9], np.int16)[np.arange(24) * 4 // 24][None, None].repeat(20, 1)
    root = write(labels=labels, nodata=-9)
    (file,) = geotiff_files(root, CLASSES, background=(), ignored=(0,))
    assert set(file.read().labels.unique().tolist()) == {1, 2, 255}


def test_pixels_outside_the_imagery_are_ignored(make_raster, write, tmp_path: Path) -> None:
    root = write()
    mask = np.ones((20, 24), bool)
    mask[:5] = False
    make_raster(np.full((3, 20, 24), 90, np.uint8), "a.tif", mask=mask)
    (file,) = geotiff_files(root, CLASSES)
    sample = file.read()
    assert (sample.labels[:5] == 255).all() and (sample.labels[5:, :6] == 0).all()


def test_more_than_8_bits(write) -> None:
    root = write(image=np.random.default_rng(0).integers(200, 3000, (3, 20, 24)).astype(np.uint16))
    (file,) = geotiff_files(root, CLASSES)
    image = file.read().image
    assert image.min() < 5 and image.max() > 250


def test_folders_of_images_and_labels(write, tmp_path: Path) -> None:
    root = write()
    for folder in ("city/images", "city/masks"):
        (root / folder).mkdir(parents=True)
    (root / "a.tif").rename(root / "city/images/a.tif")
    (root / "a_labels.tif").rename(root / "city/masks/a.tif")
    (file,) = geotiff_files(root, CLASSES, "*/images/*.tif", "{folder}/../masks/{stem}.tif")
    assert not file.missing and file.read().labels.shape == (20, 24)


def test_without_rasterio(write, monkeypatch) -> None:
    image = np.random.default_rng(1).integers(0, 256, (3, 20, 24), np.uint8)
    root = write(image=image, nodata=7)
    (file,) = geotiff_files(root, CLASSES)
    expected = file.read()
    monkeypatch.setitem(sys.modules, "rasterio", None)
    plain = file.read()
    assert np.array_equal(plain.image, expected.image) and np.array_equal(plain.labels, expected.labels)
    assert set(plain.labels.unique().tolist()) == {0, 1, 255}  # 7 is nodata


def test_class_list(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("id,name,color\n2,road,#808080\n7,roof,#ff0000\n")
    assert class_list(tmp_path, None) == CLASSES
    with pytest.raises(ProtolabelError, match="does not exist"):
        class_list(tmp_path / "nowhere", None)
    with pytest.raises(DatasetError, match="empty"):
        class_list(tmp_path, {})


def test_bad_input(write, make_raster, tmp_path: Path) -> None:
    root = write()
    with pytest.raises(DatasetError, match="does not exist"):
        geotiff_files(root / "nowhere", CLASSES)
    with pytest.raises(DatasetError, match=r"no files \*.png"):
        geotiff_files(root, CLASSES, "*.png", "{folder}/{stem}.none")
    (file,) = geotiff_files(root, {2: "road"})
    with pytest.raises(DatasetError, match="the value 7, which is none of the classes"):
        file.read()
    make_raster(np.zeros((1, 20, 23), np.uint8), "a_labels.tif")
    with pytest.raises(DatasetError, match="23 x 20 pixels but the image"):
        file.read()
    make_raster(np.zeros((1, 20, 24), np.uint8), "a_labels.tif", transform=Affine(0.6, 0, 0, 0, -0.6, 0))
    with pytest.raises(DatasetError, match="lie elsewhere"):
        file.read()
    make_raster(np.zeros((3, 20, 24), np.uint8), "a_labels.tif")
    with pytest.raises(DatasetError, match="3 bands of uint8"):
        file.read()
    (root / "a_labels.tif").write_bytes(b"no raster")
    with pytest.raises(DatasetError, match="cannot be read"):
        file.read()


def test_partners_that_are_missing(write) -> None:
    root = write()
    write("b")
    (root / "a.tif").unlink()
    (root / "b_labels.tif").unlink()
    files = {file.name: file.missing for file in geotiff_files(root, CLASSES)}
    assert files == {"a": (root / "a.tif",), "b": (root / "b_labels.tif",)}
    (file,) = geotiff_files(root, CLASSES, "b*.tif")  # what is not asked for is not missing
    assert file.name == "b"
    assert [file.name for file in geotiff_files(root, CLASSES, ("[a].tif", "b.tif"))] == ["b", "a"]


@pytest.mark.slow
def test_real_scenes(shared: Path, tmp_path: Path) -> None:
    names = {1: "building", 2: "road", 3: "bare land", 4: "forest", 5: "water"}
    scenes = geotiff_pairs(shared / "data/naip", names, images="scene0[01].tif", patch=256, cache=tmp_path)
    assert len(scenes.tiles) == 2
    place = scenes.patches[0]  # the first ones, without imagery, are left out
    assert place.tile == 0 and place.left > 0
    with rasterio.open(shared / "data/naip/scene00.tif") as src:
        expected = src.read([1, 2, 3])[:, place.top : place.top + 256, place.left : place.left + 256]
    assert np.array_equal(scenes[0].image, expected)
    loveda = {
        1: "background",
        2: "building",
        3: "road",
        4: "water",
        5: "barren",
        6: "forest",
        7: "agriculture",
    }
    tile = geotiff_pairs(shared / "data/loveda", loveda, background=(), ignored=(0, 255), cache=tmp_path)
    assert len(tile) == 9 and set().union(*(tile.present(i) for i in range(9))) == {1, 2, 3, 4, 7}
