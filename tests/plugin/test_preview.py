"""The live preview with the real backend: stages, the latest request, a worker that is killed."""

from __future__ import annotations

import os
import signal

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle
from qgis.gui import QgsMapCanvas

pytestmark = pytest.mark.slow


@pytest.fixture
def session(filled_session):
    filled_session.set_options(crf=True)
    return filled_session


@pytest.fixture
def canvas(session, qtbot) -> QgsMapCanvas:
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(500, 400)
    canvas.setDestinationCrs(session.raster.crs())
    canvas.setExtent(session.raster.extent())
    canvas.show()
    return canvas


@pytest.fixture
def preview(plugin_module, canvas, session, service):
    preview = plugin_module("plugin.preview").LivePreview(canvas, session, service)
    preview.stages, preview.texts = [], []
    preview.shown.connect(preview.stages.append)
    preview.statusChanged.connect(preview.texts.append)
    preview.told = []  # of left-out polygons: what is expected, "outdated" or "gone"
    preview.expected.connect(preview.told.append)
    preview.expectationOutdated.connect(lambda: preview.told.append("outdated"))
    preview.expectationGone.connect(lambda: preview.told.append("gone"))
    yield preview
    preview.close()


def test_from_rough_to_refined(preview, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    order = ["coarse", "features", "refined"]
    assert preview.stages == sorted(preview.stages, key=order.index)
    assert preview.texts[-1].startswith("Preview is up to date")
    assert not preview.busy and not preview._overlay.empty
    left = [path.name for path in preview._folder.iterdir() if not path.name.startswith("support-")]
    assert left == []


def test_switched_off_it_is_gone(preview, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: bool(preview.stages), timeout=120_000)
    preview.set_enabled(False)
    assert preview._overlay.empty and preview.texts[-1] == ""
    count = len(preview.stages)
    qtbot.wait(1500)
    assert len(preview.stages) == count


def test_latest_view_wins(preview, canvas, session, qtbot) -> None:
    preview.set_enabled(True)
    extent = session.raster.extent()
    shown = []
    preview.shown.connect(lambda stage: shown.append(list(preview._picture.corners)))
    qtbot.waitUntil(lambda: preview.busy, timeout=10_000)
    boxes = [QgsRectangle(extent) for _ in range(4)]
    for number, box in enumerate(boxes):
        box.scale(0.2 + 0.1 * number)
        canvas.setExtent(box)
        qtbot.wait(100)
    left = max(boxes[-1].xMinimum(), extent.xMinimum())
    qtbot.waitUntil(lambda: bool(shown) and abs(shown[-1][0][0] - left) < 2, timeout=120_000)
    qtbot.waitUntil(lambda: not preview.busy, timeout=120_000)
    assert abs(shown[-1][0][0] - left) < 2
    # Views that stood for a shorter time than the map needs to settle were never asked for.
    assert len({tuple(corners[0]) for corners in shown}) <= 2


def test_polygons_change_the_preview(preview, session, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    before = preview._picture.labels
    session.classes.remove(session.classes.entries()[0].id)
    preview.stages.clear()
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=60_000)
    assert "coarse" not in preview.stages, "the view was encoded already"
    assert preview._picture.labels != before


def test_left_out_polygons(preview, canvas, session, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    first, *rest = preview.told
    assert first == "outdated" and rest and all(value == rest[0] for value in rest)
    assert [item.name for item in rest[0].classes] == [entry.name for entry in session.classes.entries()]
    assert 0 <= rest[0].miou <= rest[0].f1 <= 1

    preview.told.clear()
    preview.stages.clear()
    canvas.zoomByFactor(0.5)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    assert set(preview.told) == {rest[0]}, "another view is no other set of polygons"

    preview.told.clear()
    preview.stages.clear()
    session.classes.remove(session.classes.entries()[0].id)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=60_000)
    assert preview.told[0] == "outdated" and len(preview.told[-1].classes) == len(rest[0].classes) - 1
    preview.set_enabled(False)
    assert preview.told[-1] == "gone"


def test_one_polygon_of_each_class(preview, session, qtbot) -> None:
    support, seen = session.support, set()
    several = []
    for feature in support.getFeatures():
        (several.append(feature.id()) if feature["class_id"] in seen else seen.add(feature["class_id"]))
    assert support.deleteFeatures(several)
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    assert preview.told[0] == "outdated" and set(preview.told[1:]) == {None}


def test_worker_is_killed(preview, service, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: service.client().pid is not None, timeout=10_000)
    qtbot.waitUntil(lambda: service.client().ready is not None, timeout=60_000)
    with qtbot.waitSignal(preview.crashed, timeout=20_000) as crashed:
        os.kill(service.client().pid, signal.SIGKILL)
    assert "killed" in crashed.args[0] and preview.told[-1] == "gone"
    preview.refresh()
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)


def test_paused_during_a_run(preview, qtbot) -> None:
    preview.set_enabled(True)
    preview.set_paused(True)
    qtbot.wait(1000)
    assert preview.stages == [] and not preview.busy
    preview.set_paused(False)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)


def test_uncertainty_is_shown_without_asking_again(preview, qtbot) -> None:
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    labels = preview._overlay._image
    preview.set_uncertainty(True)
    assert preview._overlay._image is preview._picture.uncertainty and preview._overlay._image is not labels
    assert not preview.busy


def test_map_in_another_system(preview, canvas, qtbot) -> None:
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    canvas.zoomToFullExtent()
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: "refined" in preview.stages, timeout=120_000)
    assert len(preview._overlay._points) > 2


def test_raster_out_of_view(preview, canvas, qtbot) -> None:
    canvas.setExtent(QgsRectangle(0, 0, 100, 100))
    preview.set_enabled(True)
    qtbot.waitUntil(lambda: bool(preview.texts), timeout=10_000)
    assert "not in view" in preview.texts[-1] and preview.told[-1] == "gone"


def test_without_a_backend(plugin_module, canvas, session, no_service, qtbot) -> None:
    preview = plugin_module("plugin.preview").LivePreview(canvas, session, no_service)
    with qtbot.waitSignal(preview.failed, timeout=10_000) as failed:
        preview.set_enabled(True)
    assert "PROTOLABEL_PYTHON" in failed.args[0]
    preview.close()


def test_next_uncertain_place(plugin_module, canvas, session, service, qtbot) -> None:
    places = plugin_module("plugin.uncertain_places").UncertainPlaces(canvas, session, service)
    said = []
    places.said.connect(said.append)
    whole = canvas.extent()
    with qtbot.waitSignal(places.arrived, timeout=120_000):
        places.go_on()
    first = canvas.extent()
    assert first.width() < whole.width() and whole.intersects(first)
    with qtbot.waitSignal(places.arrived, timeout=1000):
        places.go_on()
    assert canvas.extent().center() != first.center()
    assert said[-1].startswith("Uncertain place 2 of")
    places.close()
