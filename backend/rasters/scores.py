"""Blended scores of a rolling strip of feature cells, so that memory does not grow with the raster's height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .grid import FeatureGrid, Tile


class ScoreStrip:
    """Sums weighted scores of overlapping tiles, for the rows of cells that are still of use."""

    def __init__(self, grid: FeatureGrid, classes: int) -> None:
        self._grid = grid
        self._first = 0
        self._sum = np.zeros((classes, 0, grid.cols), np.float32)
        self._weight = np.zeros((0, grid.cols), np.float32)

    def add(self, tile: Tile, scores: NDArray[np.float32]) -> None:
        """Add a tile's scores, shape (C, tile rows, tile columns); rows that were released are left out."""
        self._grow(tile.y1)
        gone = min(max(self._first - tile.y0, 0), tile.y1 - tile.y0)
        rows, cols = slice(tile.y0 + gone - self._first, tile.y1 - self._first), slice(tile.x0, tile.x1)
        weights = self._grid.weights(tile)[gone:]
        self._sum[:, rows, cols] += scores[:, gone:] * weights
        self._weight[rows, cols] += weights

    def window(self, rows: tuple[int, int], cols: tuple[int, int]) -> NDArray[np.float32]:
        """Blended scores of the cells [start, stop) of each axis, shape (C, rows, columns); 0 where no tile was."""
        self._grow(rows[1])
        down, across = slice(rows[0] - self._first, rows[1] - self._first), slice(*cols)
        weight = self._weight[down, across]
        blended: NDArray[np.float32] = self._sum[:, down, across].copy()
        np.divide(blended, weight, out=blended, where=weight > 0)
        return blended

    def release(self, row: int) -> None:
        """Forget the cells above a row."""
        drop = min(max(row - self._first, 0), self._sum.shape[1])
        if drop:
            self._sum, self._weight = self._sum[:, drop:].copy(), self._weight[drop:].copy()
            self._first += drop

    def _grow(self, stop: int) -> None:
        missing = stop - self._first - self._sum.shape[1]
        if missing > 0:
            classes, _, cols = self._sum.shape
            self._sum = np.concatenate([self._sum, np.zeros((classes, missing, cols), np.float32)], axis=1)
            self._weight = np.concatenate([self._weight, np.zeros((missing, cols), np.float32)])
