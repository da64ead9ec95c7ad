"""``accuracy MAP REFERENCE``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..accuracy.assessment import Assessment

_WIDTH = 110  # characters of the table at least: cut numbers would be of no use


@click.command()
@click.argument("labels", metavar="MAP")
@click.argument("reference")
@click.option("--report", type=click.Path(path_type=Path), help="Write a report to this .html.")
@click.option("--csv", "folder", type=click.Path(path_type=Path), help="Write tables to this folder.")
@click.option("--class-field", default="class_id", show_default=True, help="Field of the classes.")
@click.option("--support", help="The polygons that the map was made from; nothing is assessed under them.")
@click.option("--confidence", help="The confidence raster of the map, for the reliability diagram.")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as one JSON object.")
def command(
    labels: str,
    reference: str,
    report: Path | None,
    folder: Path | None,
    class_field: str,
    support: str | None,
    confidence: str | None,
    as_json: bool,
) -> None:
    """Compare the label map MAP with REFERENCE: labelled points, validation polygons or another raster."""
    from ..accuracy.assessment import assess
    from ..accuracy.files import check_files, write_files
    from ..accuracy.numbers import numbers
    from .bar import transient_bar

    check_files(report, folder, [labels, reference, *filter(None, (support, confidence))])
    with transient_bar("Accuracy") as move:
        found = assess(labels, reference, class_field, support, confidence, move)
    written = [*([report] if report else []), *write_files(found, report, folder)]
    if as_json:
        tables = [str(path) for path in written if path != report]
        files = {"report": str(report) if report else None, "tables": tables}
        click.echo(json.dumps({**numbers(found), **files}))
        return
    _print(found)
    for path in written:
        click.echo(f"Wrote {path}.", err=True)


def _print(found: Assessment) -> None:
    """Print the numbers for people."""
    from rich.console import Console
    from rich.table import Table

    from ..accuracy.estimation import CONFIDENCE
    from ..accuracy.report import amount, interval, number, percent

    agreement, estimates = found.agreement, found.estimates
    headers = ["class", "user's", "95 %", "producer's", "95 %", "F1", "IoU", f"map {found.unit}"]
    if found.areas:
        headers += [f"true {found.unit}", "+-"]
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, justify="left" if header == "class" else "right", no_wrap=True)
    for place, info in enumerate(found.classes):
        users, producers = estimates.users[place], estimates.producers[place]
        cells = [
            info.name,
            percent(users.value),
            interval(users),
            percent(producers.value),
            interval(producers),
        ]
        cells += [number(agreement.f1[place]), number(agreement.iou[place]), amount(found.mapped[place])]
        if found.areas:
            area = found.areas[place]
            cells += [amount(area.value), amount(CONFIDENCE * area.se)]
        table.add_row(*cells)
    units = "points" if found.kind == "points" else "pixels"
    console = Console(
        width=max(Console().width, _WIDTH), highlight=False, soft_wrap=True, markup=False, emoji=False
    )
    console.print(
        f"Overall accuracy {percent(estimates.overall.value)} (95 %: {interval(estimates.overall)}), kappa "
        f"{number(agreement.kappa)}, mean IoU {number(agreement.mean_iou)}, mean F1 {number(agreement.mean_f1)}; "
        f"{found.counted:,} {units} compared, {found.removed:,} removed under support polygons."
    )
    console.print(table)
    if found.reliability is not None:
        console.print(f"Expected calibration error of the confidences: {percent(found.reliability.ece)}.")
    for text in (found.statement, *found.notes):
        console.print(text)
