"""From a drawn polygon to the support layer, its counts and its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMapToolPan

MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
LEFT, TOP = 400_000.0, 4_300_000.0


def square(x: float, y: float, side: float = 12.0) -> QgsGeometry:
    return QgsGeometry.fromWkt(
        f"POLYGON(({x} {y},{x + side} {y},{x + side} {y + side},{x} {y + side},{x} {y}))"
    )


@pytest.fixture
def session(plugin_module, qgis_new_project, make_geotiff, tmp_path):
    QgsProject.instance().setFileName(str(tmp_path / "my project.qgz"))
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    raster = QgsRasterLayer(str(make_geotiff("data/orthophoto.tif")), "orthophoto")
    QgsProject.instance().addMapLayer(raster)
    session.set_raster(raster)
    session.classes.add("forest")
    session.classes.add("water")
    yield session
    session.close()


@pytest.fixture
def canvas(session, qtbot) -> QgsMapCanvas:
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(300, 200)
    canvas.setDestinationCrs(session.raster.crs())
    canvas.setExtent(session.raster.extent())
    canvas.show()
    return canvas


@pytest.fixture
def drawing(plugin_module, canvas, session):
    drawing = plugin_module("plugin.drawing").Drawing(canvas, session)
    drawing.counts, drawing.said = [], []
    drawing.polygonsChanged.connect(drawing.counts.append)
    drawing.refused.connect(drawing.said.append)
    yield drawing
    drawing.close()


def stored(session) -> list[tuple[int, str, str]]:
    """What is in the file, whatever is in the edit buffer."""
    layer = QgsVectorLayer(session.support.source(), "stored", "ogr")
    return sorted((f["class_id"], f["class_name"], f["use"]) for f in layer.getFeatures())


def test_first_polygon_makes_the_layer_beside_the_project(session, drawing, tmp_path, qtbot) -> None:
    drawing.start(session.classes.entries()[0])
    with qtbot.waitSignal(drawing.layerCreated) as created:
        drawing.add(square(LEFT + 6, TOP - 30))
    assert created.args == [str(tmp_path / "my project_support.gpkg")]
    assert session.support.crs() == session.raster.crs()
    qtbot.waitUntil(lambda: bool(drawing.counts) and 1 in drawing.counts[-1], timeout=2000)
    count = drawing.counts[-1][1]
    assert (count.polygons, count.pixels, count.validation) == (1, 400, 0)  # 12 m by 12 m of 0.6 m pixels
    assert drawing.said == []


def test_map_in_another_system(session, canvas, drawing, qtbot) -> None:
    canvas.setDestinationCrs(MERCATOR)
    drawing.start(session.classes.entries()[0])
    from qgis.core import QgsCoordinateTransform

    polygon = square(LEFT + 6, TOP - 30)
    polygon.transform(QgsCoordinateTransform(session.raster.crs(), MERCATOR, QgsProject.instance()))
    drawing.add(polygon)
    box = next(session.support.getFeatures()).geometry().boundingBox()
    assert abs(box.xMinimum() - LEFT - 6) < 0.01 and abs(box.width() - 12) < 0.01
    assert QgsProject.instance().crs() != MERCATOR, "the project's own system is not touched"


def test_undo_redo_and_saving_with_the_project(session, drawing, qtbot) -> None:
    first, second = session.classes.entries()
    drawing.start(first)
    drawing.add(square(LEFT + 6, TOP - 30))
    drawing.start(second)
    drawing.use = "validation"
    drawing.add(square(LEFT + 40, TOP - 30))
    assert session.support.featureCount() == 2 and stored(session) == []
    drawing.undo()
    assert session.support.featureCount() == 1
    drawing.redo()
    assert session.support.featureCount() == 2
    session.classes.rename(first.id, "trees")
    assert QgsProject.instance().write()
    assert stored(session) == [(first.id, "trees", "support"), (second.id, "water", "validation")]
    assert session.support.isEditable(), "drawing goes on"


def test_closing_keeps_the_polygons(plugin_module, canvas, session) -> None:
    drawing = plugin_module("plugin.drawing").Drawing(canvas, session)
    drawing.start(session.classes.entries()[0])
    drawing.add(square(LEFT + 6, TOP - 30))
    drawing.close()
    assert stored(session) == [(1, "forest", "support")]
    assert canvas.mapTool() is not drawing.tool


def test_the_earlier_tool_comes_back(canvas, session, drawing) -> None:
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    drawing.start(session.classes.entries()[0])
    drawing.start(session.classes.entries()[1])
    assert drawing.active
    drawing.stop()
    assert canvas.mapTool() is pan and not drawing.active


def test_without_raster_or_class(session, drawing) -> None:
    drawing.add(square(LEFT + 6, TOP - 30))
    assert "class" in drawing.said[-1]
    session.set_raster(None)
    drawing.start(session.classes.entries()[0])
    drawing.add(square(LEFT + 6, TOP - 30))
    assert "raster" in drawing.said[-1] and session.support is None


def test_class_in_hand_is_removed(canvas, session, drawing) -> None:
    drawing.start(session.classes.entries()[0])
    session.classes.remove(1)
    assert not drawing.active


def test_layer_is_removed_while_drawing(session, drawing, qtbot) -> None:
    drawing.start(session.classes.entries()[0])
    drawing.add(square(LEFT + 6, TOP - 30))
    drawing.save()
    QgsProject.instance().removeMapLayer(session.support.id())
    qtbot.waitUntil(lambda: bool(drawing.counts) and drawing.counts[-1] == {}, timeout=2000)
    drawing.add(square(LEFT + 6, TOP - 30))
    assert session.support.source().partition("|")[0].endswith("my project_support_2.gpkg"), (
        "nothing is overwritten"
    )


def test_file_that_is_gone(session, drawing, tmp_path) -> None:
    """A commit would fail, and leave QGIS with a layer that crashes it when the project is written."""
    drawing.start(session.classes.entry(1))
    drawing.add(square(LEFT + 6, TOP - 30))
    drawing.save()
    drawing.add(square(LEFT + 26, TOP - 30))
    file = Path(session.support.source().partition("|")[0])
    file.rename(tmp_path / "away.gpkg")
    assert QgsProject.instance().write()
    assert file.name in drawing.said[-1] and session.support.isModified()
    (tmp_path / "away.gpkg").rename(file)
    assert QgsProject.instance().write()
    assert len(stored(session)) == 2 and not session.support.isModified()


def test_layer_of_a_server(plugin_module, qgis_new_project, monkeypatch, tmp_path) -> None:
    """Its source and its name are no file names, and there may be no folder for documents."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    module = plugin_module("plugin.file_names")
    source = "type=xyz&url=https://example.org/{z}/{x}/{y}.png&zmin=0&zmax=2"
    layer, project = QgsRasterLayer(source, "Tiles / ü", "wms"), QgsProject.instance()
    assert module.support_path(layer, project) == tmp_path / "Tiles _ ü_support.gpkg"
    assert module.labels_path(layer, project) == tmp_path / "Tiles _ ü_labels.tif"
    assert module.export_path(layer, project) == tmp_path / "Tiles _ ü.tif"


