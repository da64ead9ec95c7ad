"""Drawing points on a label map by stratified random sampling, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..errors import AssessmentError
from ..progress import CancelToken, Progress, ProgressCallback
from ..rasters.class_styles import ClassStyle
from .exclusion import Exclusion
from .mapped import CACHE, LabelMap
from .points import DrawnPoints, check_points_output, write_points
from .sample_design import EXPECTED, SampleDesign, allocate, sample_size

_MOST = 1_000_000  # points


@dataclass(frozen=True)
class Stratum:
    """A class of the map, as far as points may lie in it.

    Attributes:
        style: The class.
        pixels: Its size.
        points: Those of it that were drawn, or would be.
    """

    style: ClassStyle
    pixels: int
    points: int


def draw_sample(
    labels: str | Path,
    output: str | Path | None,
    design: SampleDesign | None = None,
    support: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> tuple[Stratum, ...]:
    """Draw points on a label map and write them; memory does not grow with the map.

    Args:
        labels: The label map.
        output: A .gpkg; None only plans.
        design: What is to be drawn.
        support: Polygons under which no point is drawn.
        progress: Called after every window.
        cancel: Stops it.

    Returns:
        The classes of the map that points may lie in.

    Raises:
        ProtolabelError: When something cannot serve; an earlier output is kept then.
        Cancelled: When ``cancel`` was used.
    """
    design, cancel = design or SampleDesign(), cancel or CancelToken()
    expected = design.expected or {}
    if not 0 < design.standard_error < 1 or any(not 0 <= value <= 1 for value in expected.values()):
        raise AssessmentError("The standard error and the expected accuracies are shares between 0 and 1.")
    if output is not None:
        check_points_output(output, labels, *([str(support).partition("|")[0]] if support else []))
    with rasterio.Env(GDAL_CACHEMAX=CACHE), LabelMap(labels, cancel) as opened:
        exclusion = Exclusion(support, opened, [])
        reader = _Strata(opened, exclusion, progress, cancel, passes=1 if output is None else 2)
        sizes = reader.count()
        if not sizes.any():
            raise AssessmentError(
                f"The label map {labels} has no labelled pixel outside of the support polygons."
            )
        places = np.flatnonzero(sizes)
        accuracies = [expected.get(opened.classes[place].id, EXPECTED) for place in places.tolist()]
        count = design.count or sample_size(sizes[places], accuracies, design.standard_error)
        if count > _MOST:
            raise AssessmentError(
                f"A standard error of {design.standard_error:g} needs {count:,} points; allow a larger one."
            )
        shares = allocate(sizes, count, design.minimum)
        if output is not None:
            points = reader.draw(sizes, shares, np.random.default_rng(design.seed))
            cancel.check()
            write_points(output, points, sizes, opened)
        return tuple(
            Stratum(opened.classes[place], int(sizes[place]), int(shares[place])) for place in places.tolist()
        )


class _Strata:
    """Reads a label map window by window."""

    def __init__(
        self,
        labels: LabelMap,
        exclusion: Exclusion,
        progress: ProgressCallback | None,
        cancel: CancelToken,
        passes: int,
    ) -> None:
        self._labels, self._exclusion, self._cancel = labels, exclusion, cancel
        self._progress = progress or (lambda state: None)
        self._windows = labels.windows()
        self._total, self._done, self._pixels = passes * len(self._windows), 0, 0

    def count(self) -> NDArray[np.int64]:
        """Pixels of each class."""
        sizes = np.zeros(len(self._labels.classes), np.int64)
        for _, _, index in self._read():
            sizes += np.bincount(index[index >= 0], minlength=len(sizes))
        return sizes

    def draw(
        self, sizes: NDArray[np.int64], shares: NDArray[np.int64], generator: np.random.Generator
    ) -> DrawnPoints:
        """Draw pixels of each class, all with the same chance, and put them in a random order."""
        # Numbers of the pixels in the order in which they are read.
        chosen = [
            np.sort(generator.choice(int(size), int(share), replace=False, shuffle=False))
            for size, share in zip(sizes, shares, strict=True)
        ]
        seen = np.zeros(len(sizes), np.int64)
        found: list[NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
        for top, left, index in self._read():
            counts = np.bincount(index[index >= 0], minlength=len(sizes))
            for place in np.flatnonzero(counts).tolist():
                first, last = np.searchsorted(chosen[place], [seen[place], seen[place] + counts[place]])
                if last > first:
                    pixels = np.flatnonzero(index.ravel() == place)[chosen[place][first:last] - seen[place]]
                    rows, cols = np.divmod(pixels, index.shape[1])
                    found.append(np.stack([rows + top, cols + left, np.full(len(rows), place)], axis=1))
            seen += counts
        drawn = generator.permutation(np.concatenate(found))
        return DrawnPoints(drawn[:, 0], drawn[:, 1], drawn[:, 2])

    def _read(self) -> Iterator[tuple[int, int, NDArray[np.int32]]]:
        """Top, left and classes of every window; -1 where no point may lie."""
        for window in self._windows:
            self._cancel.check()
            index = self._labels.read(window)
            index[self._exclusion.mask(window)] = -1
            yield int(window.row_off), int(window.col_off), index
            self._done += 1
            self._pixels += index.size
            self._progress(Progress("sampling", self._done, self._total, self._pixels / 1e6))
