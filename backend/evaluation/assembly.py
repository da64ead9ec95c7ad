"""Puts reports together from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import EvaluationConfig
from .experiment import Outcome
from .output import with_plots
from .protocols import EvaluationProtocol
from .published import PublishedTable, published_table
from .report import Report, ReportCell, ReportRow, details, table_rows
from .setting import Setting
from .summary import mean_over_folds
from .tables import TableEntry
from .tasks import usual_boundary


def table_report(
    entry: TableEntry, outcome: Outcome, protocol: EvaluationProtocol, chosen: Mapping[str, str] | None = None
) -> Report:
    """The report of a table of a paper.

    Args:
        entry: The table.
        outcome: What was measured.
        protocol: How.
        chosen: What was chosen of the data, by name.
    """
    rows, notes = table_rows(entry.table, outcome.measured)
    report = Report(
        name=entry.name,
        title=entry.title,
        source=f"{entry.table.paper}, {entry.table.where}",
        columns=tuple(column.name for column in entry.table.columns),
        rows=rows,
        notes=notes,
        remarks=entry.table.remarks,
        conditions=conditions(protocol, chosen or {}),
        differences=outcome.differences,
        missing=outcome.missing,
        details=details(outcome.measured),
    )
    return with_plots(report)


def evaluation_report(config: EvaluationConfig, outcome: Outcome, protocol: EvaluationProtocol) -> Report:
    """The report of an evaluation of one method: a column for each shot and fold, and the means over the folds."""
    table = None if config.beside is None else published_table(config.beside.table)
    columns: list[tuple[str, Sequence[Setting]]] = []
    for shot in config.shots:
        own = [setting for setting in config.settings() if setting.shot == shot]
        columns += [(_column(setting), [setting]) for setting in own]
        if len(own) > 1:
            columns.append((f"{shot}-shot Mean", own))
    cells, notes = [], []
    for _, settings in columns:
        values = [outcome.measured[setting] for setting in settings if setting in outcome.measured]
        measured = mean_over_folds(values, "mIoU") if len(values) == len(settings) else None
        published, printed, note = _published(config, table, settings)
        if note:
            notes.append(note)
        cells.append(ReportCell(published, printed, len(notes) if note else None, measured))
    return with_plots(
        Report(
            name=config.name,
            title=_title(config),
            source="" if table is None else f"{table.paper}, {table.where}",
            columns=tuple(name for name, _ in columns),
            rows=(ReportRow(config.method, "", tuple(cells)),),
            notes=tuple(notes),
            remarks=() if table is None else table.remarks,
            conditions=conditions(protocol, _chosen(config)),
            differences=outcome.differences,
            missing=outcome.missing,
            details=details(outcome.measured),
        )
    )


def _chosen(config: EvaluationConfig) -> dict[str, Any]:
    """What the configuration says of data and weights."""
    if config.protocol == "patches":
        drawn = {"fixed": "drawn once a run", "redrawn": "drawn for each query patch"}[config.support]
        more = {"Support patches": drawn, "Pixels where patches overlap": "counted once"}
    else:
        more = {"Unlabelled pixels of the support": config.boundary or usual_boundary(config.dataset)}
    return {
        "Data set": config.dataset,
        **config.data.told(),
        "Checkpoint": Path(config.checkpoint).name,
        **more,
    }


def _title(config: EvaluationConfig) -> str:
    tested = f"the class {config.left_out}, left out" if config.left_out else f"{config.way or 1}-way"
    return f"{config.method} on {config.dataset}: mIoU, {tested}"


def conditions(protocol: EvaluationProtocol, chosen: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """How it was measured, in words.

    Args:
        protocol: Runs, episodes and counting.
        chosen: What was chosen of the data, by name.
    """
    rule = {
        "present": "only in images whose ground truth has the class (PANet)",
        "all": "in all images (HSNet)",
    }
    if protocol.episodes is None:
        episodes = "every query patch once"
    elif protocol.name == "patches":
        episodes = f"the first {protocol.episodes} query patches of a run, or all where there are fewer"
    else:
        episodes = f"{protocol.episodes} of a run"
    return (
        *((name, _text(value)) for name, value in chosen.items()),
        ("Protocol", protocol.name),
        ("Runs", f"{len(protocol.seeds)}, with the seeds {', '.join(map(str, protocol.seeds))}"),
        ("Episodes", episodes),
        ("False positives of a class", rule[protocol.counting]),
        ("IoU", "hits, mistakes and misses are summed over all episodes of a run before the division"),
        ("mIoU", "mean over the classes without background; over folds: mean of the folds of each run"),
        ("binary IoU", "mean of background and of all classes summed to one foreground"),
        ("OA, kappa, F1", "of all pixels that are not ignored, the background being a label as any other"),
    )


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {own}" for key, own in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _column(setting: Setting) -> str:
    return f"{setting.shot}-shot" + ("" if setting.fold is None else f" fold-{setting.fold + 1}")


def _published(
    config: EvaluationConfig, table: PublishedTable | None, settings: Sequence[Setting]
) -> tuple[float | None, float | None, str]:
    """The published number beside a column: as read, as printed, and the note on it."""
    if table is None or config.beside is None:
        return None, None, ""
    fold = settings[0].fold if len(settings) == 1 else "mean"
    row = next(row for row in table.rows if row.name == config.beside.row)
    for place, column in enumerate(table.columns):
        wanted = {"fold": fold, "shot": settings[0].shot}
        if {**table.settings, **(row.settings or {}), **column.settings}.items() >= wanted.items():
            correction = table.notes.get((row.name, column.name))
            printed = row.values[place]
            note = "" if correction is None else f"Printed {printed:g}. {correction.note}"
            return table.reading(row, column), printed, note
    return None, None, ""
