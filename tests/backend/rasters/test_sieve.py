"""Small patches go to their largest neighbour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import label

from backend.errors import Cancelled
from backend.progress import CancelToken
from backend.rasters import sieve as module
from backend.rasters.sieve import Sieve

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sieve")


def sieved(
    folder: Path, pixels: NDArray[np.uint8], smallest: int, rows: int = 512, nodata: int | None = 255
) -> NDArray[np.uint8]:
    path = folder / "labels.tif"
    height, width = pixels.shape
    size = {"width": width, "height": height, "count": 1, "dtype": "uint8", "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", **size) as dst:
        dst.write(pixels, 1)
    with rasterio.open(path) as src, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", rows)
        strips = list(Sieve(src, smallest, CancelToken()).strips())
    assert [first for _, first in strips] == list(range(0, height, rows))
    return np.concatenate([strip for strip, _ in strips])


def patches(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], list[int]]:
    """Number of each pixel's patch from 1, 0 without a label, and the sizes from number 0 on."""
    number = np.zeros(pixels.shape, np.int64)
    for value in np.unique(pixels[pixels != 255]):
        own, _ = label(pixels == value)
        number[own > 0] = own[own > 0] + number.max()
    return number, np.bincount(number.ravel()).tolist()


def test_a_patch_goes_to_its_largest_neighbour(folder: Path) -> None:
    pixels = np.full((20, 30), 1, np.uint8)
    pixels[:, 18:] = 2
    pixels[5:7, 17:20] = 3  # touches both
    pixels[12:16, 3:9] = 4  # large enough
    expected = pixels.copy()
    expected[5:7, 17:20] = 1
    assert (sieved(folder, pixels, 7) == expected).all()
    assert (sieved(folder, pixels, 6) == pixels).all()
    assert (sieved(folder, pixels, 0) == pixels).all()


def test_the_smallest_comes_first(folder: Path) -> None:
    """A speck within a patch that is too small itself makes it large enough to stay."""
    pixels = np.full((10, 10), 1, np.uint8)
    pixels[2:5, 2:5] = 2
    pixels[3, 3] = 3
    expected = np.where(pixels == 1, 1, 2)
    assert (sieved(folder, pixels, 9) == expected).all()


def test_nothing_goes_to_where_there_is_no_label(folder: Path) -> None:
    pixels = np.full((10, 10), 255, np.uint8)
    pixels[1, 1] = 3
    pixels[6, 5:8] = 0  # a class like any other
    assert (sieved(folder, pixels, 100) == pixels).all()
    assert (sieved(folder, np.full((3, 4), 255, np.uint8), 9) == 255).all()
    without = np.array([[1, 1, 255, 1]], np.uint8)
    assert (sieved(folder, without, 2, nodata=None) == 1).all()


@settings(max_examples=60, deadline=None)
@given(
    pixels=arrays(
        np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([1, 2, 3, 255])
    ),
    smallest=st.integers(2, 12),
    rows=st.integers(1, 6),
)
def test_what_is_left(folder: Path, pixels: NDArray[np.uint8], smallest: int, rows: int) -> None:
    result = sieved(folder, pixels, smallest, rows)
    assert (sieved(folder, pixels, smallest) == result).all()  # however it is cut into strips
    assert ((result == 255) == (pixels == 255)).all()
    before, sizes = patches(pixels)
    after, left = patches(result)
    islands, _ = label(pixels != 255)
    area = np.bincount(islands.ravel())
    for number in range(1, len(left)):
        inside = after == number
        # Only what has nothing beside it may stay small.
        assert left[number] >= smallest or left[number] == area[islands[inside][0]]
    for number in range(1, len(sizes)):
        if sizes[number] >= smallest:
            assert (result[before == number] == pixels[before == number]).all()


def test_cancel(folder: Path) -> None:
    sieved(folder, np.ones((5, 5), np.uint8), 2)
    token = CancelToken()
    token.cancel()
    with rasterio.open(folder / "labels.tif") as src, pytest.raises(Cancelled):
        Sieve(src, 2, token)
