"""Live plots on matplotlib's canvas, and painted where that is missing."""

from __future__ import annotations

import sys

import pytest
from qgis.PyQt.QtGui import QColor


@pytest.fixture
def curves(plugin_module):
    curves = plugin_module("plugin.finetuning.curves").Curves()
    curves.untuned = 0.4
    for iteration in range(1, 60):
        curves.add_loss("Total", iteration, 2.0 / iteration)
        curves.add_loss("Segmentation", iteration, 1.0 / iteration)
        if iteration % 10 == 0:
            curves.miou.add(iteration, 0.4 + iteration / 500)
    return curves


@pytest.fixture
def make(plugin_module, qtbot):
    """Makes the plots in a window of a width."""

    def make(width):
        plots = plugin_module("plugin.panels.live_plots").make_plots()
        qtbot.addWidget(plots)
        plots.resize(width, 400)
        plots.show()
        return plots

    return make


@pytest.fixture
def no_matplotlib(monkeypatch):
    """A QGIS without matplotlib."""
    for name in [name for name in sys.modules if name.endswith("panels.canvas_plots")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.ticker"):
        monkeypatch.setitem(sys.modules, name, None)


def colors(widget):
    image = widget.grab().toImage()
    return {image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(image.height())}


def test_base_model_is_a_dashed_line(make, curves, qtbot):
    plots = make(900)
    plots.show_curves(curves)
    qtbot.waitUntil(lambda: len(plots.figure.axes[0].lines) == 2, timeout=10_000)
    loss, miou = plots.figure.axes
    assert [line.get_label() for line in loss.lines] == ["Total", "Segmentation"]
    base, tuned = miou.lines[:2]
    assert base.get_linestyle() == "--" and set(base.get_ydata()) == {0.4}
    assert list(tuned.get_xdata()) == [10, 20, 30, 40, 50]
    assert loss.get_xlim() == miou.get_xlim()


def test_narrow_windows_have_one_plot_above_the_other(make, curves, qtbot):
    plots = make(900)

    def places():
        return [axes.get_subplotspec().get_geometry()[:2] for axes in plots.figure.axes]

    qtbot.waitUntil(lambda: places() == [(1, 2), (1, 2)], timeout=10_000)
    plots.resize(300, 500)
    qtbot.waitUntil(lambda: places() == [(2, 1), (2, 1)], timeout=10_000)


def test_nothing_yet(make, plugin_module, qtbot):
    plots = make(500)
    plots.show_curves(plugin_module("plugin.finetuning.curves").Curves())
    qtbot.wait(600)
    assert not any(len(line.get_xdata()) for axes in plots.figure.axes for line in axes.lines)


@pytest.mark.parametrize("width", [300, 900])
def test_painted_without_matplotlib(no_matplotlib, make, curves, width):
    plots = make(width)
    assert type(plots).__name__ == "PlainPlots"
    before = colors(plots)
    plots.show_curves(curves)
    painted = colors(plots) - before
    assert QColor("#0072b2").rgb() in painted, "the first loss"
    assert QColor("#009e73").rgb() in painted, "the tuned model"


def test_painted_with_nothing_yet(no_matplotlib, make, plugin_module):
    plots = make(300)
    before = colors(plots)
    plots.show_curves(plugin_module("plugin.finetuning.curves").Curves())
    assert QColor("#0072b2").rgb() not in colors(plots) - before


def test_matplotlib_that_is_broken(make, monkeypatch):
    for name in [name for name in sys.modules if name.endswith("panels.canvas_plots")]:
        monkeypatch.delitem(sys.modules, name)

    class Broken:
        def __getattr__(self, name):
            raise ValueError("numpy.dtype size changed")

    monkeypatch.setitem(sys.modules, "matplotlib.figure", Broken())
    assert type(make(300)).__name__ == "PlainPlots"
