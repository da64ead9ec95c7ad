"""Small patches of a label map go to their largest neighbour, in a pass over strips of the raster."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..progress import CancelToken

_ROWS = 512  # that are read at once


class Sieve:
    """Finds the patches of a label map, and what becomes of those that are too small.

    A patch is an area of one class whose pixels touch along their sides. Those of fewer pixels than wanted are given
    to the largest patch beside them, the smallest first, until only those are left that have no neighbour but pixels
    without a label. Memory grows with the number of patches, by some hundred bytes each, and not with the raster.
    """

    def __init__(self, src: DatasetReader, smallest: int, cancel: CancelToken) -> None:
        """Look through a label map.

        Args:
            src: The label map.
            smallest: Pixels of the smallest patch that stays.
            cancel: Looked at for every strip.
        """
        self._src, self._cancel = src, cancel
        sizes, values, self._starts, pairs = self._scan()
        # Pieces that strips have cut a patch into touch each other and have the same value.
        same = values[pairs[:, 0]] == values[pairs[:, 1]]
        patch = _components(len(values), pairs[same])
        patches = int(patch.max(initial=-1)) + 1
        patch_value = np.zeros(patches, values.dtype)
        patch_value[patch] = values
        size = np.bincount(patch, sizes, patches).astype(np.int64)
        around = np.unique(np.sort(patch[pairs[~same]], axis=1), axis=0)
        self._values = _sieved(patch_value, size, around, smallest, cancel)[patch]

    def strips(self) -> Iterator[tuple[NDArray[np.generic], int]]:
        """The sieved label map, as strips of rows with their first row."""
        for (labels, first), start in zip(_strips(self._src, self._cancel), self._starts, strict=True):
            pieces, _ = _pieces(labels, self._labelled(labels))
            result = labels.copy()
            inside = pieces >= 0
            result[inside] = self._values[pieces[inside] + start]
            yield result, first

    def _labelled(self, labels: NDArray[np.generic]) -> NDArray[np.bool_]:
        nodata = self._src.nodata
        return np.ones(labels.shape, np.bool_) if nodata is None else labels != nodata

    def _scan(self) -> tuple[NDArray[np.int64], NDArray[np.generic], list[int], NDArray[np.int64]]:
        """Sizes and values of the pieces, the number of the first one of each strip, and which ones touch."""
        sizes: list[NDArray[np.int64]] = []
        values: list[NDArray[np.generic]] = []
        pairs: list[NDArray[np.int64]] = []
        starts: list[int] = []
        count, above = 0, None
        for labels, _ in _strips(self._src, self._cancel):
            pieces, number = _pieces(labels, self._labelled(labels))
            inside = pieces >= 0
            sizes.append(np.bincount(pieces[inside], minlength=number))
            value = np.zeros(number, labels.dtype)
            value[pieces[inside]] = labels[inside]
            values.append(value)
            starts.append(count)
            pieces[inside] += count
            pairs.append(_touching(pieces if above is None else np.vstack([above, pieces])))
            above, count = pieces[-1:], count + number
        return np.concatenate(sizes), np.concatenate(values), starts, np.concatenate(pairs)


def _strips(src: DatasetReader, cancel: CancelToken) -> Iterator[tuple[NDArray[np.generic], int]]:
    for row in range(0, src.height, _ROWS):
        cancel.check()
        yield src.read(1, window=Window(0, row, src.width, min(_ROWS, src.height - row))), row


def _pieces(labels: NDArray[np.generic], labelled: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Number the areas of one value, from 0 in the order of their first pixels; -1 where there is no label."""
    height, width = labels.shape
    # Runs along the rows first: there are far fewer of them than pixels.
    begins = np.ones((height, width), np.bool_)
    begins[:, 1:] = (labels[:, 1:] != labels[:, :-1]) | (labelled[:, 1:] != labelled[:, :-1])
    runs = np.cumsum(begins.ravel()).reshape(height, width) - 1
    joined = (labels[1:] == labels[:-1]) & labelled[1:] & labelled[:-1]
    links = np.stack([runs[:-1][joined], runs[1:][joined]], axis=1)
    component = _components(int(runs[-1, -1]) + 1, links)[runs]
    found, first = np.unique(component[labelled], return_index=True)
    number = np.full(int(component.max()) + 1, -1)
    number[found[np.argsort(first)]] = np.arange(len(found))
    pieces = np.where(labelled, number[component], -1)
    return pieces.astype(np.int64), len(found)


def _components(count: int, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """The component of each node, shape (count,)."""
    ones = np.ones(len(links), np.bool_)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _touching(pieces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of different pieces that touch along a side, each once, shape (n, 2)."""
    pairs = []
    for a, b in ((pieces[:, :-1], pieces[:, 1:]), (pieces[:-1], pieces[1:])):
        differ = (a != b) & (a >= 0) & (b >= 0)
        pairs.append(np.sort(np.stack([a[differ], b[differ]], axis=1), axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _sieved(
    values: NDArray[np.generic],
    sizes: NDArray[np.int64],
    around: NDArray[np.int64],
    smallest: int,
    cancel: CancelToken,
) -> NDArray[np.generic]:
    """The value of each patch afterwards.

    Args:
        values: Of the patches, shape (n,).
        sizes: In pixels, shape (n,).
        around: Pairs of patches that touch, shape (m, 2).
        smallest: Pixels of the smallest patch that stays.
        cancel: Looked at now and then.
    """
    small = sizes < smallest
    value, size = values.tolist(), sizes.tolist()
    neighbours: dict[int, set[int]] = {}
    # Two large patches never meet again.
    for a, b in around[small[around].any(axis=1)].tolist():
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    owner = list(range(len(value)))

    def find(patch: int) -> int:
        while owner[patch] != patch:
            owner[patch] = patch = owner[owner[patch]]
        return patch

    heap = [(size[patch], patch) for patch in np.flatnonzero(small).tolist()]
    heapq.heapify(heap)
    turns = 0
    while heap:
        turns += 1
        if turns % 10_000 == 0:
            cancel.check()
        pixels, patch = heapq.heappop(heap)
        if owner[patch] != patch or size[patch] != pixels:
            continue  # it has grown or gone
        beside = {find(other) for other in neighbours.get(patch, ())} - {patch}
        if not beside:
            continue
        target = max(beside, key=lambda other: (size[other], -value[other], -other))
        # It may have stood between several patches of that class, which are one now.
        group = [patch, *(other for other in beside if value[other] == value[target])]
        keep = max(group, key=lambda one: len(neighbours.get(one, ())))
        total, joined = sum(size[one] for one in group), value[target]
        beyond = neighbours.setdefault(keep, set())
        for one in group:
            if one != keep:
                owner[one] = keep
                beyond |= neighbours.pop(one, set())
        value[keep], size[keep] = joined, total
        if total < smallest:
            heapq.heappush(heap, (total, keep))
    return np.array([value[find(patch)] for patch in range(len(value))], values.dtype)
