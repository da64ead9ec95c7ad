"""The polygons that a run is confined to, against a plain point-in-polygon test."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from backend.errors import ProtolabelError
from backend.rasters.area import Area, read_area
from backend.rasters.source import RasterSource


class Sized:
    """What an area needs to know of a raster."""

    width, height, path = 40, 30, "raster.tif"


corners = st.tuples(st.floats(-10, 50), st.floats(-10, 40))


@given(st.lists(corners, min_size=3, max_size=6), st.integers(0, 30), st.integers(0, 20))
def test_mask(points, col: int, row: int) -> None:
    polygon = shapely.convex_hull(shapely.MultiPoint(points))
    inside = shapely.intersection(polygon, shapely.box(0, 0, 40, 30)).area > 1e-6
    if polygon.geom_type != "Polygon" or not inside:
        return
    area = Area([polygon], Sized(), "area.gpkg")
    window = Window(col, row, 10, 10)
    mask = area.mask(window)
    x, y = np.meshgrid(np.arange(col, col + 10) + 0.5, np.arange(row, row + 10) + 0.5)
    expected = shapely.contains_xy(polygon, x, y)
    near = shapely.distance(shapely.boundary(polygon), shapely.points(x, y)) < 1e-6
    assert mask.shape == (10, 10)
    assert (mask == expected)[~near].all()
    assert area.touches(window) or not mask.any()
    assert area.window.col_off >= 0 and area.window.col_off + area.window.width <= 40


def on_map(left: int, top: int, right: int, bottom: int) -> shapely.Geometry:
    """A rectangle given in pixels, in the coordinates of the rasters that are made here."""
    return shapely.box(500_000 + left / 2, 5_400_000 - bottom / 2, 500_000 + right / 2, 5_400_000 - top / 2)


def test_polygons_of_another_system(make_raster, make_support) -> None:
    raster = make_raster(np.zeros((30, 40), np.uint8))
    to_degrees = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    polygon = on_map(10, 5, 20, 15)
    degrees = shapely.transform(
        polygon, lambda xy: np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=1)
    )
    with RasterSource(raster) as source:
        window = Window(0, 0, 40, 30)
        mask = read_area(make_support([degrees, None], "degrees.gpkg", "EPSG:4326"), source).mask(window)
        assert (mask == read_area(make_support([polygon]), source).mask(window)).all()
        assert mask.sum() == 100 and mask[5:15, 10:20].all()


def test_nothing_in_common(make_raster, make_support) -> None:
    raster = make_raster(np.zeros((30, 40), np.uint8))
    with RasterSource(raster) as source:
        with pytest.raises(ProtolabelError, match="lies on the raster"):
            read_area(make_support([on_map(100, 100, 120, 120)]), source)
        with pytest.raises(ProtolabelError, match="cannot be read"):
            read_area("/nowhere/area.gpkg", source)
        with pytest.raises(ProtolabelError, match="holds no polygon"):
            read_area(make_support([shapely.Point(500_001, 5_399_999)], "point.gpkg"), source)
