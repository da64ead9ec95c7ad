"""Writes a report into a folder: Markdown, HTML, CSV and the figures that the Markdown refers to."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError
from .plots import class_plot, comparison_plot
from .report import Report
from .report_html import html
from .report_text import comma_separated, markdown


def with_plots(report: Report) -> Report:
    """The report with a plot of its table and one of the classes of each measurement before its other figures."""
    comparison = comparison_plot(report.columns, report.rows)
    classes = [class_plot(name, metrics) for name, metrics in report.details]
    return replace(report, figures=(*([comparison] if comparison else []), *classes, *report.figures))


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write ``NAME.md``, ``NAME.html``, ``NAME.csv`` and the figures.

    Returns:
        The first three files, the HTML first.

    Raises:
        OutputError: When the folder cannot be written to.
    """
    files = {folder / f"{report.name}_{figure.name}.{figure.kind}": figure.data for figure in report.figures}
    shown = replace(report, figures=tuple(replace(f, name=f"{report.name}_{f.name}") for f in report.figures))
    texts = {".html": html(report), ".md": markdown(shown), ".csv": comma_separated(report)}
    paths = {folder / f"{report.name}{ending}": text.encode() for ending, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in {**files, **paths}.items():
            part = path.with_name(path.name + ".part")
            part.write_bytes(data)
            os.replace(part, path)
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {folder} ({error.strerror}); choose another output folder."
        ) from error
    return list(paths)
