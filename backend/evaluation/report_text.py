"""Reports as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from .report import Report, ReportCell, ReportRow
from .summary import Statistic


def markdown(report: Report) -> str:
    """The report as Markdown; figures are files beside it."""
    parts = [f"# {report.title}"]
    if report.source:
        parts.append(f"Published numbers: {report.source}. Percent; ± is the standard deviation over runs.")
    if report.rows:
        lines = []
        for row in report.rows:
            for name, kind, cells in row_lines(row):
                lines.append([name, kind, *cells])
        parts.append(_table(["Method", "", *report.columns], lines))
    parts += [f"\\[{number}\\] {_plain(note)}" for number, note in enumerate(report.notes, start=1)]
    parts += _list("Remarks", report.remarks)
    if report.conditions:
        parts += ["## Measured how", _table(["", ""], report.conditions)]
    if report.differences:
        parts += [
            "## Options that differ from the paper",
            _table(
                ["Measurement", "Option", "Paper", "Here"],
                [[d.setting, d.option, d.paper, d.used] for d in report.differences],
            ),
        ]
    elif report.details:
        parts += ["## Options that differ from the paper", "None."]
    parts += _list("Not measured", report.missing)
    if report.details:
        parts.append("## All metrics")
    for name, metrics in report.details:
        values = [[metric, statistic_text(value)] for metric, value in metrics.items()]
        parts += [f"### {name}", _table(["Metric", "Measured"], values)]
    parts += [f"![{_plain(figure.caption)}]({figure.name}.{figure.kind})" for figure in report.figures]
    return "\n\n".join(parts) + "\n"


def comma_separated(report: Report) -> str:
    """The report's numbers as CSV, one a line: published and measured ones, the latter for each run as well."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["table", "method", "column", "printed", "published", "measured", "std", "difference", "runs", "note"]
    )
    for row in report.rows:
        for column, cell in zip(report.columns, row.cells, strict=True):
            note = "" if cell.note is None else report.notes[cell.note - 1]
            writer.writerow([report.name, row.name, column, *_cell_values(cell), note])
    for name, metrics in report.details:
        for metric, value in metrics.items():
            writer.writerow([report.name, name, metric, *_cell_values(ReportCell(measured=value)), ""])
    return file.getvalue()


def row_lines(row: ReportRow) -> list[tuple[str, str, list[str]]]:
    """The lines of a row: the method's name in the first one, what each line is, and its cells."""
    lines = []
    name = f"{row.name} ({row.remark})" if row.remark else row.name
    if row.is_published or not row.is_measured:
        lines.append((name, "published", [published_text(cell) for cell in row.cells]))
    if row.is_measured:
        texts = [statistic_text(cell.measured) for cell in row.cells]
        lines.append(("" if lines else name, "measured", texts))
        if row.is_published:
            lines.append(("", "difference", [_signed(cell.difference) for cell in row.cells]))
    return lines


def published_text(cell: ReportCell) -> str:
    """A published number with the number of its note."""
    if cell.published is None:
        return ""
    note = "" if cell.note is None else f" [{cell.note}]"
    return f"{cell.published:g}{note}"


def statistic_text(value: Statistic | None) -> str:
    """Mean and, for several runs, standard deviation."""
    if value is None or math.isnan(value.mean):
        return ""
    return f"{value.mean:.2f}" + (f" ± {value.std:.2f}" if len(value.runs) > 1 else "")


def _signed(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:+.2f}"


def _cell_values(cell: ReportCell) -> list[str]:
    measured = cell.measured
    values = [
        cell.printed,
        cell.published,
        None if measured is None else measured.mean,
        None if measured is None else measured.std,
        cell.difference,
    ]
    runs = (
        "" if measured is None else " ".join("" if math.isnan(run) else f"{run:.4f}" for run in measured.runs)
    )
    return ["" if value is None or math.isnan(value) else f"{value:.6g}" for value in values] + [runs]


def _list(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {_plain(line)}" for line in lines)] if lines else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A text that neither ends a cell of a table nor begins markup."""
    return (
        text.replace("|", "\\|")
        .replace("\n", " ")
        .replace("<", "&lt;")
        .replace("[", "\\[")
        .replace("]", "\\]")
    )
