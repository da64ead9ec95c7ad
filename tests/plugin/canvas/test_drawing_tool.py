"""The drawing tool, by mouse and key events that go to a canvas in a window."""

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsSnappingConfig,
    QgsTolerance,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasSnappingUtils, QgsMapToolPan
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QColor, QKeySequence, QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow, QShortcut

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
CONTROL, SHIFT, PLAIN = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)
TRIANGLE = [(100, 100), (300, 100), (300, 250)]


class Desk:
    """A window with a canvas, one map unit a pixel, and the tool; what the tool says is in ``said``."""

    def __init__(self, module, qtbot):
        self.window = QMainWindow()
        qtbot.addWidget(self.window)
        self.canvas = QgsMapCanvas(self.window)
        self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
        self.window.setCentralWidget(self.canvas)
        self.window.resize(600, 400)
        self.window.show()
        qtbot.waitExposed(self.window)
        self.window.activateWindow()
        size = self.canvas.size()
        self.canvas.setExtent(QgsRectangle(0, 0, size.width(), size.height()))
        self.tool = module.DrawingTool(self.canvas)
        self.canvas.setMapTool(self.tool)
        self.polygons, self.said = [], []
        self.tool.polygonDrawn.connect(lambda geometry: self.polygons.append(QgsGeometry(geometry)))
        for name in ("undoRequested", "redoRequested", "leaveRequested"):
            getattr(self.tool, name).connect(lambda name=name: self.said.append(name))
        for name in ("classKeyPressed", "refused"):
            getattr(self.tool, name).connect(lambda value, name=name: self.said.append((name, value)))

    def click(self, x, y, button=LEFT, modifier=PLAIN):
        QTest.mouseMove(self.canvas.viewport(), QPoint(x, y))
        QTest.mouseClick(self.canvas.viewport(), button, modifier, QPoint(x, y))

    def clicks(self, places):
        for x, y in places:
            self.click(x, y)

    def key(self, key, modifier=PLAIN):
        QTest.keyClick(self.canvas, key, modifier)

    def to_map(self, x, y):
        return self.canvas.getCoordinateTransform().toMapCoordinates(x, y)

    @property
    def vertices(self):
        return len(self.tool._vertices)


@pytest.fixture
def desk(plugin_module, qtbot, qgis_new_project):
    desk = Desk(plugin_module("plugin.canvas.drawing_tool"), qtbot)
    yield desk
    desk.tool.close()


def finish_by_key(key):
    return lambda desk: desk.key(key)


@pytest.mark.parametrize(
    "finish",
    [
        lambda desk: desk.click(500, 390, RIGHT),
        finish_by_key(Qt.Key.Key_Return),
        finish_by_key(Qt.Key.Key_Enter),
        lambda desk: QTest.mouseDClick(desk.canvas.viewport(), LEFT, PLAIN, QPoint(300, 250)),
    ],
    ids=["right click", "Return", "Enter", "double click"],
)
def test_three_clicks_and_a_finish_make_a_polygon(desk, finish):
    desk.clicks(TRIANGLE)
    assert desk.tool.is_drawing() and desk.polygons == []
    finish(desk)
    assert len(desk.polygons) == 1 and desk.said == [] and not desk.tool.is_drawing()
    expected = QgsGeometry.fromPolygonXY([[desk.to_map(x, y) for x, y in [*TRIANGLE, TRIANGLE[0]]]])
    assert desk.polygons[0].symDifference(expected).area() < 1e-6
    assert expected.area() == pytest.approx(200 * 150 / 2, rel=0.02)


def test_a_quick_double_click_ends_where_it_is(desk):
    desk.clicks(TRIANGLE[:2])
    place = QPoint(*TRIANGLE[2])
    viewport = desk.canvas.viewport()
    QTest.mousePress(viewport, LEFT, PLAIN, place)
    QTest.mouseRelease(viewport, LEFT, PLAIN, place)
    QTest.mouseDClick(viewport, LEFT, PLAIN, place)
    assert len(desk.polygons) == 1 and desk.polygons[0].constGet().nCoordinates() == 4
    desk.clicks(TRIANGLE)
    assert desk.vertices == 3, "the next one begins clean"


@pytest.mark.parametrize("key", [Qt.Key.Key_Backspace, Qt.Key.Key_Delete])
def test_taking_back_vertices(desk, key):
    desk.clicks([*TRIANGLE, (100, 250)])
    desk.key(key)
    assert desk.vertices == 3
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert desk.vertices == 2
    desk.key(key)
    desk.key(key)
    assert not desk.tool.is_drawing() and desk.said == []


