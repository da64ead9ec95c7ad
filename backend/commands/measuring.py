"""The progress bar of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from ..errors import Cancelled


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each setting; gives what is called with the setting's name, episodes done and in all.

    Raises:
        Cancelled: Instead of the interruption, saying that the work can go on.
    """
    bar = Progress(
        # The names are long: they are wrapped, the numbers are not.
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, overflow="fold")),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("episodes", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        console=Console(stderr=True, highlight=False, markup=False, emoji=False),
        expand=True,
    )
    tasks = {}

    def progress(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=total)
        bar.update(tasks[name], completed=done, total=total)

    try:
        with bar:
            yield progress
    except KeyboardInterrupt as error:
        raise Cancelled("Stopped; the same command goes on from here.") from error
