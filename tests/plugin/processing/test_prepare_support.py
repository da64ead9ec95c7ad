"""``protolabel:prepare_support``, which needs no backend."""

from __future__ import annotations

import pytest
from qgis.core import QgsCategorizedSymbolRenderer, QgsProcessingException, QgsVectorLayer


@pytest.fixture
def raster(tmp_path):
    from osgeo import gdal, osr

    path = str(tmp_path / "raster.tif")
    system = osr.SpatialReference()
    system.ImportFromEPSG(32633)
    dataset = gdal.GetDriverByName("GTiff").Create(path, 8, 8, 3)
    dataset.SetProjection(system.ExportToWkt())
    dataset.SetGeoTransform((500_000, 1, 0, 5_000_000, 0, -1))
    del dataset
    return path


@pytest.fixture
def parameters(raster, tmp_path):
    classes = [3, "forest", "#145c28", "", "water", "", 9, "", "#cd2b2b"]
    return {"RASTER": raster, "CLASSES": classes, "SUPPORT": str(tmp_path / "my support.gpkg")}


def styled(path):
    """What the layer shows when it is opened anew: id, name and colour of each class."""
    layer = QgsVectorLayer(path, "", "ogr")
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    return layer, [
        (int(c.value()), c.label(), c.symbol().color().name()) for c in layer.renderer().categories()
    ]


def test_layer_is_empty_in_the_raster_s_system_and_keeps_its_style(parameters, run_algorithm):
    result = run_algorithm("protolabel:prepare_support", parameters)
    assert result == {"SUPPORT": parameters["SUPPORT"]}
    layer, classes = styled(parameters["SUPPORT"])
    assert layer.featureCount() == 0
    assert layer.crs().authid() == "EPSG:32633"
    assert {"class_id", "class_name", "use"} <= set(layer.fields().names())
    assert classes[0] == (3, "forest", "#145c28")
    assert [row[0] for row in classes[1:]] == [4, 9]
    assert classes[1][1] == "water"
    assert classes[2][2] == "#cd2b2b"


def test_classes_come_from_a_file_as_well(parameters, run_algorithm, tmp_path):
    file = tmp_path / "classes.csv"
    file.write_text("id,name,color\n1,Wasser & Öl,#0000ff\n", encoding="utf-8")
    run_algorithm("protolabel:prepare_support", {**parameters, "CLASSES_FILE": str(file)})
    _, classes = styled(parameters["SUPPORT"])
    assert classes[0] == (1, "Wasser & Öl", "#0000ff")
    assert len(classes) == 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"CLASSES": []}, "at least one class"),
        ({"CLASSES": ["one", "forest", ""]}, "class id one is not a whole number"),
        ({"CLASSES": [1.5, "forest", ""]}, "class id 1.5 is not a whole number"),
        ({"CLASSES": [1, "forest", "green"]}, "green is not a colour"),
        ({"CLASSES_FILE": "/nowhere.csv"}, "nowhere.csv"),
        ({"SUPPORT": "/nowhere/support.gpkg"}, "/nowhere"),
    ],
)
def test_what_cannot_serve_is_told_in_one_sentence(parameters, change, text, run_algorithm):
    with pytest.raises(QgsProcessingException) as caught:
        run_algorithm("protolabel:prepare_support", {**parameters, **change})
    assert text in str(caught.value)


def test_polygons_of_an_earlier_layer_are_never_lost(parameters, run_algorithm):
    run_algorithm("protolabel:prepare_support", parameters)
    with pytest.raises(QgsProcessingException, match="exists already"):
        run_algorithm("protolabel:prepare_support", parameters)


def test_other_formats_are_refused(parameters, run_algorithm, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"ending \.gpkg"):
        run_algorithm("protolabel:prepare_support", {**parameters, "SUPPORT": str(tmp_path / "a.shp")})
