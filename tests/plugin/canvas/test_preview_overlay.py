"""The preview on the map: right place, right colours, in the raster's system and in another one."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtGui import QColor, QImage, QPainter

UTM = QgsCoordinateReferenceSystem("EPSG:26917")
MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
LEFT, TOP = 400_000.0, 4_300_000.0
CORNERS = [[LEFT, TOP], [LEFT + 400, TOP], [LEFT + 400, TOP - 200], [LEFT, TOP - 200]]


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.canvas.preview_overlay")


@pytest.fixture
def canvas(qgis_new_project, qtbot) -> QgsMapCanvas:
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(400, 300)
    canvas.setCanvasColor(QColor("white"))
    canvas.setDestinationCrs(UTM)
    canvas.show()
    return canvas


def look(canvas: QgsMapCanvas, overlay) -> QImage:
    """What is seen of the overlay over white: QGIS shows nothing of an item outside of its bounds."""
    image = QImage(canvas.width(), canvas.height(), QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    painter.setClipRect(overlay.sceneBoundingRect())
    painter.translate(overlay.pos())
    overlay.paint(painter)
    painter.end()
    return image


def color_at(canvas: QgsMapCanvas, image: QImage, x: float, y: float, crs=UTM) -> str:
    transform = QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())
    place = canvas.getCoordinateTransform().transform(transform.transform(QgsPointXY(x, y)))
    return image.pixelColor(round(place.x()), round(place.y())).name()


@pytest.fixture
def halves(module) -> QImage:
    """Left half class 0, right half class 1, the lowest row without data."""
    row = bytes([0] * 20 + [1] * 20)
    return module.class_picture(row * 19 + bytes([255] * 40), 40, 20, ["#ff0000", "#0000ff"])


@pytest.mark.parametrize("crs", [UTM, MERCATOR], ids=["same", "other"])
@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_place(module, canvas, halves, crs, rotation) -> None:
    canvas.setDestinationCrs(crs)
    transform = QgsCoordinateTransform(UTM, crs, QgsProject.instance())
    canvas.setExtent(
        transform.transformBoundingBox(QgsRectangle(LEFT - 100, TOP - 300, LEFT + 500, TOP + 100))
    )
    canvas.setRotation(rotation)
    overlay = module.PreviewOverlay(canvas)
    overlay.set_opacity(1.0)
    overlay.show_picture(halves, CORNERS, UTM)
    image = look(canvas, overlay)
    for x, y, color in (
        (LEFT + 10, TOP - 10, "#ff0000"), (LEFT + 190, TOP - 180, "#ff0000"), (LEFT + 210, TOP - 10, "#0000ff"),
        (LEFT + 390, TOP - 180, "#0000ff"), (LEFT + 200, TOP - 196, "#ffffff"), (LEFT - 20, TOP - 100, "#ffffff"),
        (LEFT + 420, TOP - 100, "#ffffff"), (LEFT + 200, TOP + 20, "#ffffff"),
    ):  # fmt: skip
        assert color_at(canvas, image, x, y) == color, (x - LEFT, TOP - y)


def test_no_gaps_between_the_pieces_in_another_system(module, canvas) -> None:
    canvas.setDestinationCrs(MERCATOR)
    transform = QgsCoordinateTransform(UTM, MERCATOR, QgsProject.instance())
    canvas.setExtent(transform.transformBoundingBox(QgsRectangle(LEFT + 50, TOP - 150, LEFT + 350, TOP - 50)))
    overlay = module.PreviewOverlay(canvas)
    overlay.set_opacity(1.0)
    overlay.show_picture(module.class_picture(bytes(40 * 20), 40, 20, ["#ff0000"]), CORNERS, UTM)
    image = look(canvas, overlay)
    middle = [image.pixelColor(x, y).name() for x in range(60, 340) for y in range(80, 220)]
    assert set(middle) == {"#ff0000"}


def test_follows_the_map_and_goes(module, canvas, halves) -> None:
    overlay = module.PreviewOverlay(canvas)
    overlay.set_opacity(1.0)
    canvas.setExtent(QgsRectangle(LEFT, TOP - 200, LEFT + 400, TOP))
    overlay.show_picture(halves, CORNERS, UTM)
    canvas.setExtent(QgsRectangle(LEFT + 300, TOP - 300, LEFT + 900, TOP + 100))
    image = look(canvas, overlay)
    assert color_at(canvas, image, LEFT + 350, TOP - 100) == "#0000ff"
    assert color_at(canvas, image, LEFT + 450, TOP - 100) == "#ffffff"
    assert not overlay.empty
    overlay.clear()
    assert overlay.empty
    assert color_at(canvas, look(canvas, overlay), LEFT + 350, TOP - 100) == "#ffffff"


def test_opacity(module, canvas, halves) -> None:
    canvas.setExtent(QgsRectangle(LEFT, TOP - 200, LEFT + 400, TOP))
    overlay = module.PreviewOverlay(canvas)
    overlay.show_picture(halves, CORNERS, UTM)
    overlay.set_opacity(0.5)
    color = QColor(color_at(canvas, look(canvas, overlay), LEFT + 50, TOP - 50))
    assert color.red() == 255 and abs(color.green() - 128) <= 2


def test_place_that_the_map_cannot_show(module, canvas, halves) -> None:
    overlay = module.PreviewOverlay(canvas)
    overlay.show_picture(halves, [[float("inf"), 0.0]] * 4, MERCATOR)
    assert overlay.empty


def test_uncertainty(module) -> None:
    image = module.uncertainty_picture(bytes([0, 50, 100, 255]), 4, 1)
    sure, unsure, lost, nothing = (image.pixelColor(x, 0) for x in range(4))
    assert sure.alpha() == 0 and nothing.alpha() == 0
    assert unsure.alpha() > 150 and lost.alpha() > unsure.alpha()
    assert lost.red() > 150 and lost.green() < 60


@pytest.mark.parametrize("size", [0, 11, 13])
def test_wrong_number_of_bytes(module, size) -> None:
    with pytest.raises(ValueError, match="cannot have"):
        module.class_picture(bytes(size), 4, 3, ["#ff0000"])


def test_odd_widths(module) -> None:
    data = bytes([0, 1, 0] * 3)
    image = module.class_picture(data, 3, 3, ["#ff0000", "#0000ff"])
    assert [image.pixelColor(x, 2).name() for x in range(3)] == ["#ff0000", "#0000ff", "#ff0000"]
