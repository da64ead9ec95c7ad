"""Features of patches, kept between requests: in memory, and beyond that in files of a private folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

from .rasters.grid import Tile

_MEMORY, _DISK = 1200 << 20, 8 << 30  # bytes at most
_SPARE = 1 << 30  # bytes of memory that are left to others


@dataclass(frozen=True)
class PatchFeatures:
    """Features of a patch of cells, one a row.

    They are kept in half precision, which halves what matching has to read and changes a cosine by some 1e-5; as
    unit vectors, since half precision ends at 65504.

    Attributes:
        patch: The cells.
        rows: Unit vectors in half precision, shape (cells, channels); empty where the raster has no valid pixel.
        norms: Their lengths, shape (cells,).
    """

    patch: Tile
    rows: Tensor
    norms: Tensor

    @classmethod
    def of(cls, patch: Tile, window: Tile, features: Tensor | None) -> PatchFeatures:
        """Take a patch out of what the encoder made of a window, shape (channels, window rows, window columns)."""
        if features is None:
            return cls(patch, torch.empty(0, 0, dtype=torch.half), torch.empty(0))
        down = slice(patch.y0 - window.y0, patch.y1 - window.y0)
        across = slice(patch.x0 - window.x0, patch.x1 - window.x0)
        rows = features[:, down, across].permute(1, 2, 0).reshape(-1, features.shape[0]).float()
        norms = rows.norm(dim=1)
        return cls(patch, (rows / norms.clamp_min(1e-12)[:, None]).half().cpu(), norms.cpu())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not len(self.rows)

    @property
    def size(self) -> int:
        """Bytes."""
        return 2 * self.rows.numel() + 4 * self.norms.numel()


class FeatureCache:
    """Keeps the features that were used last; several threads may use it at once."""

    def __init__(self, memory: int | None = None, disk: int | None = None) -> None:
        """Prepare an empty one.

        Args:
            memory: Bytes, None for what suits the machine.
            disk: As well.
        """
        self._memory = min(_MEMORY, psutil.virtual_memory().total // 8) if memory is None else memory
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-features-"))
        self._disk = min(_DISK, shutil.disk_usage(self._folder).free // 4) if disk is None else disk
        self._held: OrderedDict[Hashable, PatchFeatures] = OrderedDict()
        self._files: OrderedDict[Hashable, tuple[Path, Tile, int]] = OrderedDict()
        self._names = self._in_memory = self._on_disk = 0
        self._lock = threading.Lock()

    def put(self, key: Hashable, features: PatchFeatures) -> None:
        """Keep features; those that were used longest ago go to the disk, and from there for good."""
        with self._lock:
            self._hold(key, features)
            self._make_room()

    def get(self, key: Hashable) -> PatchFeatures | None:
        """The features of a key, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            if key not in self._files:
                return None
            features = self._load(key)
            if features is not None:
                self._files.move_to_end(key)
                self._hold(key, features)
                self._make_room()
            return features

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held or key in self._files

    def in_memory(self, key: Hashable) -> bool:
        """Whether it takes no time to get."""
        return key in self._held

    def discard(self, gone: Callable[[Hashable], bool]) -> None:
        """Forget all keys of which something is true."""
        with self._lock:
            for key in [key for key in self._held if gone(key)]:
                self._in_memory -= self._held.pop(key).size
            for key in [key for key in self._files if gone(key)]:
                self._forget_file(key)

    def close(self) -> None:
        """Forget everything and remove the folder."""
        with self._lock:
            self._held.clear()
            self._files.clear()
            self._disk = self._in_memory = self._on_disk = 0
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hold(self, key: Hashable, features: PatchFeatures) -> None:
        known = self._held.pop(key, None)
        self._in_memory += features.size - (known.size if known else 0)
        self._held[key] = features

    def _make_room(self) -> None:
        if self._in_memory <= self._memory // 4:
            return
        # Whatever else runs on the machine comes first, as long as something is left to work with.
        short = max(_SPARE - psutil.virtual_memory().available, 0)
        limit = max(self._memory - short, self._memory // 4)
        while self._in_memory > limit and len(self._held) > 1:
            key, features = self._held.popitem(last=False)
            self._in_memory -= features.size
            if key not in self._files:
                self._save(key, features)

    def _save(self, key: Hashable, features: PatchFeatures) -> None:
        while self._files and self._on_disk + features.size > self._disk:
            # What is in memory as well is not lost with its file.
            twice = (other for other in self._files if other in self._held)
            self._forget_file(next(twice, next(iter(self._files))))
        if features.size > self._disk:
            return
        self._names += 1
        path = self._folder / f"{self._names}.bin"
        try:
            with path.open("wb") as file:
                features.rows.numpy().tofile(file)
                features.norms.numpy().tofile(file)
        except OSError:  # the disk is full: do without
            path.unlink(missing_ok=True)
            return
        self._files[key] = path, features.patch, features.size
        self._on_disk += features.size

    def _load(self, key: Hashable) -> PatchFeatures | None:
        path, patch, size = self._files[key]
        cells = (patch.y1 - patch.y0) * (patch.x1 - patch.x0) if size else 0
        try:
            data = np.fromfile(path, np.uint8)
        except OSError:
            data = np.empty(0, np.uint8)
        if len(data) != size:  # somebody has cleaned up
            self._forget_file(key)
            return None
        rows, norms = data[: size - 4 * cells], data[size - 4 * cells :]
        return PatchFeatures(
            patch,
            torch.from_numpy(
                rows.view(np.float16).reshape(cells, -1) if size else np.empty((0, 0), np.float16)
            ),
            torch.from_numpy(norms.view(np.float32)),
        )

    def _forget_file(self, key: Hashable) -> None:
        path, _, size = self._files.pop(key)
        self._on_disk -= size
        with suppress(OSError):
            os.unlink(path)
