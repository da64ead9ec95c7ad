"""``protolabel:label`` with the real worker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

pytestmark = pytest.mark.slow


def pixels(path):
    return gdal.Open(str(path)).ReadAsArray()


@pytest.fixture
def parameters(scene, tmp_path):
    return {
        "RASTER": scene.raster,
        "SUPPORT": scene.support,
        "MODEL": scene.model,
        "DEVICE": "cpu",
        "LABELS": str(tmp_path / "labels with blanks ä.tif"),
    }


def memory_copy(path, name="memory"):
    source = QgsVectorLayer(path, "source", "ogr")
    return source.materialize(QgsFeatureRequest())


class Cancelling(QgsProcessingFeedback):
    """Cancels as soon as the worker tells of its first progress."""

    def setProgressText(self, text):
        self.asked = time.monotonic()
        self.cancel()


def test_label_map_is_the_one_of_the_command_line(parameters, scene, run_algorithm, run_backend, tmp_path):
    feedback = QgsProcessingFeedback()
    confidence, polygons = tmp_path / "confidence.tif", tmp_path / "polygons.gpkg"
    result = run_algorithm(
        "protolabel:label", {**parameters, "CONFIDENCE": str(confidence), "POLYGONS": str(polygons)}, feedback
    )
    assert result == {
        "LABELS": parameters["LABELS"],
        "CONFIDENCE": str(confidence),
        "POLYGONS": str(polygons),
    }
    expected = tmp_path / "expected.tif"
    run_backend("-m", "backend", "label", scene.raster, scene.support, str(expected), "--model", scene.model)
    assert (pixels(parameters["LABELS"]) == pixels(expected)).all()
    assert pixels(confidence).max() > 0
    assert QgsVectorLayer(str(polygons), "", "ogr").featureCount() > 1
    assert "% of the labelled pixels" in feedback.textLog()
    assert feedback.progress() == 100


def test_paths_are_those_of_the_caller_s_folder(parameters, scene, run_algorithm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.tif").symlink_to(scene.raster)
    result = run_algorithm("protolabel:label", {**parameters, "RASTER": "in.tif", "LABELS": "out.tif"})
    assert (tmp_path / "out.tif").is_file()
    assert Path(result["LABELS"]).absolute() == tmp_path / "out.tif"


def test_optional_outputs_are_skipped(parameters, run_algorithm, tmp_path):
    result = run_algorithm("protolabel:label", parameters)
    assert result == {"LABELS": parameters["LABELS"]}
    made = {path.name for path in tmp_path.iterdir() if path.is_file()}
    stem = Path(parameters["LABELS"]).stem
    assert made == {f"{stem}.tif", f"{stem}.qml", f"{stem}.tif.aux.xml"}


def test_unsaved_edits_of_the_support_layer_count(parameters, scene, run_algorithm):
    layer = QgsVectorLayer(scene.support, "support", "ogr")
    layer.startEditing()
    ids = sorted({feature["class_id"] for feature in layer.getFeatures()})
    gone = [feature.id() for feature in layer.getFeatures() if feature["class_id"] == ids[-1]]
    assert layer.deleteFeatures(gone)
    try:
        run_algorithm("protolabel:label", {**parameters, "SUPPORT": layer})
    finally:
        layer.rollBack()
    assert set(pixels(parameters["LABELS"]).flat) <= {*ids[:-1], 255}


def test_selected_features_of_a_memory_layer_count(parameters, scene, run_algorithm):
    layer = memory_copy(scene.support)
    QgsProject.instance().addMapLayer(layer)
    ids = sorted({feature["class_id"] for feature in layer.getFeatures()})[:2]
    layer.selectByExpression(f"class_id in ({ids[0]}, {ids[1]})")
    chosen = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    run_algorithm("protolabel:label", {**parameters, "SUPPORT": chosen})
    assert set(pixels(parameters["LABELS"]).flat) <= {*ids, 255}


def test_another_class_field_and_an_extent(parameters, scene, run_algorithm):
    layer = memory_copy(scene.support)
    layer.startEditing()
    layer.renameAttribute(layer.fields().lookupField("class_id"), "klass")
    layer.renameAttribute(layer.fields().lookupField("class_name"), "kind")
    layer.commitChanges()
    whole = QgsRasterLayer(scene.raster).extent()
    west = whole.xMinimum() + whole.width() / 2
    extent = f"{whole.xMinimum()},{west},{whole.yMinimum()},{whole.yMaximum()}"
    given = {"SUPPORT": layer, "CLASS_FIELD": "klass", "NAME_FIELD": "kind", "EXTENT": extent}
    run_algorithm("protolabel:label", {**parameters, **given})
    assert pixels(parameters["LABELS"]).shape == (240, 160)
    made = QgsRasterLayer(parameters["LABELS"])
    assert {c.label for c in made.renderer().classes()} == {
        feature["kind"] for feature in layer.getFeatures()
    }


def test_extent_in_another_system_is_the_same_part(parameters, scene, run_algorithm):
    raster = QgsRasterLayer(scene.raster)
    part = raster.extent().buffered(-20)
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    far = QgsCoordinateTransform(raster.crs(), degrees, QgsProject.instance()).transformBoundingBox(part)
    text = f"{far.xMinimum()},{far.xMaximum()},{far.yMinimum()},{far.yMaximum()} [EPSG:4326]"
    run_algorithm("protolabel:label", {**parameters, "EXTENT": text})
    made = QgsRasterLayer(parameters["LABELS"]).extent()
    assert made.contains(part)
    assert part.buffered(20).contains(made)


def test_cancel_ends_soon_and_leaves_nothing(parameters, run_algorithm, tmp_path):
    feedback = Cancelling()
    result = run_algorithm("protolabel:label", parameters, feedback)
    assert time.monotonic() - feedback.asked < 2
    assert "LABELS" not in result
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and [p for p in tmp_path.iterdir() if p.is_file()]:
        time.sleep(0.1)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"CLASS_FIELD": "klass"}, "no field klass"),
        ({"BANDS": "red"}, "bands red are not understood"),
        ({"MODEL": "none_such"}, "none_such"),
        ({"LABELS": "/nowhere/at/all.tif"}, "/nowhere/at"),
        ({"RASTER": "/nowhere.tif"}, "RASTER"),
        ({"POLYGONS": "ogr:dbname='/nowhere/p.gpkg' table=\"a\" (geom)"}, "nowhere/p.gpkg"),
        ({"LABELS": "labels.png"}, "png"),
    ],
)
def test_what_cannot_serve_is_told_in_one_sentence(parameters, change, text, run_algorithm):
    with pytest.raises(QgsProcessingException) as caught:
        run_algorithm("protolabel:label", {**parameters, **change})
    assert text in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_messages_name_the_layer_and_not_the_copy_of_it(parameters, scene, run_algorithm):
    layer = memory_copy(scene.support)
    layer.setName("my polygons")
    QgsProject.instance().addMapLayer(layer)
    layer.startEditing()
    for feature in layer.getFeatures():
        layer.changeAttributeValue(feature.id(), layer.fields().lookupField("class_id"), -5)
    layer.commitChanges()
    with pytest.raises(QgsProcessingException) as caught:
        run_algorithm("protolabel:label", {**parameters, "SUPPORT": layer})
    assert "my polygons" in str(caught.value)
    assert ".gpkg" not in str(caught.value)


def test_layer_without_polygons_is_refused(parameters, scene, run_algorithm):
    empty = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class_id:integer", "empty", "memory")
    with pytest.raises(QgsProcessingException, match="no polygon to learn from in empty"):
        run_algorithm("protolabel:label", {**parameters, "SUPPORT": empty})


def test_polygons_that_cross_themselves_are_mended(parameters, scene, run_algorithm):
    layer = memory_copy(scene.support)
    feature = next(layer.getFeatures())
    box = feature.geometry().boundingBox()
    a, b, c, d = box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()
    bow = QgsFeature(feature)
    bow.setGeometry(QgsGeometry.fromWkt(f"Polygon(({a} {b}, {c} {d}, {c} {b}, {a} {d}, {a} {b}))"))
    assert layer.dataProvider().addFeatures([bow])[0]
    run_algorithm("protolabel:label", {**parameters, "SUPPORT": layer})
    assert Path(parameters["LABELS"]).is_file()


def test_services_are_to_be_exported_first(parameters, provider):
    address = "type=xyz&url=http://localhost/{z}/{x}/{y}.png&zmax=3"
    layer = QgsRasterLayer(address, "tiles", "wms")
    QgsProject.instance().addMapLayer(layer)
    label = provider.algorithm("label")
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    fits, text = label.checkParameterValues({**parameters, "RASTER": layer.id()}, context)
    assert not fits
    assert "export it to a GeoTIFF first" in text


def test_loaded_layers_are_styled(parameters, scene, provider, plugin_module, qgis_new_project):
    """As the dialog of an algorithm does it: run, load, style."""
    from processing.gui.Postprocessing import handleAlgorithmResults
    from qgis.core import QgsProcessingAlgRunnerTask, QgsProcessingOutputLayerDefinition

    project = QgsProject.instance()
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    outputs = {
        name: QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
        for name in ("LABELS", "CONFIDENCE", "POLYGONS")
    }
    algorithm = provider.algorithm("label").create()
    task = QgsProcessingAlgRunnerTask(algorithm, {**parameters, **outputs}, context, feedback)
    done = []
    task.executed.connect(lambda ok, results: done.append(ok))
    from qgis.core import QgsApplication

    QgsApplication.taskManager().addTask(task)
    deadline = time.monotonic() + 120
    while not done and time.monotonic() < deadline:
        QgsApplication.processEvents()
        time.sleep(0.02)
    assert done == [True]
    assert handleAlgorithmResults(algorithm, context, feedback)
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    colors = {c.value: (c.label, c.color.name()) for c in layers["Labels"].renderer().classes()}
    shown = {
        c.value(): (c.label(), c.symbol().color().name()) for c in layers["Polygons"].renderer().categories()
    }
    assert shown == colors
    assert len(colors) > 2
    assert layers["Confidence"].renderer().type() == "singlebandpseudocolor"
    project.clear()


def test_colours_of_the_support_layer_are_kept(parameters, scene, run_algorithm, plugin_module):
    entry = plugin_module("plugin.classes").ClassEntry
    layer = QgsVectorLayer(scene.support, "support", "ogr")
    names = {feature["class_id"]: feature["class_name"] for feature in layer.getFeatures()}
    entries = [entry(id, f"my {name}", f"#10{id:02x}80") for id, name in sorted(names.items())]
    plugin_module("plugin.support_layer").style_support_layer(layer, entries)
    run_algorithm("protolabel:label", {**parameters, "SUPPORT": layer})
    made = plugin_module("plugin.results").classes_of(QgsRasterLayer(parameters["LABELS"]))
    assert sorted(made, key=lambda e: e.id) == entries


def test_temporary_copy_is_in_the_folder_that_qgis_removes(parameters, run_algorithm):
    run_algorithm("protolabel:label", parameters)
    copies = list(Path(QgsProcessingUtils.tempFolder()).rglob("support.gpkg"))
    assert copies
