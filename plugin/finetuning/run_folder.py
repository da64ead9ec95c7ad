"""The folders that fine-tuning keeps everything in; what is in one outlives QGIS, and can be gone on with."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QLockFile

_FOLDER = "finetuning"
# The worker has names of its own there.
_ABOUT, _RESULT, _LOCK = "qgis_about.json", "qgis_result.json", "qgis.lock"


@dataclass(frozen=True)
class RunFolder:
    """One run.

    Attributes:
        path: The folder; the worker keeps its checkpoints in it, too.
        started: When it was begun.
        base: The name of the model that it began with.
        device: What it runs on.
        result: What the worker has answered at the end, None for a run that did not get there.
    """

    path: Path
    started: datetime
    base: str
    device: str
    result: Mapping[str, Any] | None = None

    def keep_result(self, value: Mapping[str, Any]) -> None:
        """Keep the end of a run, so that it is not lost with QGIS.

        Raises:
            OSError: When it cannot be written.
        """
        _write(self.path / _RESULT, value)

    def lock(self) -> QLockFile | None:
        """Keep other QGIS away as long as the lock is held; None when one is at it already."""
        lock = QLockFile(str(self.path / _LOCK))
        lock.setStaleLockTime(0)  # a lock of a process that is gone does not count, others do, however old
        return lock if lock.tryLock(0) else None

    def remove(self) -> None:
        """Remove it with everything; what cannot be removed stays."""
        shutil.rmtree(self.path, ignore_errors=True)


def new_run_folder(root: Path, base: str, device: str) -> RunFolder:
    """Make a folder for a run.

    Args:
        root: The folder of the plugin's data.
        base: The name of the model that it begins with.
        device: What it runs on.

    Raises:
        OSError: When it cannot be made.
    """
    started = datetime.now().replace(microsecond=0)
    path = root / _FOLDER / f"{started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    path.mkdir(parents=True)
    _write(path / _ABOUT, {"started": started.isoformat(), "base": base, "device": device})
    return RunFolder(path, started, base, device)


def left_runs(root: Path) -> list[RunFolder]:
    """Runs that were neither saved nor discarded and that no QGIS is at, the newest first."""
    found = []
    with suppress(OSError):
        for path in sorted((root / _FOLDER).iterdir(), reverse=True):
            run = _read(path)
            lock = run.lock() if run is not None else None
            if run is not None and lock is not None:
                lock.unlock()
                found.append(run)
    return found


def _read(path: Path) -> RunFolder | None:
    """A folder that is none of ours, or is half removed, is passed over."""
    try:
        about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        started = datetime.fromisoformat(about["started"])
        base, device = str(about["base"]), str(about["device"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    result = None
    with suppress(OSError, ValueError):
        result = json.loads((path / _RESULT).read_text(encoding="utf-8"))
    return RunFolder(path, started, base, device, result)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(values), encoding="utf-8")
    os.replace(part, path)
