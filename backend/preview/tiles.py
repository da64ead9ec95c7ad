"""The features of one raster: encoded when they are wanted, kept for the next request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray

from ..encoders.runner import EncoderRunner, cpu_count
from ..feature_cache import FeatureCache, PatchFeatures
from ..progress import CancelToken
from ..rasters.grid import FeatureGrid, Tile
from ..rasters.imagery import read_tile
from ..rasters.source import RasterSource
from ..rasters.support import SupportSet
from ..support_features import PolygonFeatures, cell_places, pooling_weights
from .patches import SIDE, patches_in, patches_over, plan

_CHUNK = 8 * SIDE  # cells; large polygons are pooled in squares of this side
_PATIENCE = 0.05  # seconds between looks at the cancel token


class RasterTiles:
    """Patches of a raster's whole grid, so that a preview shows what a run over all of it writes.

    Attributes:
        grid: The grid.
        runner: The encoder.
    """

    def __init__(
        self,
        source: RasterSource,
        runner: EncoderRunner,
        grid: FeatureGrid,
        cache: FeatureCache,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._source, self.runner, self.grid = source, runner, grid
        self._cache, self._threads = cache, threads
        self._under_way: dict[Tile, Future[None]] = {}
        self._pooled: dict[bytes, PolygonFeatures] = {}
        self._closed = False

    def close(self) -> None:
        """Forget all features; what is still encoded is not kept."""
        self._closed = True
        for future in self._under_way.values():
            future.cancel()
        self._cache.discard(lambda key: isinstance(key, tuple) and key[0] is self)

    def get(self, patch: Tile) -> PatchFeatures | None:
        """The features of a patch, or None when it was not encoded yet."""
        return self._cache.get((self, patch))

    def __contains__(self, patch: Tile) -> bool:
        return (self, patch) in self._cache

    def at_hand(self, patch: Tile) -> bool:
        """Whether a patch's features are in memory."""
        return self._cache.in_memory((self, patch))

    def encode(self, groups: Iterable[Sequence[Tile]], cancel: CancelToken) -> Iterator[None]:
        """Encode groups of patches in their order; yields whenever some are done.

        A cancel takes effect at once: windows under way are left to end on their own, since they will be wanted.
        """
        pending, queue = self._windows(groups)
        threads = max(1, cpu_count() // max(1, min(self.runner.workers, len(queue))))
        try:
            while queue or pending:
                cancel.check()
                while queue and len(pending) < self.runner.workers:
                    pending.add(self._start(queue.pop(0), threads))
                done, pending = wait(pending, _PATIENCE, FIRST_COMPLETED)
                for future in done:
                    future.result()
                if done:
                    yield
        finally:
            for future in pending:
                future.cancel()

    def polygon_patches(self, support: SupportSet, index: int) -> list[Tile]:
        """The patches that pooling a polygon needs."""
        box = support.bounds(index, self._source.window)
        return [] if box is None else patches_over(self.grid, *self.grid.cells_around(box))

    def pool(self, support: SupportSet, index: int, key: bytes) -> PolygonFeatures | None:
        """Pool a polygon's features, or take what was pooled before; None while patches are missing.

        Args:
            support: The polygons.
            index: Which of them.
            key: Says all that the result depends on.
        """
        if key not in self._pooled:
            pooled = self._pool(support, index)
            if pooled is None:
                return None
            self._pooled[key] = pooled
        return self._pooled[key]

    def keep_pooled(self, keys: Iterable[bytes]) -> None:
        """Forget all polygons but these."""
        wanted = set(keys)
        self._pooled = {key: pooled for key, pooled in self._pooled.items() if key in wanted}

    def _pool(self, support: SupportSet, index: int) -> PolygonFeatures | None:
        if not all(patch in self for patch in self.polygon_patches(support, index)):
            return None
        pooled = PolygonFeatures(self.runner.channels, support.polygons[index].area / self.grid.cell**2)
        whole = support.bounds(index, self._source.window)
        rows, cols = self.grid.cells_around(whole) if whole else ((0, 0), (0, 0))
        chunks = [
            Tile(0, 0, y, min(y + _CHUNK, rows[1]), x, min(x + _CHUNK, cols[1]))
            for y in range(rows[0] // SIDE * SIDE, rows[1], _CHUNK)
            for x in range(cols[0] // SIDE * SIDE, cols[1], _CHUNK)
        ]
        for chunk in chunks:
            weights = self._weights(support, index, chunk)
            if weights is None:
                continue
            for patch in patches_over(self.grid, (chunk.y0, chunk.y1), (chunk.x0, chunk.x1)):
                features = self.get(patch)
                if features is None:
                    return None  # its file is gone
                share = np.zeros((patch.y1 - patch.y0, patch.x1 - patch.x0), np.float32)
                own = weights[
                    patch.y0 - chunk.y0 : patch.y1 - chunk.y0, patch.x0 - chunk.x0 : patch.x1 - chunk.x0
                ]
                share[: own.shape[0], : own.shape[1]] = own
                cells = np.flatnonzero(share)
                if len(cells) and not features.empty:
                    at = torch.from_numpy(cells)
                    places = cell_places(cells, patch)
                    own_rows = features.rows[at].float() * features.norms[at, None]
                    pooled.add(places, share.ravel()[cells], own_rows)
        return pooled

    def _weights(self, support: SupportSet, index: int, chunk: Tile) -> NDArray[np.float32] | None:
        """What each cell of a chunk counts for a polygon's features; None when it has no part there."""
        # Pixels beyond its edge count for a chunk's outermost cells, too.
        around = self._grown(chunk, 2)
        box = support.bounds(index, self.grid.pixels(around))
        if box is None:
            return None
        _, valid = self._source.read(box)
        weights = pooling_weights(self.grid, around, box, support.mask(index, box) & valid)
        top, left = chunk.y0 - around.y0, chunk.x0 - around.x0
        return weights[top : top + chunk.y1 - chunk.y0, left : left + chunk.x1 - chunk.x0]

    def _grown(self, part: Tile, cells: int) -> Tile:
        y0, x0 = max(part.y0 - cells, 0), max(part.x0 - cells, 0)
        y1, x1 = min(part.y1 + cells, self.grid.rows), min(part.x1 + cells, self.grid.cols)
        return Tile(part.row, part.col, y0, y1, x0, x1)

    def _windows(self, groups: Iterable[Sequence[Tile]]) -> tuple[set[Future[None]], list[Tile]]:
        """What is under way of some patches, and the windows that the others need."""
        self._under_way = {patch: future for patch, future in self._under_way.items() if not future.done()}
        pending: set[Future[None]] = set()
        windows: list[Tile] = []
        seen: set[Tile] = set()
        for group in groups:
            missing = []
            for patch in group:
                if patch in self._under_way:
                    pending.add(self._under_way[patch])
                elif patch not in self and patch not in seen:
                    missing.append(patch)
            for window in plan(self.grid, missing):
                windows.append(window)
                seen.update(patches_in(self.grid, window))
        return pending, windows

    def _start(self, window: Tile, threads: int) -> Future[None]:
        future = self._threads.submit(self._encode, window, threads)
        self._under_way.update(dict.fromkeys(patches_in(self.grid, window), future))
        return future

    def _encode(self, window: Tile, threads: int) -> None:
        image = read_tile(self._source, self.grid, window).image
        encoded = None if image is None else self.runner.encode(image, threads)
        for patch in patches_in(self.grid, window):
            features = PatchFeatures.of(patch, window, encoded)
            if not self._closed:
                self._cache.put((self, patch), features)
