"""Tiles through the encoder and blocks through the refinement, side by side, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from loky import ProcessPoolExecutor
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from .encoders.runner import EncoderRunner, cpu_count
from .heads.selection import Head
from .heads.spectral import SpectralModel
from .heads.support import SupportFeatures
from .progress import CancelToken, Progress, ProgressCallback, Say, Stage
from .rasters.area import Area
from .rasters.grid import FeatureGrid, Tile
from .rasters.imagery import read_tile
from .rasters.scores import ScoreStrip
from .rasters.source import RasterSource
from .rasters.support import SupportSet
from .refine.blocks import Block, BlockLabels, label_block
from .refine.densecrf import CrfParameters
from .refine.processes import refining_processes
from .refine.weights import ScoreWeights
from .support_features import FeatureStore, SupportPooling

T = TypeVar("T")
_BLOCK = 768  # pixels; a larger block wastes less on its margin, a smaller one needs less memory


class TileStream:
    """Runs one encoder over one raster; close it to end its threads and processes."""

    def __init__(
        self,
        source: RasterSource,
        runner: EncoderRunner,
        progress: ProgressCallback,
        cancel: CancelToken,
        area: Area | None = None,
    ) -> None:
        """Prepare.

        Args:
            source: The raster.
            runner: The encoder.
            progress: Called after every tile.
            cancel: Stops the stream at the next tile.
            area: Where pixels are to be labelled; None for everywhere.
        """
        self._area = area
        self._source, self._runner, self._progress, self._cancel = source, runner, progress, cancel
        self._store = FeatureStore()
        self._torch_threads = torch.get_num_threads()
        self._threads = ThreadPoolExecutor(runner.workers, "encoder")
        self._processes: ProcessPoolExecutor | None = None
        self._done = self._total = 0
        self._pixels_per_tile = 0.0

    def close(self) -> None:
        """End threads and processes and remove temporary files."""
        # The processes first: they may be long in a block, and nobody waits for it any more.
        if self._processes is not None:
            self._processes.shutdown(kill_workers=True)
        # A tile that is being encoded after a cancel takes a second or two, for which nobody has to wait.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._store.close()
        torch.set_num_threads(self._torch_threads)  # the encoder's threads have changed it for everybody

    def report(self, stage: Stage) -> None:
        """Report progress."""
        megapixels = self._done * self._pixels_per_tile / 1e6
        self._progress(Progress(stage, self._done, self._total, megapixels))

    def support_features(
        self, support: SupportSet, grid: FeatureGrid, part: FeatureGrid | None, say: Say, alone: bool = True
    ) -> SupportFeatures:
        """Encode the tiles around the support polygons and pool their features.

        Args:
            support: The polygons.
            grid: The grid over the whole raster.
            part: The grid that will be labelled; where it is the same, features are kept for then. None when
                nothing will be.
            say: Told of polygons that are left out.
            alone: Whether this is all the support.
        """
        pooling = SupportPooling(self._source, support, grid, self._runner.channels)
        tiles = pooling.tiles()
        keep = part == grid
        self._total = (part.tile_count if part else 0) + (0 if keep else len(tiles))
        area = part or grid
        self._pixels_per_tile = area.width * area.height / max(area.tile_count, 1)

        def encode(tile: Tile) -> tuple[Tile, Tensor, NDArray[np.bool_]] | None:
            read = read_tile(self._source, grid, tile, pixels=True)
            if read.image is None or read.valid is None:
                return None
            features = self._runner.encode(read.image, self._threads_per_tile(len(tiles)))
            if keep:
                self._store.put(tile, features)
            return tile, features, read.valid

        for result in self._ordered(encode, tiles):
            if result is not None:
                pooling.add(*result)
            self._step("support")
        return pooling.finish(say, alone)

    def label_blocks(
        self,
        head: Head,
        spectral: SpectralModel | None,
        grid: FeatureGrid,
        window: Window,
        weights: ScoreWeights,
        crf: CrfParameters | None,
    ) -> Iterator[tuple[BlockLabels, Window]]:
        """Label a window; yields blocks with their place in the raster, top to bottom.

        Args:
            head: Scores features.
            spectral: Scores pixel values.
            grid: The grid over the window and its context.
            window: What to label, in raster pixels.
            weights: See :class:`ScoreWeights`.
            crf: DenseCRF parameters, or None.
        """
        executor = self._block_executor(len(split(window, _BLOCK)), crf is not None)
        pending: deque[tuple[Future[BlockLabels], Window]] = deque()
        for block, place in self.score_blocks(head, grid, window, crf.margin if crf else 0):
            pending.append((executor.submit(label_block, block, spectral, weights, crf), place))
            while len(pending) > 2 * cpu_count() or (pending and pending[0][0].done()):
                done, where = pending.popleft()
                yield done.result(), where
        while pending:
            self._cancel.check()
            done, where = pending.popleft()
            yield done.result(), where

    def score_blocks(
        self, head: Head, grid: FeatureGrid, window: Window, margin: int
    ) -> Iterator[tuple[Block, Window]]:
        """Encode a window's tiles and blend their scores; yields blocks as soon as their scores are final.

        Args:
            head: Scores features.
            grid: The grid over the window and its context.
            window: What to label, in raster pixels.
            margin: Pixels around each block that its refinement sees.
        """
        tiles = [tile for tile in grid.tiles() if self._is_wanted(grid, tile, margin)]
        self._total = self._done + sum(tile not in self._store for tile in tiles)
        self.report("labels")
        context = Window(grid.left, grid.top, grid.width, grid.height)
        strip = ScoreStrip(grid, head.classes)
        queue = deque(split(window, _BLOCK))
        for tile, scores in self._scores(head, grid, margin):
            if scores is not None:
                strip.add(tile, scores)
            if tile.col + 1 < len(grid.col_spans):
                continue
            final = grid.final_rows(tile.row)
            while queue and grid.cells_around(grow(queue[0], margin, context))[0][1] <= final:
                place = queue.popleft()
                yield self._block(strip, grid, place, context, margin), place
            if queue:
                strip.release(grid.cells_around(grow(queue[0], margin, context))[0][0])

    def _scores(
        self, head: Head, grid: FeatureGrid, margin: int
    ) -> Iterator[tuple[Tile, NDArray[np.float32] | None]]:
        def score(tile: Tile) -> tuple[Tile, NDArray[np.float32] | None, bool]:
            if not self._is_wanted(grid, tile, margin):
                return tile, None, True  # which takes no time, and is not counted
            features = self._store.get(tile)
            stored = features is not None
            if features is None:
                image = read_tile(self._source, grid, tile).image
                if image is None:
                    return tile, None, False
                features = self._runner.encode(image, self._threads_per_tile(grid.tile_count))
            return tile, head.scores(features).float().cpu().numpy(), stored

        for tile, scores, stored in self._ordered(score, grid.tiles()):
            yield tile, scores
            if not stored:
                self._step("labels")

    def _is_wanted(self, grid: FeatureGrid, tile: Tile, margin: int) -> bool:
        """Whether the scores of a tile can reach a pixel that is to be labelled."""
        if self._area is None:
            return True
        window = grid.pixels(tile)
        reach = margin + 2 * grid.cell
        return self._area.touches(
            Window(
                window.col_off - reach,
                window.row_off - reach,
                window.width + 2 * reach,
                window.height + 2 * reach,
            )
        )

    def _ordered(self, work: Callable[[Tile], T], tiles: Iterable[Tile]) -> Iterator[T]:
        """Results in the order of the tiles, with only a few tiles under way at any time."""
        pending: deque[Future[T]] = deque()
        try:
            for tile in tiles:
                self._cancel.check()
                pending.append(self._threads.submit(work, tile))
                if len(pending) > self._runner.workers:
                    yield pending.popleft().result()
            while pending:
                self._cancel.check()
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def _threads_per_tile(self, tiles: int) -> int:
        return max(1, cpu_count() // max(1, min(self._runner.workers, tiles)))

    def _step(self, stage: Stage) -> None:
        self._done += 1
        self.report(stage)

    def _block_executor(self, blocks: int, crf: bool) -> Executor:
        """Processes for DenseCRF, which holds Python's lock while it works; a thread where that is not worth it."""
        if not crf or blocks < 2:
            return self._threads
        self._processes = refining_processes(min(cpu_count(), blocks, 8))
        return self._processes

    def _block(
        self, strip: ScoreStrip, grid: FeatureGrid, place: Window, window: Window, margin: int
    ) -> Block:
        outer = grow(place, margin, window)
        rows, cols = grid.cells_around(outer)
        top, left = int(outer.row_off) - grid.top, int(outer.col_off) - grid.left
        spectral, valid = self._source.read(outer)
        row, col = int(place.row_off - outer.row_off), int(place.col_off - outer.col_off)
        return Block(
            scores=strip.window(rows, cols),
            vertical=grid.interpolation((top, top + int(outer.height)), rows),
            horizontal=grid.interpolation((left, left + int(outer.width)), cols),
            spectral=spectral,
            colors=self._source.color_count,
            valid=valid,
            inner=(slice(row, row + int(place.height)), slice(col, col + int(place.width))),
            wanted=self._area.mask(place) if self._area is not None else None,
        )


def split(window: Window, side: int) -> list[Window]:
    """Cut a window into nearly equal blocks of at most ``side`` pixels, row by row."""
    rows = _edges(int(window.row_off), int(window.height), side)
    cols = _edges(int(window.col_off), int(window.width), side)
    return [Window(x0, y0, x1 - x0, y1 - y0) for y0, y1 in rows for x0, x1 in cols]


def _edges(start: int, length: int, side: int) -> list[tuple[int, int]]:
    count = -(-length // side)
    edges = [start + length * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def grow(place: Window, margin: int, within: Window) -> Window:
    """A window with a margin, cut at the edges of another one."""
    left, top = max(place.col_off - margin, within.col_off), max(place.row_off - margin, within.row_off)
    right = min(place.col_off + place.width + margin, within.col_off + within.width)
    bottom = min(place.row_off + place.height + margin, within.row_off + within.height)
    return Window(left, top, right - left, bottom - top)
