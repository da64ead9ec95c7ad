"""Runs in QGIS's task manager with the real backend: results, cancel, crashes, layers that go."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsRectangle

pytestmark = pytest.mark.slow


@pytest.fixture
def session(filled_session):
    return filled_session


@pytest.fixture
def control(plugin_module, session, service):
    control = plugin_module("plugin.run_control").RunControl(session, service)
    control.outcome = []
    control.ended.connect(lambda text, success: control.outcome.append((text, success)))
    yield control
    control.close()


def ask(plugin_module, control, output: Path, **area) -> None:
    control.ask(output, plugin_module("plugin.area").Area(**area))


def large(scene, path: Path, side: int = 4000) -> Path:
    """The scene repeated to a size that takes minutes."""
    from osgeo import gdal

    source = gdal.Open(scene.raster)
    data = gdal.GetDriverByName("GTiff").Create(
        str(path), side, side, source.RasterCount, gdal.GDT_Byte, ["TILED=YES"]
    )
    data.SetGeoTransform(source.GetGeoTransform())
    data.SetProjection(source.GetProjection())
    values = source.ReadAsArray()
    for y in range(0, side, values.shape[1]):
        for x in range(0, side, values.shape[2]):
            data.WriteArray(values[:, : side - y, : side - x], x, y)
    data.FlushCache()
    return path


@pytest.fixture
def long_run(plugin_module, session, control, scene, tmp_path, qtbot):
    """A run that has begun and will not end soon."""
    raster = QgsRasterLayer(str(large(scene, tmp_path / "large.tif")), "large")
    QgsProject.instance().addMapLayer(raster)
    session.set_raster(raster)
    states = []
    control.progressed.connect(states.append)
    control.asked.connect(lambda estimate: control.start())
    ask(plugin_module, control, tmp_path / "out" / "labels.tif")
    (tmp_path / "out").mkdir(exist_ok=True)
    qtbot.waitUntil(lambda: any(state.percent > 0 for state in states), timeout=60_000)
    return raster


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_result_is_on_the_map(plugin_module, session, control, tmp_path, qtbot) -> None:
    session.set_options(vector=True)
    output = tmp_path / "out put" / "größe.tif"
    output.parent.mkdir()
    ask(plugin_module, control, output)
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=120_000)
    text, success = control.outcome[0]
    assert success, text
    assert "Left-out polygons: mean IoU" in text
    group = QgsProject.instance().layerTreeRoot().findGroup("größe")
    sources = {Path(node.layer().source().partition("|")[0]).name for node in group.findLayers()}
    assert sources == {"größe.tif", "größe_confidence.tif", "größe_polygons.gpkg"}
    labels = next(node.layer() for node in group.findLayers() if node.layer().source() == str(output))
    shown = [(item.value, item.label, item.color.name()) for item in labels.renderer().classes()]
    assert shown == [(entry.id, entry.name, entry.color) for entry in session.classes.entries()]
    assert "Left-out polygons: mean IoU" in labels.metadata().abstract()
    assert not control.busy


def test_part(plugin_module, session, control, tmp_path, qtbot) -> None:
    extent = session.raster.extent()
    part = QgsRectangle(extent.xMinimum(), extent.yMinimum(), extent.center().x(), extent.center().y())
    ask(plugin_module, control, tmp_path / "part.tif", extent=part)
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=120_000)
    assert control.outcome[0][1], control.outcome
    layer = QgsRasterLayer(str(tmp_path / "part.tif"), "part")
    assert (layer.width(), layer.height()) == (session.raster.width() // 2, session.raster.height() // 2)


def test_cancel_within_two_seconds(control, long_run, tmp_path, qtbot) -> None:
    started = time.monotonic()
    control.cancel()
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=15_000)
    assert control.outcome[0][1] is False and "Cancelled" in control.outcome[0][0]
    assert time.monotonic() - started < 10  # two seconds on a machine that does nothing else
    assert left_over(tmp_path / "out") == []


def test_cancel_in_the_task_bar(control, long_run, tmp_path, qtbot) -> None:
    QgsApplication.taskManager().activeTasks()[0].cancel()
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=15_000)
    assert left_over(tmp_path / "out") == []


def test_worker_is_killed(plugin_module, service, session, control, long_run, scene, tmp_path, qtbot) -> None:
    os.kill(service.client().pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=15_000)
    text, success = control.outcome[0]
    assert not success and "killed" in text and "Traceback" not in text
    # The next run starts another worker, and clears away what the dead one left.
    session.set_raster(
        next(layer for layer in QgsProject.instance().mapLayers().values() if layer.name() == "orthophoto")
    )
    ask(plugin_module, control, tmp_path / "out" / "labels.tif")
    qtbot.waitUntil(lambda: len(control.outcome) == 2, timeout=120_000)
    assert control.outcome[1][1], control.outcome
    assert not [name for name in left_over(tmp_path / "out") if "part" in name]


def test_layer_is_removed(control, long_run, tmp_path, qtbot) -> None:
    QgsProject.instance().removeMapLayer(long_run.id())
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=15_000)
    assert left_over(tmp_path / "out") == []


def test_raster_file_is_removed(plugin_module, session, control, scene, tmp_path, qtbot) -> None:
    path = large(scene, tmp_path / "gone.tif", 400)
    raster = QgsRasterLayer(str(path), "gone")
    QgsProject.instance().addMapLayer(raster)
    session.set_raster(raster)
    path.unlink()
    ask(plugin_module, control, tmp_path / "x.tif")
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=60_000)
    text, success = control.outcome[0]
    assert not success and "does not exist" in text and text.count(". ") == 0


def test_raster_file_is_cut_off_in_the_middle_of_a_run(control, long_run, tmp_path, qtbot) -> None:
    with open(long_run.source(), "r+b") as file:
        file.truncate(100_000)
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=120_000)
    text, success = control.outcome[0]
    assert not success and "cannot be read" in text
    assert left_over(tmp_path / "out") == []


def test_huge_raster_is_asked_about_first(plugin_module, session, control, tmp_path, qtbot, scene) -> None:
    from osgeo import gdal

    source = gdal.Open(scene.raster)
    data = gdal.GetDriverByName("GTiff").Create(
        str(tmp_path / "huge.tif"), 60_000, 60_000, source.RasterCount, gdal.GDT_Byte,
        ["SPARSE_OK=TRUE", "TILED=YES", "BIGTIFF=YES"],
    )  # fmt: skip
    data.SetGeoTransform(source.GetGeoTransform())
    data.SetProjection(source.GetProjection())
    data.WriteArray(source.ReadAsArray(), 0, 0)
    data = None
    raster = QgsRasterLayer(str(tmp_path / "huge.tif"), "huge")
    QgsProject.instance().addMapLayer(raster)
    session.set_raster(raster)
    questions = []
    control.asked.connect(questions.append)
    ask(plugin_module, control, tmp_path / "labels.tif")
    qtbot.waitUntil(lambda: bool(questions or control.outcome), timeout=60_000)
    assert questions, control.outcome
    estimate = questions[0]
    assert (estimate["width"], estimate["height"]) == (60_000, 60_000)
    assert estimate["seconds"] > 600 and estimate["disk"] > 1e8
    assert not (tmp_path / "labels.tif").exists()
    control.withdraw()
    assert not control.busy


def test_no_polygons(plugin_module, session, control, tmp_path) -> None:
    not_ready = plugin_module("plugin.request_fields").NotReadyError
    session.set_support(None)
    with pytest.raises(not_ready, match="draw a polygon"):
        ask(plugin_module, control, tmp_path / "x.tif")
    session.set_raster(None)
    with pytest.raises(not_ready, match="Choose the raster"):
        ask(plugin_module, control, tmp_path / "x.tif")


def test_one_class(plugin_module, session, control, tmp_path, qtbot) -> None:
    for entry in session.classes.entries()[1:]:
        session.classes.remove(entry.id)
    ask(plugin_module, control, tmp_path / "x.tif")
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=60_000)
    text, success = control.outcome[0]
    assert not success and "only one class" in text


def test_folder_that_cannot_be_written(plugin_module, control, qtbot) -> None:
    questions = []
    control.asked.connect(questions.append)
    ask(plugin_module, control, Path("/proc/labels.tif"))
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=60_000)
    text, success = control.outcome[0]
    assert not success and "/proc" in text and text.endswith(".") and "Traceback" not in text
    assert questions == [], "what can only fail is not offered"


def test_output_that_is_the_input(plugin_module, session, control, scene, qtbot) -> None:
    before = Path(scene.raster).stat().st_mtime_ns
    ask(plugin_module, control, Path(scene.raster))
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=60_000)
    assert not control.outcome[0][1] and Path(scene.raster).stat().st_mtime_ns == before


def test_second_raster_with_the_polygons_of_the_first(
    plugin_module, session, control, scene, tmp_path, qtbot
) -> None:
    from osgeo import gdal

    source = gdal.Open(scene.raster)
    place = list(source.GetGeoTransform())
    place[0] += 10_000.0
    copy = gdal.GetDriverByName("GTiff").CreateCopy(str(tmp_path / "second.tif"), source)
    copy.SetGeoTransform(place)
    copy = None
    second = QgsRasterLayer(str(tmp_path / "second.tif"), "second")
    QgsProject.instance().addMapLayer(second)
    session.set_raster(second)
    ask(plugin_module, control, tmp_path / "labels.tif")
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=120_000)
    assert control.outcome[0][1], control.outcome
    tags = gdal.Open(str(tmp_path / "labels.tif")).GetMetadata()
    assert json.loads(tags["PROTOLABEL_SUPPORT_RASTERS"]) == [Path(scene.raster).name]


def test_environment_is_deleted(plugin_module, session, no_service, tmp_path, qtbot) -> None:
    control = plugin_module("plugin.run_control").RunControl(session, no_service)
    control.outcome = []
    control.ended.connect(lambda text, success: control.outcome.append((text, success)))
    ask(plugin_module, control, tmp_path / "x.tif")
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=10_000)
    assert "PROTOLABEL_PYTHON" in control.outcome[0][0]


def test_selected_features(plugin_module, session, control, tmp_path, qtbot) -> None:
    support = session.support
    support.selectByIds([next(support.getFeatures()).id()])
    area = plugin_module("plugin.area").features_area(support, control.new_folder() / "area.gpkg")
    control.ask(tmp_path / "part.tif", area)
    qtbot.waitUntil(lambda: bool(control.outcome), timeout=120_000)
    assert control.outcome[0][1], control.outcome
    layer = QgsRasterLayer(str(tmp_path / "part.tif"), "part")
    box = support.selectedFeatures()[0].geometry().boundingBox()
    assert layer.extent().width() < box.width() + 2 * layer.rasterUnitsPerPixelX()


def test_file_that_exists_is_asked_about(plugin_module, session, control, tmp_path, qtbot) -> None:
    (tmp_path / "labels.tif").write_text("an older map")
    questions = []
    control.asked.connect(questions.append)
    ask(plugin_module, control, tmp_path / "labels.tif")
    qtbot.waitUntil(lambda: bool(questions or control.outcome), timeout=60_000)
    assert any("will be replaced" in warning for warning in questions[0]["warnings"]), control.outcome
    control.withdraw()
    assert (tmp_path / "labels.tif").read_text() == "an older map"
