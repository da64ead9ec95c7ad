"""The files of an assessment: the report and the tables, all of them or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import OutputError
from ..rasters.label_map import check_output, write_error
from ..rasters.parts import part_path, sweep_parts
from .assessment import Assessment
from .report import html
from .tables import NAMES, tables

REPORTS = (".html", ".htm")


def check_files(report: str | Path | None, folder: str | Path | None, inputs: Sequence[str | Path]) -> None:
    """Check before the work starts that everything can be written.

    Args:
        report: The HTML file, or None.
        folder: For the tables, or None; it is made when its own folder is there.
        inputs: Files that must not be overwritten.

    Raises:
        OutputError: When something cannot be written.
    """
    files = [str(path).partition("|")[0] for path in inputs]
    if report is not None:
        check_output(report, *files, extensions=REPORTS)
    if folder is None:
        return
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, but the tables need a folder; choose another name.")
    if target.is_dir():
        try:
            with tempfile.TemporaryFile(dir=target):
                pass
        except OSError as error:
            raise write_error(target / NAMES[0], error) from error
    else:
        check_output(target.with_name(f"{target.name}.csv"), extensions=(".csv",))  # asks for its own folder


def write_files(found: Assessment, report: str | Path | None, folder: str | Path | None) -> list[Path]:
    """Write the report and the tables; earlier ones are kept until all are whole.

    Args:
        found: The assessment.
        report: The HTML file, or None.
        folder: For the tables, or None.

    Returns:
        The paths of the tables.

    Raises:
        OutputError: When something cannot be written; nothing is changed then.
    """
    texts: dict[Path, str] = {}
    written = [Path(folder) / name for name in tables(found)] if folder is not None else []
    if folder is not None:
        # Spreadsheets take a file for UTF-8 by its mark.
        texts.update({Path(folder) / name: "\ufeff" + text for name, text in tables(found).items()})
    if report is not None:
        texts[Path(report)] = html(found)
    parts: dict[Path, Path] = {}
    path = Path(report or folder or ".")
    try:
        if folder is not None:
            Path(folder).mkdir(exist_ok=True)
        for path, text in texts.items():
            sweep_parts(path)
            parts[path] = part_path(path, "report")
            with parts[path].open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a full disk may tell only now
        for path, part in parts.items():
            os.replace(part, path)
        if folder is not None:
            for name in NAMES:  # one that this assessment has not, of an earlier one
                if Path(folder) / name not in written:
                    (Path(folder) / name).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return written
