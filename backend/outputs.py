"""Everything that a labelling run writes: label map, confidence, styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from .errors import OutputError
from .progress import CancelToken
from .rasters.label_map import RasterWriter, category_names, check_output, class_tags, label_dtype
from .rasters.palette import Color, colors_for
from .rasters.polygonize import EXTENSIONS, polygonize
from .rasters.qml import write_confidence_qml, write_qml
from .rasters.source import RasterSource
from .rasters.support import ClassInfo
from .refine.blocks import BlockLabels

CONFIDENCE_BANDS = ("probability of the label before refinement, percent", "its lead, percent")


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
        colors: Mapping[int, Color] | None = None,
    ) -> None:
        """Open the files.

        Args:
            labels: The label map.
            confidence: The confidence raster, or None.
            window: The part of the raster that is labelled, in pixels.
            source: The raster.
            classes: In the order of the class index.
            tags: What the label map says of its making.
            colors: Those that the user chose, by class id.
        """
        self._window, self._classes, self._colors = window, tuple(classes), colors_for(classes, colors)
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

    def finish(self, vector: Path | None = None, cancel: CancelToken | None = None) -> None:
        """Make every output whole before the first one is put in its place.

        Args:
            vector: Where polygons of the label map go, or None.
            cancel: Stops it.
        """
        whole = self._labels.prepare()
        if self._confidence is not None:
            self._confidence.prepare()
        if vector is not None:
            polygonize(whole, vector, self._classes, cancel=cancel)
        write_qml(style_path(self._labels.path), self._classes, self._colors)
        self._labels.commit()
        if self._confidence is not None:
            write_confidence_qml(style_path(self._confidence.path))
            self._confidence.commit()


def style_path(raster: Path) -> Path:
    """Where QGIS looks for the style of a raster."""
    return raster.with_suffix(".qml")


def check_outputs(labels: Path, confidence: Path | None, vector: Path | None, inputs: Sequence[Path]) -> None:
    """Check every output before the work starts, against the inputs and against each other.

    Args:
        labels: The label map.
        confidence: The confidence raster, or None.
        vector: The polygons, or None.
        inputs: Every file that the raster and the support are read from.

    Raises:
        OutputError: When one cannot be written.
    """
    check_output(labels, *inputs)
    if confidence is not None:
        if style_path(confidence) == style_path(labels):
            raise OutputError(
                f"The confidence raster {confidence} and the label map {labels} would share one style; "
                "give it another name."
            )
        check_output(confidence, *inputs)
    if vector is not None:
        check_output(vector, *inputs, extensions=EXTENSIONS)
    for raster in filter(None, (labels, confidence)):
        if style_path(raster).is_dir():
            raise OutputError(
                f"The style {style_path(raster)} is a folder; choose another name for {raster}."
            )


def support_files(support: str) -> list[Path]:
    """Every file that belongs to a support layer: a shapefile has many, and may be named by its folder."""
    named = Path(support.split("|")[0])  # a layer may be named behind a bar
    if named.is_dir():
        return [named, *named.iterdir()]
    if named.suffix.lower() in (".shp", ".dbf", ".shx"):
        return [named, *(named.with_suffix(ending) for ending in (".shp", ".dbf", ".shx"))]
    return [named]
