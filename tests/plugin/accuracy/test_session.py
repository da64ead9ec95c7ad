"""What is chosen for the assessment: by itself, by the user, in the project."""

from __future__ import annotations

import json
import os

import pytest
from qgis.core import QgsProject, QgsRasterLayer


@pytest.fixture
def module(plugin_module, qgis_new_project):
    return plugin_module("plugin.accuracy.session")


@pytest.fixture
def session(module):
    session = module.AccuracySession(QgsProject.instance())
    yield session
    session.close()


def add(path, name, result=None):
    layer = QgsRasterLayer(str(path), name)
    if result is not None:
        layer.setCustomProperty(result, True)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_latest_result_is_the_map(session, plugin_module, assessed_map, make_geotiff, tmp_path) -> None:
    assert session.label_map is None and session.confidence == ""
    add(make_geotiff("image.tif"), "image")
    assert session.label_map is None, "a picture is no label map"
    named = add(assessed_map.truth, "named")
    assert session.label_map is named
    result = plugin_module("plugin.results").RESULT_PROPERTY
    first = add(assessed_map.labels, "first", result)
    os.utime(assessed_map.labels, (1, 1))
    assert session.label_map is first and session.confidence == str(assessed_map.confidence)
    second = add(assessed_map.confidence, "second", result)
    assert session.label_map is second
    session.choose(map=named.id())
    assert session.label_map is named and session.confidence == ""


def test_reference_is_not_the_map(session, assessed_map) -> None:
    labels, truth = add(assessed_map.labels, "labels"), add(assessed_map.truth, "truth")
    session.choose(raster=truth.id())
    assert session.label_map is labels
    session.choose(raster=labels.id())
    assert session.label_map is truth


def test_choices_are_kept_in_the_project(session, module, tmp_path) -> None:
    session.choose(kind="raster", class_field="klasse", without_support=False)
    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    QgsProject.instance().clear()
    assert session.choices == module.AccuracyChoices()
    QgsProject.instance().read(str(tmp_path / "p.qgz"))
    assert session.kind is module.ReferenceKind.RASTER and session.choices.class_field == "klasse"
    assert session.choices.without_support is False


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", '{"kind": "dice"}', '{"kind": 3, "points": null, "points_path": 5}']
)
def test_what_is_not_understood_is_left_out(session, module, text) -> None:
    QgsProject.instance().writeEntry("protolabel", "accuracy", text)
    session.load()
    assert session.choices == module.AccuracyChoices()


def test_points_come_back_from_their_file(session, plugin_module, sample_file) -> None:
    layer = plugin_module("plugin.accuracy.sample_points").open_sample(sample_file)
    QgsProject.instance().addMapLayer(layer)
    values = {"points": layer.id(), "points_path": layer.source()}
    QgsProject.instance().removeMapLayer(layer.id())
    QgsProject.instance().writeEntry("protolabel", "accuracy", json.dumps(values))
    session.load()
    assert session.points is not None and session.points.featureCount() == 9
