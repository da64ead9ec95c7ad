"""A report: measured numbers beside the published ones, and all that must be known to compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .options import Difference
from .published import PublishedTable
from .setting import Setting
from .summary import Statistic, mean_over_folds

Measurements = Mapping[Setting, Mapping[str, Statistic]]
"""Metrics of each setting that was measured."""


@dataclass(frozen=True)
class ReportCell:
    """One number.

    Attributes:
        published: In percent, corrected where the note says so; None where there is none.
        printed: As in the paper.
        note: Number of the note on it, from 1, or None.
        measured: None where it was not measured.
    """

    published: float | None = None
    printed: float | None = None
    note: int | None = None
    measured: Statistic | None = None

    @property
    def difference(self) -> float | None:
        """Measured minus published, in points."""
        if self.published is None or self.measured is None:
            return None
        return self.measured.mean - self.published


@dataclass(frozen=True)
class ReportRow:
    """A method."""

    name: str
    remark: str
    cells: tuple[ReportCell, ...]

    @property
    def is_measured(self) -> bool:
        """Whether any of its cells was."""
        return any(cell.measured is not None for cell in self.cells)

    @property
    def is_published(self) -> bool:
        """Whether any of its cells is."""
        return any(cell.published is not None for cell in self.cells)


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        name: Of its file, without an ending.
        caption: What it shows.
        data: The file.
        kind: ``svg`` or ``png``.
        part: Whether it is one of many of its sort, shown small.
    """

    name: str
    caption: str
    data: bytes
    kind: str = "svg"
    part: bool = False


@dataclass(frozen=True)
class Report:
    """Everything a report tells.

    Attributes:
        name: Of its files.
        title: First line.
        source: Where the published numbers are from, "" without.
        columns: Names.
        rows: One per method, a cell per column.
        notes: On published values, in the order of their numbers.
        remarks: On the table.
        conditions: How it was measured, by name.
        differences: Options that are not the paper's.
        missing: What was not measured, and why.
        details: All metrics of every setting.
        figures: Plots.
    """

    name: str
    title: str
    source: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[ReportRow, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    details: tuple[tuple[str, Mapping[str, Statistic]], ...] = ()
    figures: tuple[Figure, ...] = ()


def table_rows(
    table: PublishedTable, measured: Measurements
) -> tuple[tuple[ReportRow, ...], tuple[str, ...]]:
    """Set measured numbers beside a published table.

    Args:
        table: The published one.
        measured: By setting; a mean over folds is there once all its folds are.

    Returns:
        The rows, and the notes that their cells refer to.
    """
    numbers = {
        (correction.row, correction.column): number
        for number, correction in enumerate(table.corrections, start=1)
    }
    rows = []
    for row in table.rows:
        cells = []
        for column, printed in zip(table.columns, row.values, strict=True):
            settings = table.measurements(row, column)
            values = [measured[setting] for setting in settings if setting in measured]
            whole = bool(settings) and len(values) == len(settings)
            cells.append(
                ReportCell(
                    published=table.reading(row, column),
                    printed=printed,
                    note=numbers.get((row.name, column.name)),
                    measured=mean_over_folds(values, table.metric(row, column)) if whole else None,
                )
            )
        rows.append(ReportRow(row.name, row.remark, tuple(cells)))
    notes = []
    for correction in table.corrections:
        row = next(row for row in table.rows if row.name == correction.row)
        place = next(i for i, column in enumerate(table.columns) if column.name == correction.column)
        read = "" if correction.reading is None else f", read {correction.reading:g}"
        notes.append(
            f"{correction.row}, {correction.column}: printed {row.values[place]:g}{read}. {correction.note}"
        )
    return tuple(rows), tuple(notes)


def details(
    measured: Measurements, order: Sequence[Setting] | None = None
) -> tuple[tuple[str, Mapping[str, Statistic]], ...]:
    """All metrics of every setting, named."""
    return tuple((setting.title, measured[setting]) for setting in order or measured if setting in measured)
