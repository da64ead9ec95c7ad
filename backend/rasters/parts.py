"""Names for outputs that are not whole yet, and what to do with those that a killed run has left."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import psutil

_OWNER = re.compile(r"\.(\d+)\.[a-z]+\.part")


def part_path(path: Path, kind: str) -> Path:
    """Where a process prepares an output: hidden, beside its place, and not where another process does.

    Args:
        path: The output.
        kind: What the part is, in small letters: one output may have several.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.{kind}.part")


def sweep_parts(path: Path) -> None:
    """Remove what processes that are gone have left of an output; those of a running one stay."""
    for left in path.parent.iterdir():
        if not left.name.startswith(f".{path.name}."):
            continue
        owner = _OWNER.match(left.name, len(path.name) + 1)
        if owner is None or psutil.pid_exists(int(owner[1])):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
