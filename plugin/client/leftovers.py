"""What a worker leaves when it is killed and cannot clear up by itself."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from ...backend import protocol


def remove_parts(message: protocol.Request, pid: int) -> None:
    """Remove the unfinished outputs of a request; they have the worker's number in their names.

    Args:
        message: The request.
        pid: The number of the worker that had it.
    """
    named = [getattr(message, name, None) for name in ("output", "confidence", "vector", "report")]
    for folder in {Path(output).parent for output in named if output}:
        _remove(folder, f".*.{pid}.*part*")


def remove_scratch(pid: int) -> None:
    """Remove a worker's folder for temporary files."""
    _remove(Path(tempfile.gettempdir()), f"protolabel-worker-{pid}-*")


def _remove(folder: Path, pattern: str) -> None:
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
