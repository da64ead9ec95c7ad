"""The synthetic sample is deterministic, honest about its classes and readable by GIS software."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyogrio.raw import read as read_vector
from rasterio.features import geometry_mask
from shapely import from_wkb

from backend.sample import Sample, SampleClass, SamplePaths, generate_sample, write_sample

_VALUES = {int(label) for label in SampleClass} | {255}


@pytest.fixture(scope="module")
def small() -> Sample:
    """A small scene."""
    return generate_sample(320, 256, 3)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SamplePaths:
    """The files of a small scene."""
    return write_sample(tmp_path_factory.mktemp("sample") / "new", width=320, height=256, seed=3)


def test_arrays_have_the_asked_size_and_known_values(small: Sample) -> None:
    assert small.image.shape == (3, 256, 320)
    assert small.image.dtype == np.uint8
    assert small.truth.shape == (256, 320)
    assert small.truth.dtype == np.uint8
    assert set(np.unique(small.truth).tolist()) <= _VALUES


def test_same_seed_gives_the_same_bytes(small: Sample) -> None:
    again = generate_sample(320, 256, 3)
    assert again.image.tobytes() == small.image.tobytes()
    assert again.truth.tobytes() == small.truth.tobytes()
    assert [p.shape.wkb for p in again.support] == [p.shape.wkb for p in small.support]


def test_another_seed_gives_another_picture(small: Sample) -> None:
    other = generate_sample(320, 256, 4)
    assert (other.image != small.image).mean() > 0.5
    assert (other.truth != small.truth).mean() > 0.1


@pytest.mark.parametrize(("width", "height"), [(64, 64), (131, 97), (333, 201)])
def test_odd_sizes_work(width: int, height: int) -> None:
    sample = generate_sample(width, height, 5)
    assert sample.image.shape == (3, height, width)
    assert sample.truth.shape == (height, width)


def test_pixel_size_changes_the_ground_covered() -> None:
    sample = generate_sample(160, 128, 3, pixel_size=1.0)
    assert sample.image.shape == (3, 128, 160)


def test_picture_is_exposed_like_a_photograph(small: Sample) -> None:
    assert 70.0 < small.image.mean() < 170.0
    assert small.image.std() > 15.0
    assert (small.image == 255).mean() < 0.01


@pytest.mark.parametrize(("width", "height", "pixel_size"), [(20, 300, 0.5), (300, 63, 0.5), (300, 300, 0.0)])
def test_impossible_sizes_are_refused(width: int, height: int, pixel_size: float) -> None:
    with pytest.raises(ValueError, match="pixel"):
        generate_sample(width, height, 1, pixel_size)


def test_rasters_open_with_the_right_properties(written: SamplePaths, small: Sample) -> None:
    with rasterio.open(written.raster) as picture, rasterio.open(written.labels) as labels:
        assert picture.crs.to_epsg() == labels.crs.to_epsg() == 25832
        assert picture.transform == labels.transform
        assert picture.res == (0.5, 0.5)
        assert 500_000 < picture.bounds.left < picture.bounds.right < 600_000
        assert picture.dtypes == ("uint8",) * 3
        assert labels.dtypes == ("uint8",)
        assert labels.nodata == 255
        assert picture.nodata is None
        assert labels.colormap(1)[int(SampleClass.WATER)][2] > 150
        np.testing.assert_array_equal(picture.read(), small.image)
        np.testing.assert_array_equal(labels.read(1), small.truth)


def _assert_support_is_pure(paths: SamplePaths) -> dict[int, int]:
    """Checks every support polygon against the truth and counts polygons per class."""
    meta, _, shapes, (ids, names, uses) = read_vector(paths.support)
    assert meta["crs"] == "EPSG:25832"
    assert meta["fields"].tolist() == ["class_id", "class_name", "use"]
    assert set(uses) == {"support"}
    counts: dict[int, int] = {}
    with rasterio.open(paths.labels) as labels:
        truth = labels.read(1)
        for shape, class_id, name in zip(shapes, ids, names, strict=True):
            polygon = from_wkb(shape)
            assert polygon.is_valid
            assert 4 <= len(polygon.exterior.coords) - 1 <= 9
            inside = geometry_mask([polygon], truth.shape, labels.transform, invert=True)
            assert inside.any()
            assert (truth[inside] == class_id).mean() >= 0.95, name
            assert name == SampleClass(class_id).title
            counts[int(class_id)] = counts.get(int(class_id), 0) + 1
    return counts


def test_support_lies_inside_its_class(written: SamplePaths) -> None:
    counts = _assert_support_is_pure(written)
    assert counts
    assert max(counts.values()) <= 6


def test_existing_files_are_replaced(written: SamplePaths, tmp_path: Path) -> None:
    write_sample(tmp_path, width=96, height=80, seed=1)
    paths = write_sample(tmp_path, width=100, height=90, seed=2)
    with rasterio.open(paths.raster) as picture:
        assert (picture.width, picture.height) == (100, 90)


@pytest.mark.slow
def test_default_scene_shows_every_class(tmp_path: Path) -> None:
    paths = write_sample(tmp_path)
    with rasterio.open(paths.labels) as labels:
        truth = labels.read(1)
    assert truth.shape == (1200, 1600)
    shares = {label: float((truth == label).mean()) for label in SampleClass}
    assert all(share > 0.005 for share in shares.values()), shares
    assert (truth == 255).mean() < 0.1
    assert paths.raster.stat().st_size < 8e6
    counts = _assert_support_is_pure(paths)
    assert all(counts[int(label)] >= 5 for label in SampleClass), counts
