"""The rectangle to label: dragged by the mouse, seen, and the same place when the map changes its system."""

from __future__ import annotations

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsMapToolPan, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, Qt

UTM = QgsCoordinateReferenceSystem("EPSG:32617")
MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")


@pytest.fixture
def canvas(qgis_new_project, qtbot) -> QgsMapCanvas:
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(400, 200)
    canvas.setDestinationCrs(UTM)
    canvas.setExtent(QgsRectangle(400_000, 4_300_000, 400_400, 4_300_200))
    canvas.show()
    return canvas


@pytest.fixture
def area(plugin_module, canvas):
    area = plugin_module("plugin.canvas.area_rectangle").AreaRectangle(canvas)
    yield area
    area.close()


def drag(qtbot, canvas: QgsMapCanvas, start: QPoint, end: QPoint) -> None:
    view = canvas.viewport()
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(view, end)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=end)


def seen(canvas: QgsMapCanvas) -> bool:
    bands = [item for item in canvas.scene().items() if isinstance(item, QgsRubberBand)]
    return any(band.numberOfVertices() > 3 and band.strokeColor().name() == "#d55e00" for band in bands)


def test_drag(area, canvas, qtbot) -> None:
    earlier = QgsMapToolPan(canvas)
    canvas.setMapTool(earlier)
    area.set_shown(True)
    area.draw()
    with qtbot.waitSignal(area.drawn):
        drag(qtbot, canvas, QPoint(100, 50), QPoint(300, 150))
    box = area.rectangle
    assert (box.xMinimum(), box.yMaximum()) == pytest.approx((400_100, 4_300_150), abs=3)
    assert (box.width(), box.height()) == pytest.approx((200, 100), abs=3)
    assert canvas.mapTool() is earlier and seen(canvas)
    canvas.setDestinationCrs(MERCATOR)
    assert area.rectangle.crs() == UTM and seen(canvas)
    area.set_shown(False)
    assert not seen(canvas)
    area.set_shown(True)
    area.forget()
    assert area.rectangle is None and not seen(canvas)


def test_click(area, canvas, qtbot) -> None:
    area.draw()
    with qtbot.assertNotEmitted(area.drawn):
        drag(qtbot, canvas, QPoint(100, 50), QPoint(100, 50))
    assert area.rectangle is None
