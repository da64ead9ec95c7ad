"""Everything that a labelling run writes: label map, confidence, styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from .rasters.label_map import RasterWriter, category_names, class_tags, label_dtype
from .rasters.palette import colors_for
from .rasters.qml import write_confidence_qml, write_qml
from .rasters.source import RasterSource
from .rasters.support import ClassInfo
from .refine.blocks import BlockLabels

CONFIDENCE_BANDS = ("probability of the label, percent", "lead over the second class, percent")


class LabelOutputs:
    """Writes blocks of labels to the label map and the confidence raster; a context manager like its parts."""

    def __init__(
        self,
        labels: Path,
        confidence: Path | None,
        window: Window,
        source: RasterSource,
        classes: Sequence[ClassInfo],
        tags: Mapping[str, str],
    ) -> None:
        """Open the files.

        Args:
            labels: The label map.
            confidence: The confidence raster, or None.
            window: The part of the raster that is labelled, in pixels.
            source: The raster.
            classes: In the order of the class index.
            tags: What the label map says of its making.
        """
        self._window, self._classes, self._colors = window, tuple(classes), colors_for(classes)
        self._counts = np.zeros(len(classes), np.int64)
        dtype, nodata = label_dtype(classes)
        self._ids = np.array([*(info.id for info in classes), nodata], dtype)  # index -1 takes the last one
        transform = window_transform(window, source.transform)
        width, height = int(window.width), int(window.height)
        self._stack = ExitStack()
        self._labels = self._stack.enter_context(
            RasterWriter(
                labels,
                width,
                height,
                source.crs,
                transform,
                dtype=dtype,
                nodata=nodata,
                tags={**tags, **class_tags(classes, self._colors)},
                descriptions=["class"],
                colormap=self._colors,
                categories=category_names(classes),
            )
        )
        self._confidence: RasterWriter | None = None
        if confidence is not None:
            try:
                self._confidence = self._stack.enter_context(
                    RasterWriter(
                        confidence,
                        width,
                        height,
                        source.crs,
                        transform,
                        count=len(CONFIDENCE_BANDS),
                        nodata=255,
                        tags=tags,
                        descriptions=CONFIDENCE_BANDS,
                        resampling="average",
                    )
                )
            except BaseException:
                self._stack.close()
                raise

    @property
    def counts(self) -> tuple[int, ...]:
        """Labelled pixels per class so far."""
        return tuple(self._counts.tolist())

    def __enter__(self) -> LabelOutputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, block: BlockLabels, place: Window) -> None:
        """Write a block at its place in the raster."""
        row, col = int(place.row_off - self._window.row_off), int(place.col_off - self._window.col_off)
        self._labels.write(self._ids[block.index][None], row, col)
        if self._confidence is not None:
            self._confidence.write(np.stack([block.confidence, block.margin]), row, col)
        self._counts += np.bincount(block.index[block.index >= 0], minlength=len(self._counts))

    def finish(self) -> None:
        """Put the files in their places, each with its style."""
        self._labels.finish()
        write_qml(self._labels.path.with_suffix(".qml"), self._classes, self._colors)
        if self._confidence is not None:
            self._confidence.finish()
            write_confidence_qml(self._confidence.path.with_suffix(".qml"))
