"""Export of what only QGIS can read: a map service, here of tiles in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QImage
from qgis.PyQt.QtWidgets import QProgressDialog, QPushButton, QWidget

MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
WORLD = 20037508.342789244


@pytest.fixture
def tiles(tmp_path, qgis_new_project) -> QgsRasterLayer:
    """An XYZ layer of the zoom levels 0 to 2, each tile in its own colour."""
    return make_tiles(tmp_path, range(3))


def make_tiles(folder: Path, zooms: range) -> QgsRasterLayer:
    """That layer with the tiles of some of its zoom levels; what is missing has to be so from the beginning."""
    for zoom in zooms:
        for x in range(2**zoom):
            for y in range(2**zoom):
                path = folder / "tiles" / str(zoom) / str(x) / f"{y}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image = QImage(256, 256, QImage.Format.Format_RGB32)
                image.fill(QColor(60 * x, 60 * y, 200))
                image.save(str(path))
    url = f"file://{folder}/tiles/{{z}}/{{x}}/{{y}}.png"
    layer = QgsRasterLayer(f"type=xyz&url={url}&zmin=0&zmax=2", "tiles", "wms")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


def run(plugin_module, qtbot, layer, extent, resolution, path, crs=MERCATOR):
    module = plugin_module("plugin.raster_export")
    plan = module.ExportPlan(extent, crs, resolution, path)
    task = module.ExportTask(layer, plan, QgsProject.instance().transformContext())
    ended = []
    task.taskCompleted.connect(lambda: ended.append(True))
    task.taskTerminated.connect(lambda: ended.append(False))
    QgsApplication.taskManager().addTask(task)
    return task, ended


def test_tiles_become_a_geotiff(plugin_module, qtbot, tiles, tmp_path) -> None:
    path = tmp_path / "blank und ümlaut.tif"
    extent = QgsRectangle(-WORLD / 2, 0, 0, WORLD / 2)  # the tile 1, 1 of the second level
    _, ended = run(plugin_module, qtbot, tiles, extent, WORLD / 512, path)
    qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    assert ended == [True]
    data = gdal.Open(str(path))
    assert (data.RasterXSize, data.RasterYSize) == (256, 256)
    assert data.ReadAsArray()[:3, 128, 128].tolist() == [60, 60, 200]
    assert data.GetGeoTransform()[0] == pytest.approx(-WORLD / 2) and data.GetGeoTransform()[
        1
    ] == pytest.approx(WORLD / 512)
    assert QgsRasterLayer(str(path), "x").crs() == MERCATOR
    assert not list(tmp_path.glob(".*part*"))


def test_another_system(plugin_module, qtbot, tiles, tmp_path) -> None:
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    path = tmp_path / "degrees.tif"
    _, ended = run(plugin_module, qtbot, tiles, QgsRectangle(-80, 10, -10, 60), 0.5, path, degrees)
    qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    assert ended == [True]
    assert gdal.Open(str(path)).ReadAsArray()[:3, 50, 70].tolist() == [60, 60, 200]


def test_folder_that_is_not_there(plugin_module, qtbot, tiles, tmp_path) -> None:
    task, ended = run(
        plugin_module, qtbot, tiles, QgsRectangle(0, 0, 1e6, 1e6), 1e4, tmp_path / "no" / "x.tif"
    )
    qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    assert ended == [False]
    assert task.error and task.error.endswith(".") and "Traceback" not in task.error


def test_cancel_leaves_nothing(plugin_module, qtbot, tiles, tmp_path) -> None:
    path = tmp_path / "large.tif"
    task, ended = run(
        plugin_module, qtbot, tiles, QgsRectangle(-WORLD, -WORLD, WORLD, WORLD), WORLD / 6000, path
    )
    qtbot.wait(300)
    task.cancel()
    qtbot.waitUntil(lambda: bool(ended), timeout=10_000)
    assert ended == [False] and task.error is None
    assert not path.exists() and not [name for name in os.listdir(tmp_path) if "part" in name]


def test_tiles_that_do_not_come_are_transparent_and_so_never_labelled(
    plugin_module, qtbot, qgis_new_project, tmp_path
) -> None:
    tiles = make_tiles(tmp_path, range(2))
    path = tmp_path / "holes.tif"
    extent = QgsRectangle(-WORLD / 2, 0, 0, WORLD / 2)
    _, ended = run(plugin_module, qtbot, tiles, extent, WORLD / 512, path)
    qtbot.waitUntil(lambda: bool(ended), timeout=60_000)
    assert ended == [True]
    data = gdal.Open(str(path))
    assert data.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    assert data.GetRasterBand(4).ReadAsArray().max() == 0


@pytest.fixture
def exports(plugin_module, qtbot, qgis_canvas, tiles):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    session.set_raster(tiles)
    window = QWidget()
    qtbot.addWidget(window)
    exports = plugin_module("plugin.raster_exports").RasterExports(qgis_canvas, session, window)
    exports.session, exports.window = session, window
    yield exports
    exports.close()
    session.close()


def test_export_takes_the_place_of_the_layer(plugin_module, qtbot, exports, tiles, tmp_path) -> None:
    extent = QgsRectangle(-WORLD / 2, 0, 0, WORLD / 2)
    plan = plugin_module("plugin.raster_export").ExportPlan(
        extent, MERCATOR, WORLD / 512, tmp_path / "part.tif"
    )
    exports.start(plan)
    assert exports.window.findChild(QProgressDialog).isVisible()
    qtbot.waitUntil(lambda: exports.session.raster is not tiles, timeout=30_000)
    assert exports.session.raster.source() == str(tmp_path / "part.tif")
    qtbot.waitUntil(lambda: exports.window.findChild(QProgressDialog) is None)


def test_export_has_a_cancel_button_of_its_own(plugin_module, qtbot, exports, tiles, tmp_path) -> None:
    whole = QgsRectangle(-WORLD, -WORLD, WORLD, WORLD)
    plan = plugin_module("plugin.raster_export").ExportPlan(
        whole, MERCATOR, WORLD / 6000, tmp_path / "large.tif"
    )
    refused = []
    exports.refused.connect(refused.append)
    exports.start(plan)
    qtbot.wait(200)
    dialog = exports.window.findChild(QProgressDialog)
    qtbot.mouseClick(dialog.findChild(QPushButton), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: exports.window.findChild(QProgressDialog) is None, timeout=10_000)
    assert exports.session.raster is tiles and refused == []
    assert not (tmp_path / "large.tif").exists()


@pytest.mark.parametrize(
    ("width", "resolution", "pixels"), [(100.0, 1.0, 100), (100.1, 1.0, 101), (0.2, 1.0, 1)]
)
def test_size(plugin_module, width: float, resolution: float, pixels: int) -> None:
    plan = plugin_module("plugin.raster_export").ExportPlan(
        QgsRectangle(0, 0, width, 50), MERCATOR, resolution, Path("x.tif")
    )
    assert plan.size == (pixels, 50)
