"""Plots of a report, drawn with matplotlib as SVG."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from .report import Figure, ReportRow
from .summary import Statistic

_PUBLISHED, _MEASURED = "#aab4be", "#1f78b4"


def comparison_plot(columns: Sequence[str], rows: Sequence[ReportRow]) -> Figure | None:
    """Bars of published and measured numbers, a panel per method; None where nothing was measured."""
    rows = [row for row in rows if row.is_measured]
    if not rows:
        return None
    canvas = Canvas(figsize=(max(6.0, 1.05 * len(columns) + 1), 2.5 * len(rows) + 0.4), layout="constrained")
    panels = canvas.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    places = np.arange(len(columns))
    top = 0.0
    for panel, row in zip(panels, rows, strict=True):
        published = [math.nan if cell.published is None else cell.published for cell in row.cells]
        measured = [math.nan if cell.measured is None else cell.measured.mean for cell in row.cells]
        spread = [math.nan if cell.measured is None else cell.measured.std for cell in row.cells]
        if row.is_published:
            panel.bar(places - 0.2, published, 0.38, color=_PUBLISHED, label="published")
        bars = panel.bar(
            places + (0.2 if row.is_published else 0), measured, 0.38, color=_MEASURED, label="measured",
            yerr=spread, error_kw={"elinewidth": 1, "capsize": 3, "ecolor": "#12354d"},
        )  # fmt: skip
        labels = ["" if math.isnan(value) else f"{value:.1f}" for value in measured]
        panel.bar_label(bars, labels, fontsize=8, padding=2)
        panel.set_title(row.name, loc="left", fontsize=10, fontweight="bold")
        panel.set_ylabel("percent")
        top = max(top, *(value for value in (*published, *np.add(measured, spread)) if value > 0), 1.0)
        _plain_axes(panel)
    panels[0].set_ylim(0, top * 1.18)
    panels[-1].set_xticks(
        places, columns, rotation=30 if len(columns) > 6 else 0, ha="right" if len(columns) > 6 else "center"
    )
    if any(row.is_published for row in rows):
        panels[0].legend(loc="upper right", ncols=2, fontsize=8, frameon=False, bbox_to_anchor=(1, 1.22))
    what = "Published and measured numbers" if any(row.is_published for row in rows) else "Measured numbers"
    return Figure("comparison", f"{what}; lines are the standard deviation.", _svg(canvas))


def class_plot(name: str, metrics: Mapping[str, Statistic], kind: str = "IoU") -> Figure:
    """Bars of the IoU or F1 of every class, with a dot for each run."""
    classes = {
        metric.removeprefix(f"{kind} "): value
        for metric, value in metrics.items()
        if metric.startswith(f"{kind} ")
    }
    canvas = Canvas(figsize=(7, 0.32 * len(classes) + 1.1), layout="constrained")
    panel = canvas.subplots()
    places = np.arange(len(classes))[::-1]
    panel.barh(places, [value.mean for value in classes.values()], 0.65, color=_MEASURED)
    for place, value in zip(places, classes.values(), strict=True):
        if len(value.runs) > 1:
            panel.plot(value.runs, [place] * len(value.runs), "o", ms=3, color="#12354d", alpha=0.7)
    panel.set_yticks(places, list(classes))
    panel.set_xlim(0, 100)
    panel.set_xlabel(f"{kind}, percent")
    _plain_axes(panel, "x")
    return Figure(
        f"{kind.lower()}_{re.sub(r'[^a-z0-9]+', '-', name.lower())}",
        f"{kind} by class, {name}; dots are runs.",
        _svg(canvas),
        part=True,
    )


def _plain_axes(panel: mpl.axes.Axes, grid: str = "y") -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis=grid, color="#e3e8ec", lw=0.8)  # type: ignore[arg-type]
    panel.set_axisbelow(True)


def _svg(canvas: Canvas) -> bytes:
    file = io.BytesIO()
    # Paths instead of text: the reader's fonts do not matter. Neither date nor random ids: equal plots are equal files.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "protolabel"}):
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
