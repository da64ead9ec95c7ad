"""Which part of a raster a run labels."""

from __future__ import annotations

import pytest
from osgeo import ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

UTM = QgsCoordinateReferenceSystem("EPSG:26917")
MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")


@pytest.fixture
def module(plugin_module, qgis_new_project):
    return plugin_module("plugin.area")


@pytest.fixture
def not_ready(plugin_module):
    return plugin_module("plugin.request_fields").NotReadyError


@pytest.fixture
def polygons() -> QgsVectorLayer:
    layer = QgsVectorLayer("Polygon?crs=EPSG:26917&field=name:string", "parcels", "memory")
    for number in range(3):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(number * 100, 0, number * 100 + 50, 50)))
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_rectangle_of_another_system(module) -> None:
    extent = QgsRectangle(-9_300_000, 4_700_000, -9_299_000, 4_701_000)
    area = module.rectangle_area(extent, MERCATOR, UTM)
    assert area.polygons is None
    assert 500 < area.extent.width() < 1000 and area.extent.yMinimum() > 4_000_000
    assert area.fields()["extent"][0] < area.fields()["extent"][2]


def test_no_rectangle(module, not_ready) -> None:
    with pytest.raises(not_ready, match="Draw the rectangle"):
        module.rectangle_area(QgsRectangle(), UTM, UTM)


def test_selected_features_alone_are_written(module, polygons, tmp_path) -> None:
    ids = [feature.id() for feature in polygons.getFeatures()]
    polygons.selectByIds(ids[1:])
    path = tmp_path / "area ü.gpkg"
    area = module.features_area(polygons, path)
    assert area.extent is None and area.fields()["area"] == str(path)
    data = ogr.Open(str(path))
    layer = data.GetLayer(0)
    assert layer.GetFeatureCount() == 2 and layer.GetExtent() == (100, 250, 0, 50)
    assert layer.GetSpatialRef().GetAuthorityCode(None) == "26917"


def test_nothing_selected(module, not_ready, polygons, tmp_path) -> None:
    with pytest.raises(not_ready, match="Select the features of parcels"):
        module.features_area(polygons, tmp_path / "a.gpkg")
    with pytest.raises(not_ready, match="Choose a polygon layer"):
        module.features_area(None, tmp_path / "a.gpkg")


def test_whole_raster(module) -> None:
    assert module.Area().fields() == {"extent": None, "area": None}