def test_undo_and_redo_without_a_polygon_are_the_layers(desk):
    desk.key(Qt.Key.Key_Z, CONTROL)
    desk.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    desk.key(Qt.Key.Key_Y, CONTROL)
    assert desk.said == ["undoRequested", "redoRequested", "redoRequested"]


def test_escape_cancels_and_then_leaves(desk):
    desk.clicks(TRIANGLE)
    desk.key(Qt.Key.Key_Escape)
    assert not desk.tool.is_drawing() and desk.said == []
    desk.key(Qt.Key.Key_Escape)
    assert desk.said == ["leaveRequested"] and desk.polygons == []


def test_number_keys_pick_classes_also_while_drawing(desk):
    desk.clicks(TRIANGLE[:2])
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_9)
    QTest.keyClick(desk.canvas, Qt.Key.Key_3, Qt.KeyboardModifier.KeypadModifier)
    desk.key(Qt.Key.Key_0)
    desk.key(Qt.Key.Key_1, CONTROL)
    assert desk.said == [("classKeyPressed", 1), ("classKeyPressed", 9), ("classKeyPressed", 3)]
    assert desk.vertices == 2


def test_shortcuts_of_the_window_do_not_take_the_keys(desk):
    taken = []
    for keys in ("Ctrl+Z", "Backspace", "Escape", "1", "Ctrl+S"):
        QShortcut(QKeySequence(keys), desk.window, lambda keys=keys: taken.append(keys))
    desk.clicks(TRIANGLE)
    desk.key(Qt.Key.Key_Z, CONTROL)
    desk.key(Qt.Key.Key_Backspace)
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_Escape)
    assert desk.said == [("classKeyPressed", 1)] and not desk.tool.is_drawing() and taken == []
    desk.key(Qt.Key.Key_Backspace)
    desk.key(Qt.Key.Key_S, CONTROL)
    assert taken == ["Backspace", "Ctrl+S"], "other keys stay QGIS's"
    desk.canvas.setMapTool(QgsMapToolPan(desk.canvas))
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert taken[-1] == "Ctrl+Z", "as all keys do when the tool is not in use"


def test_too_few_vertices_are_refused_and_kept(desk):
    desk.clicks(TRIANGLE[:2])
    desk.click(300, 100)  # again the same place
    desk.click(500, 390, RIGHT)
    assert desk.vertices == 2 and desk.polygons == []
    assert desk.said == [("refused", "A polygon needs at least three vertices; click another one.")]


def test_a_right_click_without_a_polygon_is_nothing(desk):
    desk.click(300, 100, RIGHT)
    assert desk.said == []


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([(100, 100), (300, 300), (300, 100), (100, 300)], "crosses itself"),
        ([(100, 100), (200, 100), (300, 100)], "encloses no area"),
    ],
)
def test_what_is_no_polygon_is_refused_and_can_be_mended(desk, places, message):
    desk.clicks(places)
    desk.key(Qt.Key.Key_Return)
    assert desk.polygons == [] and message in desk.said[0][1]
    desk.key(Qt.Key.Key_Backspace)
    desk.click(200, 60)
    desk.key(Qt.Key.Key_Return)
    assert len(desk.polygons) == 1


def move(desk, place, button=Qt.MouseButton.NoButton, modifier=PLAIN):
    """Move the mouse with a button held, which QTest cannot do."""
    local = QPointF(*place)
    place = QPointF(desk.canvas.viewport().mapToGlobal(local.toPoint()))
    event = QMouseEvent(QEvent.Type.MouseMove, local, place, Qt.MouseButton.NoButton, button, modifier)
    QApplication.sendEvent(desk.canvas.viewport(), event)


def drag(desk, places, modifier=SHIFT):
    viewport = desk.canvas.viewport()
    QTest.mousePress(viewport, LEFT, modifier, QPoint(*places[0]))
    for place in places[1:]:
        move(desk, place, LEFT, modifier)
    QTest.mouseRelease(viewport, LEFT, modifier, QPoint(*places[-1]))


def test_freehand(desk):
    side = range(0, 200, 3)
    outline = [(100 + i, 100) for i in side] + [(300, 100 + i) for i in side] + [(300 - i, 300) for i in side]
    drag(desk, outline)
    assert len(desk.polygons) == 1 and not desk.tool.is_drawing()
    assert desk.polygons[0].area() == pytest.approx(200 * 200, rel=0.03)
    assert desk.polygons[0].constGet().nCoordinates() < 10, "it is simplified"
    assert desk.polygons[0].isGeosValid()


