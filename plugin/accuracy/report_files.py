"""A report and its tables, copied to where the user wants to keep them."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def save_report(report: Path, tables: Sequence[Path], target: Path) -> tuple[Path, int]:
    """Copy a report, and its tables beside it under names that begin with that of the report.

    Args:
        report: The HTML file.
        tables: CSV files.
        target: Where the report goes; earlier files are replaced.

    Returns:
        The report's new file, and how many tables lie beside it.

    Raises:
        OSError: When one of the files cannot be written; no half file is left.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        target = target.with_name(target.name + ".html")
    for table in tables:
        _copy(table, target.with_name(f"{target.stem}_{table.name}"))
    _copy(report, target)
    return target, len(tables)


def _copy(source: Path, target: Path) -> None:
    """Copy a file beside its place, and put it there when it is whole."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        with suppress(OSError):
            part.unlink()
