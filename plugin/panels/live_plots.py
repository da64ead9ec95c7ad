"""Plots of a model that is being fine-tuned, with matplotlib where it works."""

from __future__ import annotations

from typing import Protocol

from qgis.PyQt.QtWidgets import QWidget

from ..finetuning.curves import Curves
from ..message_log import log


class LivePlots(Protocol):
    """What both kinds of plots can do; they are widgets."""

    def show_curves(self, curves: Curves) -> None:
        """Plot curves soon."""


def make_plots(parent: QWidget | None = None) -> LivePlots:
    """Plots on matplotlib's canvas, or painted ones; matplotlib takes a moment to load, so this comes late."""
    try:
        from .canvas_plots import CanvasPlots

        return CanvasPlots(parent)
    except (
        Exception
    ) as error:  # missing, of another Qt, or built for another numpy: each fails in a way of its own
        from .plain_plots import PlainPlots

        log(f"The plots are painted without matplotlib, since that cannot be used: {error}")
        return PlainPlots(parent)
