"""Sample points: read in their order, labelled, skipped, taken back, in the file at once; faults are told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsVectorLayer

_READ = """
import json, sys
from osgeo import ogr
data = ogr.Open(sys.argv[1])
print(json.dumps([(f["point_id"], f["class_id"], f["class_name"], f["skipped"]) for f in data.GetLayer(0)]))
"""

# A QGIS that dies in the middle of the labelling.
_DIE = """
import importlib, os, signal, sys
from pathlib import Path
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
sys.path.insert(0, sys.argv[2])
name = sys.argv[3]
entry = importlib.import_module(f"{name}.plugin.classes").ClassEntry(2, "road", "#999999")
module = importlib.import_module(f"{name}.plugin.accuracy.sample_points")
points = module.SamplePoints(module.open_sample(Path(sys.argv[1])))
points.label(0, entry)
points.skip(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def module(plugin_module, qgis_new_project):
    return plugin_module("plugin.accuracy.sample_points")


@pytest.fixture
def layer(module, sample_file):
    layer = module.open_sample(sample_file)
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def points(module, layer):
    points = module.SamplePoints(layer)
    yield points
    points.close()


@pytest.fixture
def road(plugin_module):
    return plugin_module("plugin.classes").ClassEntry(2, "road", "#999999")


def in_file(path: Path) -> list[tuple[object, ...]]:
    """What another process finds in the file, while QGIS has it open."""
    done = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True)
    return [tuple(row) for row in json.loads(done.stdout)]


def test_labels_are_in_the_file_at_once(points, layer, road, sample_file) -> None:
    assert (len(points), points.next_open()) == (9, 0)
    points.label(0, road)
    points.skip(1)
    assert in_file(sample_file)[:3] == [(1, 2, "road", 0), (2, None, None, 1), (3, None, None, 0)]
    assert not layer.isEditable()
    count = points.count()
    assert (count.labelled, count.skipped, count.left) == (1, 1, 7)
    assert points.next_open() == 2 and points[0].class_id == 2 and points[1].skipped


def test_a_crash_loses_nothing(module, sample_file) -> None:
    name = module.__name__.split(".")[0]  # which the tests give to the plugin's folder
    folder = next(path for path in sys.path if (Path(path) / name).exists())
    done = subprocess.run([sys.executable, "-c", _DIE, sample_file, folder, name], check=False)
    assert done.returncode == -signal.SIGKILL
    again = module.SamplePoints(module.open_sample(sample_file))
    assert again[0].class_name == "road" and again[1].skipped and again.next_open() == 2
    again.close()


def test_next_open_goes_round(points, road) -> None:
    for index in range(1, 9):
        points.label(index, road)
    assert points.next_open(8) == 0 and points.next_open(0) == 0
    points.label(0, road)
    assert points.next_open(3) is None


def test_undo(points, road, sample_file, plugin_module) -> None:
    grass = plugin_module("plugin.classes").ClassEntry(3, "grass", "#009e73")
    points.label(4, road)
    points.label(4, grass)
    points.skip(4)
    assert points.undo() == 4 and in_file(sample_file)[4] == (5, 3, "grass", 0)
    assert points.undo() == 4 and in_file(sample_file)[4] == (5, 2, "road", 0)
    assert points.undo() == 4 and in_file(sample_file)[4] == (5, None, None, 0)
    assert points.undo() is None


def test_a_label_takes_the_skip_away_and_a_skip_the_label(points, road, sample_file) -> None:
    points.skip(0)
    points.label(0, road)
    assert in_file(sample_file)[0] == (1, 2, "road", 0)
    points.skip(0)
    assert in_file(sample_file)[0] == (1, None, None, 1)


def test_order_is_that_of_the_drawing(module, layer) -> None:
    field = layer.fields().lookupField("point_id")
    ids = [feature.id() for feature in layer.getFeatures()]
    layer.dataProvider().changeAttributeValues({id: {field: 9 - place} for place, id in enumerate(ids)})
    points = module.SamplePoints(layer)
    assert [points[index].feature for index in range(9)] == ids[::-1]
    points.close()


def test_labels_are_there_after_opening_again(module, points, road, sample_file) -> None:
    points.label(0, road)
    again = module.SamplePoints(module.open_sample(sample_file))
    assert again.next_open() == 1 and again[0].class_name == "road"
    again.close()


def test_edits_by_other_means_are_seen(points, layer, qtbot) -> None:
    layer.startEditing()
    feature = next(layer.getFeatures())
    layer.changeAttributeValue(feature.id(), layer.fields().lookupField("class_id"), 3)
    with qtbot.waitSignal(points.changed):
        layer.commitChanges()
    assert points[0].class_id == 3 and points.undo() is None


def test_classes_that_the_map_does_not_have(points, road) -> None:
    points.label(0, road)
    assert points.other_classes([1, 2]) == [] and points.other_classes([1, 3]) == [2]


def test_edits_that_are_not_saved(module, points, layer, road) -> None:
    layer.startEditing()
    layer.deleteFeature(points[8].feature)
    with pytest.raises(module.SamplePointsError, match="Save the edits"):
        points.label(0, road)
    layer.rollBack()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to everything")
def test_file_that_may_not_be_written_to(module, points, road, sample_file) -> None:
    sample_file.chmod(0o444)
    with pytest.raises(module.SamplePointsError, match="cannot be written"):
        points.label(0, road)
    assert points[0].is_open


def test_layer_that_takes_no_changes(module, points, layer, road, monkeypatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    with pytest.raises(module.SamplePointsError, match="cannot be written, so nothing was saved"):
        points.label(0, road)
    assert points[0].is_open and points.undo() is None


def test_file_is_gone(module, points, road, sample_file) -> None:
    kept = sample_file.with_suffix(".kept")
    shutil.move(sample_file, kept)
    with pytest.raises(module.SamplePointsError, match="is gone"):
        points.label(0, road)


def test_layer_is_removed(module, points, layer, road, qtbot) -> None:
    with qtbot.waitSignal(points.gone):
        QgsProject.instance().removeMapLayer(layer.id())
    assert points.layer is None
    with pytest.raises(module.SamplePointsError, match="was removed"):
        points.label(0, road)


def test_other_files_are_refused(module, assessed_map, tmp_path) -> None:
    with pytest.raises(module.SamplePointsError, match="no file of sample points"):
        module.open_sample(assessed_map.labels)
    memory = QgsVectorLayer("Point?field=class_id:integer", "some points", "memory")
    with pytest.raises(module.SamplePointsError, match="some points holds no sample points"):
        module.SamplePoints(memory)


def test_style_tells_what_is_done(module, plugin_module, layer, points, road) -> None:
    from qgis.core import QgsExpressionContext, QgsExpressionContextUtils, QgsRenderContext

    plugin_module("plugin.accuracy.sample_style").style_sample(layer, [road])
    points.label(0, road)
    points.skip(1)
    shown = []
    renderer = layer.renderer().clone()
    context = QgsRenderContext()
    context.setExpressionContext(
        QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    )
    renderer.startRender(context, layer.fields())
    for feature in layer.getFeatures():
        context.expressionContext().setFeature(feature)
        symbol = renderer.symbolForFeature(feature, context)
        ring = symbol.symbolLayer(1)
        shown.append((ring.shape(), ring.strokeColor().name()))
        assert ring.fillColor().alpha() == 0, "the ground stays in sight"
    renderer.stopRender(context)
    assert shown[0][1] == "#999999" and shown[1][0] != shown[0][0] and shown[2][1] == "#ffffff"
