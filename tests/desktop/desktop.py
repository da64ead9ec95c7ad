"""What the scenarios use inside of a real QGIS: waiting, mouse and keyboard, screenshots, a watch on the GUI thread."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import qgis.utils
from qgis.core import QgsApplication, QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QWidget

_TICK = 5  # milliseconds


class Watch:
    """Measures how long the GUI thread did not serve its event loop."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs, which has to wait in an event loop."""
        self._last = time.perf_counter()
        self._timer.start(_TICK)
        try:
            yield
        finally:
            self._timer.stop()

    def forget(self) -> None:
        """Do not count the time since the last tick."""
        self._last = time.perf_counter()

    @property
    def longest(self) -> float:
        """The longest block in milliseconds."""
        return max(self.gaps, default=0.0)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(max(0.0, (now - self._last) * 1000.0 - _TICK))
        self._last = now


class Report:
    """What a scenario has found; the test reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, object] = {}
        self.errors: list[str] = []
        QgsApplication.messageLog().messageReceived.connect(self._on_message)

    def picture(self, name: str, widget: QWidget) -> None:
        """Save what a widget looks like."""
        widget.grab().save(str(self.folder / f"{name}.png"))

    def screen(self, name: str, watch: Watch | None = None) -> None:
        """Save the whole screen, overlays and pop-ups with it; what that takes is not counted by the watch."""
        QApplication.primaryScreen().grabWindow(0).save(str(self.folder / f"{name}.png"))
        if watch is not None:
            watch.forget()

    def write(self) -> None:
        """Write the report."""
        text = json.dumps({"values": self.values, "errors": self.errors}, indent=1)
        (self.folder / "report.json").write_text(text, encoding="utf-8")

    def _on_message(self, text: str, tag: str, level: int) -> None:
        if tag.startswith("Python") or "Traceback" in text:
            self.errors.append(text)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> float:
    """Run the event loop until something is true; tells how many seconds it took."""
    started = time.monotonic()
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(
        lambda: loop.quit() if condition() or time.monotonic() - started > seconds else None
    )
    timer.start(_TICK)
    if not condition():
        loop.exec()
    timer.stop()
    if not condition():
        raise AssertionError(f"after {seconds:g} s still not: {what}")
    return time.monotonic() - started


def pause(seconds: float) -> None:
    """Run the event loop for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def click_map(
    canvas: QgsMapCanvas, point: QPoint, button: Qt.MouseButton = Qt.MouseButton.LeftButton
) -> None:
    """Move the mouse over the map and click, as a hand does."""
    view = canvas.viewport()
    move = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(point), Qt.MouseButton.NoButton, Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(view, move)
    QTest.mouseClick(view, button, Qt.KeyboardModifier.NoModifier, point)


def draw_on_map(canvas: QgsMapCanvas, polygon: QgsGeometry) -> None:
    """Zoom to a polygon in map coordinates and click its corners, then end with the right button."""
    box = polygon.boundingBox()
    box.scale(1.5)
    canvas.setExtent(box)
    canvas.waitWhileRendering()
    ring = polygon.asPolygon()[0] if not polygon.isMultipart() else polygon.asMultiPolygon()[0][0]
    transform = canvas.getCoordinateTransform()
    for corner in ring[:-1]:
        place = transform.transform(QgsPointXY(corner))
        click_map(canvas, QPoint(round(place.x()), round(place.y())))
        QTest.qWait(10)  # two clicks in one place within Qt's time are a double click
    click_map(canvas, QPoint(5, 5), Qt.MouseButton.RightButton)


def agree() -> None:
    """Answer what QGIS asks before it closes: nothing is to be saved, the task may be cancelled."""
    box = QApplication.activeModalWidget()
    if isinstance(box, QMessageBox):
        wanted = (
            QMessageBox.StandardButton.Discard,
            QMessageBox.StandardButton.Yes,
            QMessageBox.StandardButton.Ok,
        )
        button = next((box.button(kind) for kind in wanted if box.button(kind)), box.buttons()[0])
        button.click()


def children_of(pid: int) -> list[str]:
    """The command lines of a process's descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            parents[int(entry.name)] = (int(stat.rpartition(")")[2].split()[1]), command)
    found, ring = [], {pid}
    while ring:
        ring = {child for child, (parent, _) in parents.items() if parent in ring}
        found += [parents[child][1] for child in ring]
    return found


def run_scenario(scenario: Callable[[Report], None]) -> None:
    """Run a scenario once QGIS is up, write its report and end QGIS, whatever happens."""
    report = Report(Path(os.environ["PROTOLABEL_REPORT"]))

    def excepthook(kind: type, value: BaseException, trace: object) -> None:
        report.errors.append("".join(traceback.format_exception(kind, value, trace)))

    def start() -> None:
        sys.excepthook = excepthook
        qgis.utils.showException = lambda kind, value, trace, *rest, **more: excepthook(kind, value, trace)
        try:
            scenario(report)
            report.values["finished"] = True
        except BaseException:
            report.errors.append(traceback.format_exc())
            report.screen("failure")
        report.write()
        if report.values.get("close") != "normally":
            os._exit(0)

    QTimer.singleShot(1500, start)
