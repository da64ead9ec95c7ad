"""Reports as one HTML file that needs no network and no other file."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from .report import Figure, Report
from .report_text import row_lines, statistic_text


def html(report: Report) -> str:
    """The report as HTML with its figures inside."""
    folder = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=folder, autoescape=True).get_template("report.html.j2")
    return template.render(
        report=report, row_lines=row_lines, statistic_text=statistic_text, data_uri=_data_uri
    )


def _data_uri(figure: Figure) -> str:
    # As an image and not as inline SVG, in which the identifiers of several plots would clash.
    mime = {"svg": "image/svg+xml", "png": "image/png"}[figure.kind]
    return f"data:{mime};base64,{base64.b64encode(figure.data).decode()}"
