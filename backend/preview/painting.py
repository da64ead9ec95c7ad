"""From features and pixels of a view to its labels, with all cores at work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from ..feature_cache import TileFeatures
from ..heads.prototype import PrototypeHead
from ..heads.spectral import SpectralModel
from ..progress import CancelToken
from ..rasters.grid import FeatureGrid
from ..refine.blocks import Block, BlockLabels, ScoreWeights, label_block
from ..refine.densecrf import CrfParameters
from ..streaming import grow, split
from .tiles import RasterTiles
from .view import View

T = TypeVar("T")
_STRIP = 96  # rows of samples; what a strip takes fits into a core's cache
_ROWS = 8  # rows of cells that are matched at once, as well
_BLOCK = 512  # samples; of a refinement that several processes share
_PATIENCE = 0.05  # seconds between looks at the cancel token


@dataclass(frozen=True)
class ScoreField:
    """Blended scores of the cells under a view.

    Attributes:
        grid: The grid.
        rows, cols: The cells [start, stop) of each axis.
        scores: Shape (C, rows, columns); 0 where no tile was.
        known: Whether any tile was, shape (rows, columns).
    """

    grid: FeatureGrid
    rows: tuple[int, int]
    cols: tuple[int, int]
    scores: NDArray[np.float32]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Painter:
    """Labels the samples of a view.

    Attributes:
        view: The view.
        spectral: Pixel values over its outer window, shape (bands, height, width).
        colors: How many of the bands, from the first, are the image.
        valid: Shape (height, width).
        classes: C.
        weights: See :class:`ScoreWeights`.
        threads: Take the work.
        cancel: Stops it.
    """

    view: View
    spectral: NDArray[np.float32]
    colors: int
    valid: NDArray[np.bool_]
    classes: int
    weights: ScoreWeights
    threads: Executor
    cancel: CancelToken

    def match(self, head: PrototypeHead, tiles: RasterTiles, most: int) -> ScoreField:
        """Score the features that are at hand for the view and its margin.

        Args:
            head: Scores features.
            tiles: The raster's features.
            most: Tiles that are read from the disk again; further ones only count when they are in memory.
        """
        grid, window = tiles.grid, self.view.pixels(self.view.outer)
        rows, cols = grid.cells_around(window)
        wanted = set(self.view.tiles(grid)[:most])
        over = [
            tile
            for tile in grid.tiles_over(rows, cols)
            if tiles.at_hand(tile) or (tile in wanted and tile in tiles)
        ]

        def score(position: int) -> tuple[TileFeatures, NDArray[np.float32]] | None:
            features = tiles.get(over[position])
            if features is None or features.empty:
                return None
            return features, score_rows(head, features)

        total = np.zeros((self.classes, rows[1] - rows[0], cols[1] - cols[0]), np.float32)
        weight = np.zeros(total.shape[1:], np.float32)
        for position, scored in enumerate(self._shared(score, range(len(over)))):
            if scored is None:
                continue
            core = scored[0].core
            y0, y1 = max(core.y0, rows[0]), min(core.y1, rows[1])
            x0, x1 = max(core.x0, cols[0]), min(core.x1, cols[1])
            own = slice(y0 - core.y0, y1 - core.y0), slice(x0 - core.x0, x1 - core.x0)
            here = slice(y0 - rows[0], y1 - rows[0]), slice(x0 - cols[0], x1 - cols[0])
            blend = tiles.blend(over[position])[own]
            total[:, here[0], here[1]] += scored[1][:, own[0], own[1]] * blend
            weight[here] += blend
        np.divide(total, weight, out=total, where=weight > 0)
        return ScoreField(grid, rows, cols, total, weight > 0)

    def paint(self, field: ScoreField | None, spectral: SpectralModel | None) -> BlockLabels:
        """Label the inner samples without a refinement; of no field, by the spectral model alone."""
        inner = self.view.inner
        top, bottom = int(inner.row_off), int(inner.row_off + inner.height)
        strips = [
            Window(inner.col_off, row, inner.width, min(_STRIP, bottom - row))
            for row in range(top, bottom, _STRIP)
        ]

        def paint(strip: Window) -> BlockLabels:
            return label_block(self._block(field, strip, strip), spectral, self.weights, None)

        parts = self._shared(paint, strips)
        return BlockLabels(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("index", "confidence", "margin")
            )
        )

    def refine(
        self, field: ScoreField, spectral: SpectralModel | None, crf: CrfParameters, processes: Executor
    ) -> BlockLabels:
        """Label the inner samples with a refinement."""
        step = self.view.step
        scaled = replace(crf, spatial=crf.spatial / step, smooth=crf.smooth / step)
        futures = []
        places = split(self.view.inner, _BLOCK)
        for place in places:
            block = self._block(field, grow(place, scaled.margin, self.view.outer), place)
            futures.append(processes.submit(label_block, block, spectral, self.weights, scaled))
        shape = int(self.view.inner.height), int(self.view.inner.width)
        whole = BlockLabels(np.empty(shape, np.int32), np.empty(shape, np.uint8), np.empty(shape, np.uint8))
        for place, part in zip(places, self._results(futures), strict=True):
            row, col = (
                int(place.row_off - self.view.inner.row_off),
                int(place.col_off - self.view.inner.col_off),
            )
            here = slice(row, row + int(place.height)), slice(col, col + int(place.width))
            for name in ("index", "confidence", "margin"):
                getattr(whole, name)[here] = getattr(part, name)
        return whole

    def _block(self, field: ScoreField | None, outer: Window, inner: Window) -> Block:
        """The samples of ``outer``, of which ``inner`` is wanted."""
        rows, cols = self.view.place(outer)
        row, col = int(inner.row_off - outer.row_off), int(inner.col_off - outer.col_off)
        window, step = self.view.pixels(outer), self.view.step
        if field is None:
            scores = np.zeros((self.classes, 1, 1), np.float32)
            vertical = np.ones((int(outer.height), 1), np.float32)
            horizontal = np.ones((int(outer.width), 1), np.float32)
        else:
            grid = field.grid
            down, across = grid.cells_around(window)
            down = max(down[0], field.rows[0]), min(down[1], field.rows[1])
            across = max(across[0], field.cols[0]), min(across[1], field.cols[1])
            scores = field.scores[
                :,
                down[0] - field.rows[0] : down[1] - field.rows[0],
                across[0] - field.cols[0] : across[1] - field.cols[0],
            ]
            top, left = int(window.row_off) - grid.top, int(window.col_off) - grid.left
            vertical = grid.interpolation((top, top + int(window.height)), down, step)
            horizontal = grid.interpolation((left, left + int(window.width)), across, step)
        return Block(
            scores=scores,
            vertical=vertical,
            horizontal=horizontal,
            spectral=self.spectral[:, rows, cols],
            colors=self.colors,
            valid=self.valid[rows, cols],
            inner=(slice(row, row + int(inner.height)), slice(col, col + int(inner.width))),
        )

    def _shared(self, work: Callable[..., T], items: Iterable[object]) -> list[T]:
        return self._results([self.threads.submit(work, item) for item in items])

    def _results(self, futures: Sequence[Future[T]]) -> list[T]:
        pending = set(futures)
        try:
            while pending:
                self.cancel.check()
                done, pending = wait(pending, _PATIENCE, FIRST_EXCEPTION)
                for future in done:
                    future.result()
        finally:
            for future in pending:
                future.cancel()
        return [future.result() for future in futures]


def score_rows(head: PrototypeHead, features: TileFeatures) -> NDArray[np.float32]:
    """Scores of a tile's core, shape (C, rows, columns)."""
    core = features.core
    width = core.x1 - core.x0
    parts = [
        # A few rows of cells at a time: they stay in the core's cache between the two steps.
        head.scores(rows.float().reshape(-1, width, rows.shape[1]).permute(2, 0, 1)).numpy()
        for rows in torch.split(features.rows, _ROWS * width)
    ]
    return np.concatenate(parts, axis=1)
