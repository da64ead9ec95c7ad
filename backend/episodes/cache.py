"""Files that are made from datasets once and read often."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import DatasetError


def cache_folder() -> Path:
    """Where such files go unless the caller says so: the user's cache folder."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "protolabel" / "datasets"


def fingerprint(files: Iterable[Path], *options: object) -> str:
    """A name that changes when one of the files or options does.

    Files are told apart by name, size and time in seconds, not by their folder: a dataset that moves with its times
    (rsync -t, tar) keeps its cache.
    """
    digest = hashlib.blake2b(repr(options).encode(), digest_size=12)
    for file in files:
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {int(status.st_mtime)}\n".encode())
    return digest.hexdigest()


def cached_array(
    folder: Path, name: str, make: Callable[[], NDArray[np.generic]]
) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
    """Read an array, or make and keep it.

    Args:
        folder: Where arrays are kept; made when it is not there.
        name: Of the array.
        make: Makes it; called when it is not there.

    Returns:
        The array, mapped into memory and read-only, so that processes share it.

    Raises:
        DatasetError: When the folder cannot be written.
    """
    path = folder / f"{name}.npy"
    if not path.exists():
        array = make()
        part = folder / f"{name}.{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.save(file, array)
            os.replace(part, path)  # another process may be making the same
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DatasetError(
                f"The cache {folder} cannot be written ({error.strerror}); give another folder as cache."
            ) from error
    return np.load(path, mmap_mode="r")
