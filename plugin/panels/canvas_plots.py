"""Live plots on matplotlib's canvas for Qt, which QGIS ships; whoever imports this is ready for its absence."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from qgis.PyQt.QtCore import QEvent, QTimer
from qgis.PyQt.QtGui import QPalette, QResizeEvent
from qgis.PyQt.QtWidgets import QApplication, QSizePolicy, QWidget

from ..finetuning.curves import Curves
from ..translation import tr
from .plot_colors import BASE_COLOR, LINE_COLORS, MIOU_COLOR

try:  # matplotlib 3.5
    from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
except ImportError:
    from matplotlib.backends.backend_qt5agg import FigureCanvasQTAgg

_INTERVAL = 800  # milliseconds between two drawings, each of which takes some 80
_FEW = 10  # points that are marked, since one alone makes no line
_SIDE_BY_SIDE = 34  # characters of width that each plot needs beside the other


class CanvasPlots(FigureCanvasQTAgg):
    """Loss on the one side, mean IoU of what is held out on the other; one above the other where it is narrow."""

    _soon: QTimer | None = None  # events come while the canvas is still being made

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Figure(constrained_layout=True))
        self._curves = Curves()
        self._beside: bool | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_INTERVAL)
        self._soon.timeout.connect(self.draw_now)
        self.setParent(parent)
        self.setObjectName("finetunePlots")
        self.setAccessibleName(tr("Plots of the loss and of the mean IoU"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._arrange_soon = QTimer(self)
        self._arrange_soon.setSingleShot(True)
        self._arrange_soon.timeout.connect(self._arrange)
        self._arrange()

    def show_curves(self, curves: Curves) -> None:
        """Draw curves soon; of several calls in a short time the last one counts."""
        self._curves = curves
        if not self._soon.isActive():
            self._soon.start()

    def draw_now(self) -> None:
        """Draw the present curves."""
        self._soon.stop()
        for axes in self._axes:
            axes.clear()
        self._draw_losses(self._axes[0])
        self._draw_miou(self._axes[1])
        self._paint_like_qt(max(self._curves.last, 1) * 1.02)
        self.draw_idle()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the plots side by side or one above the other, whichever there is room for."""
        super().resizeEvent(event)
        self._arrange_soon.start()  # not here, since that may change the size again

    def changeEvent(self, event: QEvent) -> None:
        """Follow the colours and the font of the window."""
        if self._soon and event.type() in (QEvent.Type.ApplicationPaletteChange, QEvent.Type.StyleChange):
            self._soon.start()
        super().changeEvent(event)

    def _arrange(self) -> None:
        beside = self.width() >= 2 * _SIDE_BY_SIDE * self.fontMetrics().averageCharWidth()
        if beside == self._beside:
            return
        self._beside = beside
        self.setMinimumHeight(self.fontMetrics().height() * (12 if beside else 18))
        self.figure.clear()
        self._axes = list(self.figure.subplots(1, 2) if beside else self.figure.subplots(2, 1))
        self.draw_now()

    def _draw_losses(self, axes: Any) -> None:
        axes.set_ylabel(tr("Loss"))
        for number, (title, curve) in enumerate(self._curves.losses.items()):
            x, y = zip(*curve.thinned())  # noqa: B905 - Python 3.9
            color, marker = LINE_COLORS[number % len(LINE_COLORS)], "." if len(x) < _FEW else ""
            axes.plot(x, y, color=color, linewidth=1.5, marker=marker, label=title)

    def _draw_miou(self, axes: Any) -> None:
        axes.set_ylabel(tr("Mean IoU on the hold-out"))
        curves = self._curves
        if curves.untuned is not None:
            axes.axhline(
                curves.untuned, color=BASE_COLOR, linestyle="--", linewidth=1.5, label=tr("Base model")
            )
        if curves.miou.points:
            x, y = zip(*curves.miou.thinned())  # noqa: B905 - Python 3.9
            axes.plot(x, y, color=MIOU_COLOR, marker="o", markersize=4, label=tr("Fine-tuned"))
        if curves.best is not None:
            axes.plot(*curves.best, color=MIOU_COLOR, marker="o", markersize=9, markerfacecolor="none")

    def _paint_like_qt(self, right: float) -> None:
        """Colours and font size of the window; the same iterations in both plots."""
        # Its own palette is white whatever the window's is: matplotlib sees to that.
        palette, size = QApplication.palette(), max(self.font().pointSizeF(), 7.0)
        back, text = (
            palette.color(role).name() for role in (QPalette.ColorRole.Window, QPalette.ColorRole.WindowText)
        )
        self.figure.set_facecolor(back)
        for axes in self._axes:
            axes.set_facecolor(palette.color(QPalette.ColorRole.Base).name())
            axes.yaxis.label.set(color=text, fontsize=size - 1)
            axes.set_xlabel(tr("Iteration"), color=text, fontsize=size - 1)
            axes.tick_params(colors=text, labelsize=size - 1)
            axes.set_xlim(0, right)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(6))
            axes.grid(color=palette.color(QPalette.ColorRole.Mid).name(), alpha=0.35, linewidth=0.6)
            for side, spine in axes.spines.items():
                spine.set_visible(side in ("left", "bottom"))
                spine.set_color(palette.color(QPalette.ColorRole.Mid).name())
            if axes.get_legend_handles_labels()[1]:
                axes.legend(
                    fontsize=size - 2, labelcolor=text, framealpha=0.7, facecolor=back, edgecolor="none",
                    loc="upper right" if axes is self._axes[0] else "best", borderpad=0.2, labelspacing=0.3,
                )  # fmt: skip
