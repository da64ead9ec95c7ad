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

from ..feature_cache import PatchFeatures
from ..heads.selection import Head
from ..heads.spectral import SpectralModel
from ..progress import CancelToken
from ..rasters.grid import FeatureGrid, Tile
from ..refine.blocks import Block, BlockLabels, label_block
from ..refine.densecrf import CrfParameters
from ..refine.weights import ScoreWeights
from ..streaming import grow, split
from .patches import patches_over
from .tiles import RasterTiles
from .view import View

T = TypeVar("T")
_STRIP = 96  # rows of samples; what a strip takes fits into a core's cache
_PATCHES = 8  # that are matched at once, as well
_BLOCK = 512  # samples; of a refinement that several processes share
_PATIENCE = 0.05  # seconds between looks at the cancel token


@dataclass(frozen=True)
class ScoreField:
    """Scores of the cells under a view.

    Attributes:
        grid: The grid.
        rows, cols: The cells [start, stop) of each axis.
        scores: Shape (C, rows, columns); 0 where nothing is encoded.
        known: Whether it is, shape (rows, columns).
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

    def match(self, head: Head, tiles: RasterTiles, most: int) -> ScoreField:
        """Score the features that are at hand for the view and its margin.

        Args:
            head: Scores features.
            tiles: The raster's features.
            most: Patches that are read from the disk again; further ones only count when they are in memory.
        """
        grid, window = tiles.grid, self.view.pixels(self.view.outer)
        rows, cols = grid.cells_around(window)
        wanted = set(self.view.patches(grid)[:most])
        over = [
            patch
            for patch in patches_over(grid, rows, cols)
            if tiles.at_hand(patch) or (patch in wanted and patch in tiles)
        ]
        total = np.zeros((self.classes, rows[1] - rows[0], cols[1] - cols[0]), np.float32)
        known = np.zeros(total.shape[1:], bool)

        def score(patches: Sequence[Tile]) -> None:
            found = [tiles.get(patch) for patch in patches]
            features = [each for each in found if each is not None and not each.empty]
            for each, scores in zip(features, score_patches(head, features), strict=True):
                patch = each.patch
                y0, y1 = max(patch.y0, rows[0]), min(patch.y1, rows[1])
                x0, x1 = max(patch.x0, cols[0]), min(patch.x1, cols[1])
                here = slice(y0 - rows[0], y1 - rows[0]), slice(x0 - cols[0], x1 - cols[0])
                own = slice(y0 - patch.y0, y1 - patch.y0), slice(x0 - patch.x0, x1 - patch.x0)
                total[:, here[0], here[1]] = scores[:, own[0], own[1]]
                known[here] = True

        self._shared(score, [over[start : start + _PATCHES] for start in range(0, len(over), _PATCHES)])
        return ScoreField(grid, rows, cols, total, known)

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


def score_patches(head: Head, features: Sequence[PatchFeatures]) -> list[NDArray[np.float32]]:
    """Scores of patches, each of shape (C, rows, columns)."""
    if not features:
        return []
    # Several at a time: no more than stay in the core's cache between the two steps.
    rows = torch.cat([each.rows for each in features]).float()
    scores = head.scores(rows.T[:, None])[:, 0]
    shapes = [(each.patch.y1 - each.patch.y0, each.patch.x1 - each.patch.x0) for each in features]
    parts = torch.split(scores, [height * width for height, width in shapes], dim=1)
    return [part.reshape(-1, *shape).numpy() for part, shape in zip(parts, shapes, strict=True)]
