"""The tables and figures of both papers, one entry each, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .published import PublishedTable, TableError, published_tables
from .setting import Setting


@dataclass(frozen=True)
class TableEntry:
    """A table.

    Attributes:
        name: For the command line.
        table: The published numbers.
        protocol: The paper's.
    """

    name: str
    table: PublishedTable
    protocol: str

    @property
    def title(self) -> str:
        """One line."""
        return f"{self.table.paper}, {self.table.where}: {self.table.title}"

    def settings(self, rows: tuple[str, ...] = ()) -> tuple[Setting, ...]:
        """What has to be measured for these rows, all without names."""
        unknown = set(rows) - {row.name for row in self.table.rows}
        if unknown:
            known = ", ".join(repr(row.name) for row in self.table.rows if row.settings is not None)
            raise TableError(f"{self.name} has no row {unknown.pop()!r}; choose of {known}.")
        found = (
            setting
            for row in self.table.rows
            if not rows or row.name in rows
            for column in self.table.columns
            for setting in self.table.measurements(row, column)
        )
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class FigureEntry:
    """A figure.

    Attributes:
        name: For the command line.
        title: One line.
        kind: ``results``, segmentations side by side, or ``prototypes``, their t-SNE.
        protocol: That draws the episodes.
        settings: The methods, by the name that the figure gives them.
        remark: What is to be known of the paper's figure.
    """

    name: str
    title: str
    kind: str
    protocol: str
    settings: dict[str, Setting]
    remark: str = ""

    @property
    def episodes(self) -> int:
        """How many are shown; a t-SNE of a few points shows nothing."""
        return 200 if self.kind == "prototypes" else 6


def entries() -> dict[str, TableEntry | FigureEntry]:
    """All tables and figures."""
    tables: list[TableEntry | FigureEntry] = [
        TableEntry(name, table, "patches" if name.startswith("jiang") else "panet")
        for name, table in published_tables().items()
    ]
    figures: list[TableEntry | FigureEntry] = [
        _dpcl_figure("3", "results, 1-way 1-shot on PASCAL-5i", dataset="pascal"),
        _dpcl_figure("4", "prototypes of novel classes", "prototypes", dataset="pascal"),
        _dpcl_figure(
            "5", "results on COCO-20i", dataset="coco", shot=5,
            remark="The caption has 5 shots, appendix B has 1; the caption's are shown.",
        ),
        _dpcl_figure("6", "results, 1-way 1-shot on PASCAL-5i", dataset="pascal"),
        _dpcl_figure("7", "results, 1-way 5-shot on PASCAL-5i", dataset="pascal", shot=5),
        FigureEntry(
            "jiang-figure-2", "Jiang et al., Figure 2: results with and without DenseCRF on Vaihingen", "results",
            "patches",
            {
                name: Setting(
                    method="jiang", dataset="vaihingen", trained_on="pascal", way=5, shot=5, crf=crf
                )
                for name, crf in (("baseline", False), ("with DenseCRF", True))
            },
        ),
    ]  # fmt: skip
    return {entry.name: entry for entry in tables + figures}


def entry(name: str) -> TableEntry | FigureEntry:
    """A table or figure by its name.

    Raises:
        TableError: When there is none.
    """
    known = entries()
    if name not in known:
        raise TableError(f"There is no table or figure {name}; choose one of {', '.join(known)}.")
    return known[name]


def _dpcl_figure(
    number: str, title: str, kind: str = "results", remark: str = "", **conditions: Any
) -> FigureEntry:
    methods = {
        "PANet": Setting(method="panet", layers=(4,), fold=0, **conditions),
        "DPCL": Setting(method="dpcl", layers=(2, 3, 4), fold=0, **conditions),
    }
    return FigureEntry(
        f"dpcl-figure-{number}", f"DPCL, Figure {number}: {title}", kind, "panet", methods, remark
    )