def test_folders_that_cannot_be_written(plugin_module, session, monkeypatch, tmp_path) -> None:
    module = plugin_module("plugin.file_names")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(module.os, "access", lambda folder, mode: Path(folder) == tmp_path / "data")
    path = module.support_path(session.raster, QgsProject.instance())
    assert path == tmp_path / "data" / "my project_support.gpkg"
    monkeypatch.setattr(module.os, "access", lambda folder, mode: False)
    assert module.support_path(session.raster, QgsProject.instance()).parent not in (
        tmp_path,
        tmp_path / "data",
    )


def test_another_qgis_takes_the_name_at_the_same_time(
    plugin_module, session, drawing, monkeypatch, tmp_path
) -> None:
    taken = tmp_path / "my project_support.gpkg"
    module = plugin_module("plugin.drawing")
    suggest = module.support_path

    def late(raster, project):
        path = suggest(raster, project)
        if path == taken:
            taken.write_text("of another QGIS")
        return path

    monkeypatch.setattr(module, "support_path", late)
    drawing.start(session.classes.entries()[0])
    drawing.add(square(LEFT + 6, TOP - 30))
    assert taken.read_text() == "of another QGIS" and drawing.said == []
    assert session.support.source().partition("|")[0] == str(tmp_path / "my project_support_2.gpkg")
