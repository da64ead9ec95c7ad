"""The published numbers of both papers: ``published.json`` and what reads it.

The values are as printed. Where a printed value contradicts the rest of its paper, a correction says why and, where one
follows, gives another reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ..errors import ProtolabelError
from .setting import Setting


class TableError(ProtolabelError):
    """A table or figure that there is none of."""


class Column(BaseModel):
    """A column: its name as printed, and what it holds.

    Attributes:
        name: As printed.
        settings: Conditions that all its cells share; the fold ``mean`` is the mean over the folds.
        metric: As ``summary.summarize`` names it; None where the rows have theirs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    settings: dict[str, Any] = {}
    metric: str | None = None


class Row(BaseModel):
    """A row: values as printed, and what they were measured with.

    Attributes:
        name: Of the method.
        settings: Conditions that all its cells share; one that differs by data set is a mapping from it. None for a
            method that is quoted alone, and not measured here.
        metric: As for a column.
        remark: On the method.
        values: In the order of the columns, percent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    settings: dict[str, Any] | None = None
    metric: str | None = None
    remark: str = ""
    values: tuple[float, ...]


class Correction(BaseModel):
    """A printed value that contradicts its paper.

    Attributes:
        row: Name of the row.
        column: Name of the column.
        reading: What to read instead; None where the note is all that can be said.
        note: Why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    row: str
    column: str
    reading: float | None
    note: str


class PublishedTable(BaseModel):
    """A table of a paper."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: str
    where: str
    title: str
    settings: dict[str, Any] = {}
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    corrections: tuple[Correction, ...] = ()
    remarks: tuple[str, ...] = ()

    @cached_property
    def notes(self) -> Mapping[tuple[str, str], Correction]:
        """Corrections by row and column."""
        return {(correction.row, correction.column): correction for correction in self.corrections}

    def reading(self, row: Row, column: Column) -> float:
        """The value of a cell, corrected."""
        correction = self.notes.get((row.name, column.name))
        if correction is not None and correction.reading is not None:
            return correction.reading
        return row.values[self.columns.index(column)]

    def metric(self, row: Row, column: Column) -> str:
        """The metric of a cell."""
        return column.metric or row.metric or "mIoU"

    def measurements(self, row: Row, column: Column) -> tuple[Setting, ...]:
        """What a cell is measured with: one setting, one for each fold for a mean, none for a quoted method."""
        if row.settings is None:
            return ()
        settings = {**self.settings, **row.settings, **column.settings}
        for key, value in settings.items():
            if isinstance(value, dict):
                settings[key] = value[settings["dataset"]]
        if settings.get("fold") == "mean":
            folds = sorted(
                {fold for other in self.columns if isinstance(fold := other.settings.get("fold"), int)}
            )
            return tuple(Setting(**{**settings, "fold": fold}) for fold in folds)
        return (Setting(**settings),)


def published_tables() -> dict[str, PublishedTable]:
    """All tables by name, ``dpcl-1`` to ``dpcl-4`` and ``jiang-1`` to ``jiang-5``."""
    content = Path(__file__).with_name("published.json").read_bytes()
    return TypeAdapter(dict[str, PublishedTable]).validate_json(content)


def published_table(name: str) -> PublishedTable:
    """A table by its name.

    Raises:
        TableError: When there is none.
    """
    tables = published_tables()
    if name not in tables:
        raise TableError(f"There is no table {name}; choose one of {', '.join(tables)}.")
    return tables[name]
