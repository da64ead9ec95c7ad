"""Extents are read as people and QGIS write them, and become windows of whole pixels."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.windows import Window

from backend.errors import ProtolabelError
from backend.rasters.extent import Extent
from backend.rasters.source import RasterSource

from .conftest import NORTH_UP, UTM, MakeRaster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

_NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.fixture
def source(make_raster: MakeRaster) -> RasterSource:
    return RasterSource(make_raster(np.ones((60, 80), np.uint8)))


@pytest.mark.parametrize(
    ("text", "extent"),
    [
        ("1,2,3,4", Extent(1, 2, 3, 4)),
        (" -1.5 ,2. , .5,+4e2\n", Extent(-1.5, 2, 0.5, 400)),
        ("1 2 3 4", Extent(1, 2, 3, 4)),
        ("1,2,3,4 [EPSG:4326]", Extent(1, 2, 3, 4, "EPSG:4326")),
        ("1,2,3,4[ EPSG:4326 ]", Extent(1, 2, 3, 4, "EPSG:4326")),
        ("1,2,3,4 []", Extent(1, 2, 3, 4)),
        ('1,2,3,4 [LOCAL_CS["x",\nUNIT["metre",1]]]', Extent(1, 2, 3, 4, 'LOCAL_CS["x",\nUNIT["metre",1]]')),
    ],
)
def test_parse(text: str, extent: Extent) -> None:
    assert Extent.parse(text) == extent


@given(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS), st.sampled_from([",", " ", ", ", " , "]))
def test_parse_any_numbers(numbers: tuple[float, ...], separator: str) -> None:
    text = separator.join(map(repr, numbers))
    xmin, ymin, xmax, ymax = numbers
    if xmin < xmax and ymin < ymax:
        assert Extent.parse(text) == Extent(*numbers)
    else:
        with pytest.raises(ProtolabelError, match="holds no area; write"):
            Extent.parse(text)


@given(st.one_of(st.text(), st.text("0123456789.,-+eE [:]\n", max_size=40)))
def test_parse_any_text(text: str) -> None:
    # Any other error would get through.
    with suppress(ProtolabelError):
        extent = Extent.parse(text)
        assert extent.xmin < extent.xmax
        assert extent.ymin < extent.ymax


@pytest.mark.parametrize(
    "text", ["0,0,1e999,1", "-1e999,0,1,1", "-1e308,0,1e308,1", "nan,0,1,1", "1,1,1,5", ""]
)
def test_parse_what_is_no_extent(text: str) -> None:
    with pytest.raises(ProtolabelError, match="write"):
        Extent.parse(text)


def _ground(col0: float, row0: float, col1: float, row1: float, crs: str | None = None) -> Extent:
    left, top, size = NORTH_UP.c, NORTH_UP.f, NORTH_UP.a
    return Extent(left + col0 * size, top - row1 * size, left + col1 * size, top - row0 * size, crs)


@pytest.mark.parametrize(
    ("corners", "window"),
    [
        ((10, 20, 30, 50), Window(10, 20, 20, 30)),
        ((10.4, 20.6, 29.2, 49.1), Window(10, 20, 20, 30)),
        ((-100, -100, 500, 500), Window(0, 0, 80, 60)),
        ((10.2, 10.2, 10.3, 10.3), Window(10, 10, 1, 1)),
        ((70, -5, 95, 3), Window(70, 0, 10, 3)),
    ],
)
def test_window(source: RasterSource, corners: tuple[float, ...], window: Window) -> None:
    assert _ground(*corners).window(source) == window
    assert _ground(*corners, UTM).window(source) == window


def test_window_in_another_system(source: RasterSource) -> None:
    extent = _ground(10, 20, 30, 50)
    transformer = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    bounds = transformer.transform_bounds(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    window = Extent(*bounds, "EPSG:4326").window(source)
    assert (window.col_off, window.row_off) in {(9, 19), (9, 20), (10, 19), (10, 20)}
    assert window.col_off + window.width in (30, 31)
    assert window.row_off + window.height in (50, 51)


def test_window_of_a_rotated_raster(make_raster: MakeRaster) -> None:
    turned = RasterSource(make_raster(np.ones((60, 80), np.uint8), transform=Affine(0, 1, 0, 1, 0, 0)))
    assert Extent(10, 20, 30, 50).window(turned) == Window(20, 10, 30, 20)


def test_window_in_pixels(make_raster: MakeRaster) -> None:
    plain = RasterSource(make_raster(np.ones((60, 80), np.uint8), crs=None, transform=Affine.identity()))
    assert Extent(10, 20, 30, 50).window(plain) == Window(10, 20, 20, 30)
    with pytest.raises(ProtolabelError, match="no coordinate system"):
        Extent(10, 20, 30, 50, "EPSG:4326").window(plain)
    # As QGIS shows it, with the rows at negative y.
    assert Extent(10, -50, 30, -20).window(plain) == Window(10, 20, 20, 30)
    assert Extent(-5, -70, 100, 30).window(plain) == Window(0, 0, 80, 60)


@pytest.mark.parametrize("crs", ["EPSG:99999999", "foo", 'LOCAL_CS["x",UNIT["metre",1]]'])
def test_systems_that_are_not_understood(source: RasterSource, crs: str) -> None:
    with pytest.raises(ProtolabelError, match="is not understood; write EPSG:CODE"):
        Extent(0, 0, 1, 1, crs).window(source)


def test_extents_that_cannot_be_reached(source: RasterSource) -> None:
    with pytest.raises(ProtolabelError, match=r"lies outside the raster .*raster\.tif; check"):
        Extent(0, 0, 1, 1).window(source)
    with pytest.raises(ProtolabelError, match=r"cannot be brought to .*raster\.tif; check"):
        Extent(1e9, 1e9, 2e9, 2e9, "EPSG:4326").window(source)
