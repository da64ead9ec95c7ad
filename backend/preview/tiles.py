"""The features of one raster: encoded when they are wanted, kept for the next request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from ..encoders.runner import EncoderRunner, cpu_count
from ..feature_cache import FeatureCache, TileFeatures
from ..progress import CancelToken
from ..rasters.grid import FeatureGrid, Tile
from ..rasters.imagery import read_tile
from ..rasters.source import RasterSource
from ..rasters.support import SupportSet
from ..support_features import pooling_weights

_PATIENCE = 0.05  # seconds between looks at the cancel token


@dataclass(frozen=True)
class Pooled:
    """What the features of one polygon add up to.

    Attributes:
        sum: Weighted sum of its features, shape (D,).
        area: Its weights' sum; 0 when no pixel of it is valid.
    """

    sum: NDArray[np.float64]
    area: float


class RasterTiles:
    """The tiles of a raster's whole grid, so that a preview shows what a run over all of it writes.

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
        self._under_way: dict[Tile, Future[TileFeatures]] = {}
        self._pooled: dict[bytes, Pooled] = {}
        self._closed = False
        self.blend = lru_cache(512)(self._blend)

    def close(self) -> None:
        """Forget all features; what is still encoded is not kept."""
        self._closed = True
        for future in self._under_way.values():
            future.cancel()
        self._cache.discard(lambda key: isinstance(key, tuple) and key[0] is self)

    def get(self, tile: Tile) -> TileFeatures | None:
        """The features of a tile, or None when it was not encoded yet."""
        return self._cache.get((self, tile))

    def __contains__(self, tile: Tile) -> bool:
        return (self, tile) in self._cache

    def at_hand(self, tile: Tile) -> bool:
        """Whether a tile's features are in memory."""
        return self._cache.in_memory((self, tile))

    def encode(self, tiles: Iterable[Tile], cancel: CancelToken) -> Iterator[Tile]:
        """Encode tiles in their order; yields each when it is done.

        A cancel takes effect at once: tiles under way are left to end on their own, since they will be wanted.
        """
        queue = [tile for tile in dict.fromkeys(tiles) if tile not in self]
        threads = max(1, cpu_count() // max(1, min(self.runner.workers, len(queue))))
        pending: dict[Future[TileFeatures], Tile] = {}
        try:
            while queue or pending:
                cancel.check()
                while queue and len(pending) < self.runner.workers:
                    tile = queue.pop(0)
                    pending[self._start(tile, threads)] = tile
                done, _ = wait(pending, _PATIENCE, FIRST_COMPLETED)
                for future in done:
                    tile = pending.pop(future)
                    future.result()
                    yield tile
        finally:
            for future in pending:
                future.cancel()

    def polygon_tiles(self, support: SupportSet, index: int) -> list[Tile]:
        """The tiles that pooling a polygon needs."""
        box = support.bounds(index, self._source.window)
        return [] if box is None else self.grid.tiles_over(*self.grid.cells_around(box))

    def pool(self, support: SupportSet, index: int, key: bytes) -> Pooled | None:
        """Pool a polygon's features, or take what was pooled before; None while tiles are missing.

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

    def _pool(self, support: SupportSet, index: int) -> Pooled | None:
        tiles = self.polygon_tiles(support, index)
        if not all(tile in self for tile in tiles):
            return None
        total, area = np.zeros(self.runner.channels), 0.0
        for tile in tiles:
            box = support.bounds(index, self.grid.pixels(tile))
            features = self.get(tile)
            if features is None:
                return None  # its file is gone
            if box is None or features.empty:
                continue
            _, valid = self._source.read(box)
            weights = pooling_weights(self.grid, tile, box, support.mask(index, box) & valid)
            core = features.core
            down = slice(core.y0 - tile.y0, core.y1 - tile.y0)
            across = slice(core.x0 - tile.x0, core.x1 - tile.x0)
            share = (weights[down, across] * self.blend(tile)).ravel()
            cells = np.flatnonzero(share)
            if len(cells):
                at = torch.from_numpy(cells)
                weight = torch.from_numpy(share[cells]) * features.norms[at]
                total += (weight @ features.rows[at].float()).numpy()
                area += float(share.sum())
        return Pooled(total, area)

    def _blend(self, tile: Tile) -> NDArray[np.float32]:
        """The blending weights of a tile's core."""
        core = self.grid.core(tile)
        weights = self.grid.weights(tile)
        return weights[core.y0 - tile.y0 : core.y1 - tile.y0, core.x0 - tile.x0 : core.x1 - tile.x0]

    def _start(self, tile: Tile, threads: int) -> Future[TileFeatures]:
        self._under_way = {t: f for t, f in self._under_way.items() if not f.done()}
        if tile not in self._under_way:
            self._under_way[tile] = self._threads.submit(self._encode, tile, threads)
        return self._under_way[tile]

    def _encode(self, tile: Tile, threads: int) -> TileFeatures:
        image = read_tile(self._source, self.grid, tile).image
        encoded = None if image is None else self.runner.encode(image, threads)
        features = TileFeatures.of(self.grid, tile, encoded)
        if not self._closed:
            self._cache.put((self, tile), features)
        return features
