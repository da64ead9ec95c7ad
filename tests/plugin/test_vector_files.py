"""Vector layers as files: their own where that tells what they show, else a copy."""

from __future__ import annotations

import pytest
from qgis.core import QgsCoordinateTransformContext, QgsFeature, QgsGeometry, QgsVectorLayer


@pytest.fixture
def module(plugin_module, qgis_new_project):
    return plugin_module("plugin.vector_files")


@pytest.fixture
def layer(sample_file):
    return QgsVectorLayer(f"{sample_file}|layername=points", "points", "ogr")


@pytest.fixture
def memory():
    """Two points whose field "fid" is twice the same, as in layers that were merged."""
    layer = QgsVectorLayer("Point?crs=EPSG:26917&field=fid:integer&field=kind:string", "merged", "memory")
    features = []
    for kind in ("a", "b"):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([7, kind])
        feature.setGeometry(QgsGeometry.fromWkt("POINT (1 2)"))
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    return layer


def test_plain_layer_is_its_file(module, layer, sample_file) -> None:
    assert module.file_of(layer) == f"{sample_file}|layername=points"
    layer.startEditing()
    assert module.file_of(layer) is not None, "nothing is edited yet"
    layer.deleteFeature(next(layer.getFeatures()).id())
    assert module.file_of(layer) is None
    layer.rollBack()
    layer.setSubsetString('"point_id" < 3')
    assert module.file_of(layer) is None


def test_layer_without_a_file(module, memory, sample_file, tmp_path) -> None:
    assert module.file_of(memory) is None
    sample_file.rename(tmp_path / "away.gpkg")
    gone = QgsVectorLayer(str(sample_file), "gone", "ogr")
    assert module.file_of(gone) is None


def test_copy_holds_edits_and_the_wanted_fields(module, layer, tmp_path) -> None:
    layer.startEditing()
    layer.deleteFeature(next(layer.getFeatures()).id())
    path = tmp_path / "Kopie ü.gpkg"
    wanted = ("class_id", "point_id", "no such field")
    assert module.copy_layer(layer, path, QgsCoordinateTransformContext(), wanted) == ""
    copy = QgsVectorLayer(str(path), "copy", "ogr")
    assert copy.featureCount() == 8 and copy.crs() == layer.crs()
    assert [field.name() for field in copy.fields()] == ["protolabel_fid", "point_id", "class_id"]
    layer.rollBack()


def test_copy_of_a_layer_with_a_field_fid(module, memory, tmp_path) -> None:
    path = tmp_path / "copy.gpkg"
    assert module.copy_layer(memory, path, QgsCoordinateTransformContext()) == ""
    copy = QgsVectorLayer(str(path), "copy", "ogr")
    assert sorted((f["fid"], f["kind"]) for f in copy.getFeatures()) == [(7, "a"), (7, "b")]


def test_copy_that_cannot_be_written(module, memory, tmp_path) -> None:
    path = tmp_path / "no such folder" / "copy.gpkg"
    assert module.copy_layer(memory, path, QgsCoordinateTransformContext()) != ""
