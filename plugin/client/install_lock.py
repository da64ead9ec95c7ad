"""Keeps two QGIS from installing into the same folder at once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import SetupError

if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 20  # behind the text, since nobody else may read a locked byte

    def _lock(file: BinaryIO) -> None:
        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def install_lock(path: Path) -> Iterator[None]:
    """Hold a lock file, which names this process, for the time of the block.

    The system holds the lock and drops it when the process ends, however it ends, so what a crashed QGIS has left
    behind is no lock. The file stays: who removed it might remove another one's.

    Args:
        path: The lock file.

    Raises:
        SetupError: When another process, or another thread of this one, holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace").strip() or "unknown"
            text = f"The environment is being installed by another QGIS (process {owner}); wait for its end."
            raise SetupError(text) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode("ascii"))  # in append mode: at the start
        file.flush()
        yield
