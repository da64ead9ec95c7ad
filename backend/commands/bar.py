"""A progress bar for commands that say little; it is gone when they are done, and absent where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from ..progress import Progress as State
from ..progress import ProgressCallback


@contextmanager
def transient_bar(title: str) -> Iterator[ProgressCallback]:
    """A bar on standard error, and what moves it."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def move(state: State) -> None:
            bar.update(task, completed=state.done, total=state.total)

        yield move