def test_freehand_loops_are_dropped(desk):
    drag(desk, [(100, 100), (300, 100), (300, 300), (100, 300), (100, 90), (95, 95), (110, 110)])
    assert len(desk.polygons) == 1 and desk.polygons[0].isGeosValid()
    assert desk.polygons[0].area() == pytest.approx(200 * 200, rel=0.05)


def test_a_click_with_shift_draws_nothing(desk):
    desk.click(100, 100, LEFT, SHIFT)
    assert desk.polygons == [] and desk.said == [] and not desk.tool.is_drawing()
    drag(desk, [(100, 100), (200, 200), (300, 300)])
    assert desk.polygons == [] and "no area" in desk.said[0][1]


def test_panning_with_the_middle_button_or_space_goes_on(desk):
    desk.clicks(TRIANGLE[:2])
    before = desk.canvas.center()
    viewport = desk.canvas.viewport()
    QTest.mousePress(viewport, MIDDLE, PLAIN, QPoint(200, 200))
    move(desk, (250, 220), MIDDLE)
    QTest.mouseRelease(viewport, MIDDLE, PLAIN, QPoint(250, 220))
    after = desk.canvas.center()
    assert after.distance(before) > 40
    QTest.keyPress(desk.canvas, Qt.Key.Key_Space)
    move(desk, (240, 210))
    move(desk, (340, 260))
    QTest.keyRelease(desk.canvas, Qt.Key.Key_Space)
    assert desk.canvas.center().distance(after) > 40
    assert desk.vertices == 2


def test_vertices_snap_when_the_project_says_so(desk, qgis_new_project):
    layer = QgsVectorLayer("Point?crs=EPSG:32632", "points", "memory")
    feature = QgsFeature()
    corner = desk.to_map(103, 98)
    feature.setGeometry(QgsGeometry.fromPointXY(corner))
    layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    desk.canvas.setLayers([layer])
    utils = QgsMapCanvasSnappingUtils(desk.canvas, desk.canvas)
    desk.canvas.setSnappingUtils(utils)
    config = QgsSnappingConfig(QgsProject.instance())
    config.setEnabled(True)
    config.setMode(QgsSnappingConfig.SnappingMode.AllLayers)
    config.setTypeFlag(QgsSnappingConfig.SnappingTypes.VertexFlag)
    config.setTolerance(10)
    config.setUnits(QgsTolerance.UnitType.Pixels)
    utils.setConfig(config)
    utils.locatorForLayer(layer).init()
    desk.clicks(TRIANGLE)
    desk.key(Qt.Key.Key_Return)
    vertices = desk.polygons[0].asPolygon()[0]
    assert vertices[0].distance(corner) < 1e-6
    assert vertices[1].distance(desk.to_map(*TRIANGLE[1])) < 1e-6


def test_what_is_drawn_shows_in_the_colour_of_the_class(desk):
    desk.tool.set_color(QColor("#d55e00"))
    desk.clicks(TRIANGLE)
    QTest.mouseMove(desk.canvas.viewport(), QPoint(100, 250))
    image = desk.canvas.grab().toImage()
    inside, outside = image.pixelColor(150, 200), image.pixelColor(400, 200)
    assert outside.getRgb()[:3] == (255, 255, 255)
    assert inside.red() > inside.green() > inside.blue() and inside.blue() < 230, "the pending edge is shown"
    desk.tool.cancel()
    assert desk.canvas.grab().toImage().pixelColor(150, 200).getRgb()[:3] == (255, 255, 255)


def test_another_coordinate_system_or_tool_drops_what_is_begun(desk):
    desk.clicks(TRIANGLE)
    desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    assert not desk.tool.is_drawing()
    desk.clicks(TRIANGLE)
    desk.canvas.setMapTool(QgsMapToolPan(desk.canvas))
    assert not desk.tool.is_drawing() and desk.polygons == []


def test_closing_leaves_nothing_on_the_canvas(plugin_module, qtbot, qgis_new_project):
    desk = Desk(plugin_module("plugin.canvas.drawing_tool"), qtbot)
    items = len(desk.canvas.scene().items())
    desk.clicks(TRIANGLE)
    desk.tool.close()
    assert desk.canvas.mapTool() is None
    assert len(desk.canvas.scene().items()) == items - 2
