"""Styles of results, and the group of layers that a run leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsLayerTreeModel,
    QgsMapRendererCustomPainterJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter


@pytest.fixture
def results(plugin_module):
    return plugin_module("plugin.results")


@pytest.fixture
def entries(plugin_module):
    make = plugin_module("plugin.classes").ClassEntry
    return (
        make(4, "Forest & <wood>", "#145c28"),
        make(1, "Wasser", "#2466d1"),
        make(300, "field", "#f0cd3c"),
    )


def write_raster(path: Path, values: list[int], kind: int, nodata: int | None = None, tag: str = "") -> Path:
    """A raster of one row of 10 x 10 squares."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 10 * len(values), 10, 1, kind)
    dataset.SetGeoTransform((0, 1, 0, 10, 0, -1))
    if tag:
        dataset.SetMetadataItem("PROTOLABEL_CLASSES", tag)
    band = dataset.GetRasterBand(1)
    if nodata is not None:
        band.SetNoDataValue(nodata)
    for place, value in enumerate(values):
        band.WriteRaster(
            10 * place, 0, 10, 10, value.to_bytes(gdal.GetDataTypeSize(kind) // 8, "little") * 100
        )
    del band, dataset
    return path


@pytest.fixture
def labels(tmp_path):
    return write_raster(tmp_path / "labels.tif", [4, 1, 300, 65535], gdal.GDT_UInt16, 65535)


@pytest.fixture
def confidence(tmp_path):
    return write_raster(tmp_path / "confidence.tif", [0, 50, 100, 255], gdal.GDT_Byte)


@pytest.fixture
def polygons(tmp_path):
    path = tmp_path / "polygons.gpkg"
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("polygons", geom_type=ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("class_id", ogr.OFTInteger))
    for place, id in enumerate((4, 1, 300)):
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("class_id", id)
        a, b = 10 * place, 10 * place + 10
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON (({a} 0, {b} 0, {b} 10, {a} 10, {a} 0))"))
        layer.CreateFeature(feature)
    del layer, source
    return path


def shown(layer, squares: int = 4) -> list[str]:
    """The colours in the middle of the squares as the map shows them; "" where it shows nothing."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    settings.setOutputSize(QSize(40 * squares, 40))
    settings.setExtent(QgsRasterLayer.extent(layer) if isinstance(layer, QgsRasterLayer) else layer.extent())
    image = QImage(settings.outputSize(), QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    job = QgsMapRendererCustomPainterJob(settings, painter)
    job.renderSynchronously()
    painter.end()
    colors = [image.pixelColor(40 * place + 20, 20) for place in range(squares)]
    return [color.name() if color.alpha() else "" for color in colors]


def test_label_map_is_shown_in_the_colours_of_its_classes(results, entries, labels):
    layer = QgsRasterLayer(str(labels))
    results.style_labels(layer, entries)
    assert shown(layer) == ["#145c28", "#2466d1", "#f0cd3c", ""]
    assert [item.label for item in layer.renderer().classes()] == ["Forest & <wood>", "Wasser", "field"]


def test_label_map_without_entries_is_shown_as_its_file_says(results, entries, tmp_path):
    tag = json.dumps([{"id": e.id, "name": e.name, "color": e.color} for e in entries])
    path = write_raster(tmp_path / "tagged.tif", [4, 1, 300, 65535], gdal.GDT_UInt16, 65535, tag)
    layer = QgsRasterLayer(str(path))
    assert results.classes_of(layer) == entries
    results.style_labels(layer)
    assert shown(layer) == ["#145c28", "#2466d1", "#f0cd3c", ""]


def test_label_map_of_another_program_is_shown_by_the_style_that_it_has(results, entries, labels):
    layer = QgsRasterLayer(str(labels))
    assert results.classes_of(layer) == ()
    results.style_labels(layer)
    assert layer.renderer().type() == "singlebandgray"
    results.style_labels(layer, entries)
    assert results.classes_of(layer) == entries


@pytest.mark.parametrize("tag", ["[", "{}", "[1]", '[{"id": 1}]', "null"])
def test_broken_tags_are_passed_over(results, tmp_path, tag):
    path = write_raster(tmp_path / "broken.tif", [1], gdal.GDT_Byte, 255, tag)
    assert results.classes_of(QgsRasterLayer(str(path))) == ()


def test_confidence_goes_from_dark_to_bright_and_255_is_nothing(results, confidence):
    layer = QgsRasterLayer(str(confidence))
    results.style_confidence(layer)
    low, middle, high, none = shown(layer)
    assert none == ""
    assert QColor(low).lightness() < QColor(middle).lightness() < QColor(high).lightness()
    assert (low, high) == ("#440154", "#fde725")


def test_group_lies_on_top_with_all_layers_styled(
    results, entries, labels, confidence, polygons, qgis_new_project
):
    project = QgsProject.instance()
    root = project.layerTreeRoot()
    project.addMapLayer(QgsRasterLayer(str(confidence), "before"))
    group = results.add_result_group(project, "Labels of scene", labels, confidence, polygons, entries)
    assert root.children()[0] is group or root.children()[0].name() == group.name()
    assert [(node.name(), node.itemVisibilityChecked()) for node in group.children()] == [
        ("Polygons", True),
        ("Labels", True),
        ("Confidence", False),
    ]
    vector, raster, sure = (node.layer() for node in group.children())
    assert shown(raster)[:3] == ["#145c28", "#2466d1", "#f0cd3c"]
    assert shown(vector, 3) == ["#145c28", "#2466d1", "#f0cd3c"]
    assert shown(sure)[3] == ""
    assert [c.label() for c in vector.renderer().categories()] == [e.name for e in entries]


def test_a_second_run_keeps_the_group_of_the_first(results, entries, labels, qgis_new_project):
    project = QgsProject.instance()
    names = [results.add_result_group(project, "Run", labels, None, None, entries).name() for _ in range(3)]
    assert names == ["Run", "Run (2)", "Run (3)"]
    assert len(project.mapLayers()) == 3


@pytest.mark.parametrize(
    "order", [("support", "raster"), ("raster", "support"), ("raster",), ("support",), ()]
)
def test_the_group_is_over_the_raster(results, entries, labels, confidence, qgis_new_project, order):
    """Under the polygons where that is over the raster, too; the raster may have been added last."""
    project, layers = QgsProject.instance(), {}
    for name in reversed(order):
        layers[name] = project.addMapLayer(QgsRasterLayer(str(confidence), name))
    results.add_result_group(
        project, "Run", labels, None, None, entries, layers.get("support"), layers.get("raster")
    )
    names = [node.name() for node in project.layerTreeRoot().children()]
    wanted = {("support", "raster"): ["support", "Run", "raster"], ("support",): ["support", "Run"]}
    assert names == wanted.get(order, ["Run", *order])


def test_style_survives_saving_and_opening_the_project(
    results, entries, labels, polygons, qgis_new_project, tmp_path
):
    project = QgsProject.instance()
    results.add_result_group(project, "Run", labels, None, polygons, entries)
    assert project.write(str(tmp_path / "project ä.qgs"))
    project.clear()
    assert project.read(str(tmp_path / "project ä.qgs"))
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    assert shown(layers["Labels"]) == ["#145c28", "#2466d1", "#f0cd3c", ""]
    assert shown(layers["Polygons"], 3) == ["#145c28", "#2466d1", "#f0cd3c"]


def test_description_is_in_tooltip_and_metadata_and_is_kept(
    results, entries, labels, confidence, qgis_new_project, tmp_path
):
    project, text = QgsProject.instance(), "Model a, scale 2.\nForest & <wood> 0.4"
    results.add_result_group(project, "Run", labels, confidence, None, entries, description=text)
    assert project.write(str(tmp_path / "project.qgs"))
    project.clear()
    assert project.read(str(tmp_path / "project.qgs"))
    model = QgsLayerTreeModel(project.layerTreeRoot())
    group = model.index(0, 0)
    tips = [
        model.index(row, 0, group).data(Qt.ItemDataRole.ToolTipRole) for row in range(model.rowCount(group))
    ]
    assert "Model a, scale 2.<br/>Forest &amp; &lt;wood&gt; 0.4" in tips[0] and "Model" not in tips[1]
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    assert layers["Labels"].metadata().abstract() == text


def test_layer_of_a_missing_file_is_added_and_not_styled(
    results, entries, labels, tmp_path, qgis_new_project
):
    group = results.add_result_group(
        QgsProject.instance(), "Run", labels, tmp_path / "gone.tif", None, entries
    )
    assert [node.name() for node in group.children()] == ["Labels", "Confidence"]


def test_polygons_without_entries_keep_the_style_of_qgis(results, polygons):
    layer = QgsVectorLayer(str(polygons), "", "ogr")
    results.style_polygons(layer, ())
    assert layer.renderer().type() == "singleSymbol"
