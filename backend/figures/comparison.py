"""What a comparison shows: a raster, its label map and, where there are any, truth, support and confidence.

Pictures are read decimated, so that a raster of any size can be drawn; the agreement with the truth is counted
over all pixels, strip by strip.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from ..errors import RasterError
from ..rasters.label_map import CLASSES_TAG
from ..rasters.palette import Color
from ..rasters.source import RasterSource
from ..rasters.support import burn_polygon, read_support

MAX_SIDE = 1600  # pixels of a picture
_STRIP = 1 << 23  # pixels that are compared at once
_IDS = 1 << 16  # class ids are below


@dataclass(frozen=True)
class ClassStyle:
    """A class as the label map shows it."""

    id: int
    name: str
    color: Color


@dataclass(frozen=True)
class Agreement:
    """How well a label map agrees with the truth.

    Attributes:
        mean_iou: Unweighted mean of intersection over union of the classes that occur.
        accuracy: Share of the pixels that are right.
        pixels: How many pixels were compared.
    """

    mean_iou: float
    accuracy: float
    pixels: int


@dataclass(frozen=True)
class Comparison:
    """Everything that is drawn; all pictures have the same height and width.

    Attributes:
        name: The raster's file name.
        classes: By id.
        image: Red, green, blue and opacity, shape (height, width, 4).
        labels: Class ids.
        truth: Class ids, or None.
        confidence: Percent with NaN where there is none, or None.
        support: Class id and polygon in pixels of the pictures.
        pixel_size: Metres per pixel of the pictures when the coordinate system is a projected one, else None.
        agreement: With the truth, outside of the support polygons.
    """

    name: str
    classes: tuple[ClassStyle, ...]
    image: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    truth: NDArray[np.integer[Any]] | None
    confidence: NDArray[np.float32] | None
    support: tuple[tuple[int, BaseGeometry], ...]
    pixel_size: float | None
    agreement: Agreement | None


def read_comparison(
    raster: str | Path,
    predicted: str | Path,
    truth: str | Path | None = None,
    support: str | Path | None = None,
    confidence: str | Path | None = None,
    class_field: str = "class_id",
    max_side: int = MAX_SIDE,
) -> Comparison:
    """Read what a comparison shows; the label map decides which part of the other rasters is seen.

    Args:
        raster: What was labelled.
        predicted: The label map.
        truth: Class ids; pixels of other classes than the label map's are not looked at.
        support: The support polygons.
        confidence: The confidence raster.
        class_field: Of the support polygons.
        max_side: Longest side of the pictures in pixels.

    Raises:
        ProtolabelError: When a file cannot be read, is no label map, or lies elsewhere.
    """
    with ExitStack() as stack:
        labels = stack.enter_context(_open(predicted))
        classes = read_classes(labels)
        shrink = max(1.0, max(labels.width, labels.height) / max_side)
        shape = max(1, round(labels.height / shrink)), max(1, round(labels.width / shrink))
        source = stack.enter_context(RasterSource(raster))
        spectral, valid = source.read(
            _window(source, source.path, labels).round_offsets().round_lengths(), shape
        )
        true = stack.enter_context(_open(truth)) if truth else None
        sure = stack.enter_context(_open(confidence)) if confidence else None

        polygons: tuple[tuple[int, BaseGeometry], ...] = ()
        if support:
            found = read_support(support, source, class_field)
            to_labels = ~labels.transform @ source.transform
            ids = [found.classes[label].id for label in found.labels]
            polygons = tuple(zip(ids, _transformed(found.polygons, to_labels), strict=True))

        zoom = Affine.scale(shape[1] / labels.width, shape[0] / labels.height)
        projected = source.crs is not None and source.crs.is_projected
        return Comparison(
            name=Path(raster).name,
            classes=classes,
            image=_rgba(source.composite(spectral), valid),
            labels=_read(labels, None, shape),
            truth=_read(true, _window(true, str(truth), labels), shape) if true else None,
            confidence=_percent(sure, _window(sure, str(confidence), labels), shape) if sure else None,
            support=tuple((id_, _transformed([polygon], zoom)[0]) for id_, polygon in polygons),
            pixel_size=source.pixel_size * labels.width / shape[1]
            if projected and source.pixel_size
            else None,
            agreement=_agreement(labels, true, str(truth), classes, [p for _, p in polygons])
            if true
            else None,
        )


def read_classes(labels: DatasetReader) -> tuple[ClassStyle, ...]:
    """Read the names and colours inside a label map.

    Raises:
        RasterError: When it does not say what its classes are.
    """
    try:
        entries = json.loads(labels.tags()[CLASSES_TAG])
        named = {int(entry["id"]): (str(entry["name"]), str(entry["color"])) for entry in entries}
    except (KeyError, TypeError, ValueError) as error:
        raise RasterError(
            f"{labels.name} does not say what its classes are (tag {CLASSES_TAG}); give a label map that was "
            "written by the label command."
        ) from error
    try:
        table = labels.colormap(1)
    except ValueError:  # lost, for example in a conversion; the tag knows the colours too
        table = {}
    styles = []
    for id_, (name, text) in sorted(named.items()):
        red, green, blue = table[id_][:3] if id_ in table else bytes.fromhex(text.lstrip("#"))
        styles.append(ClassStyle(id_, name, (red, green, blue)))
    return tuple(styles)


def agreement_of(confusion: NDArray[np.int64]) -> Agreement | None:
    """Sum up a confusion matrix.

    Args:
        confusion: Truth by rows, shape (classes, classes + 1); the last column holds pixels without a label.

    Returns:
        None when there is nothing to compare.
    """
    total = int(confusion.sum())
    if total == 0:
        return None
    hit = np.diag(confusion).astype(float)
    union = confusion.sum(axis=1) + confusion[:, :-1].sum(axis=0) - hit
    return Agreement(float((hit[union > 0] / union[union > 0]).mean()), float(hit.sum() / total), total)


def _agreement(
    labels: DatasetReader,
    truth: DatasetReader,
    truth_path: str,
    classes: Sequence[ClassStyle],
    support: Sequence[BaseGeometry],
) -> Agreement | None:
    """Compare all pixels outside of the support polygons."""
    count = len(classes)
    index = np.full(_IDS, count)
    index[[style.id for style in classes]] = range(count)
    tree = shapely.STRtree(list(support))
    place = _window(truth, truth_path, labels)
    confusion = np.zeros(count * (count + 1), np.int64)
    for window in _strips(labels):
        shape = int(window.height), int(window.width)
        part = Window(
            place.col_off,
            place.row_off + window.row_off * place.height / labels.height,
            place.width,
            window.height * place.height / labels.height,
        )
        expected = index[_ids(_read(truth, part, shape))]
        given = index[_ids(_read(labels, window, shape))]
        with _readable(truth_path):
            masks = truth.read_masks(1, window=part, out_shape=shape, resampling=Resampling.nearest)
        counted = (expected < count) & (masks != 0)
        top, bottom = window.row_off, window.row_off + window.height
        for position in tree.query(shapely.box(0, top, labels.width, bottom)).tolist():
            counted &= ~burn_polygon(support[position], window)
        pairs = expected[counted] * (count + 1) + given[counted]
        confusion += np.bincount(pairs, minlength=confusion.size)
    return agreement_of(confusion.reshape(count, count + 1))


def _strips(labels: DatasetReader) -> Iterator[Window]:
    step = max(1, _STRIP // labels.width)
    for top in range(0, labels.height, step):
        yield Window(0, top, labels.width, min(step, labels.height - top))


def _ids(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Values that can look something up in a table by class id; what is no id becomes the last one, 65535."""
    return np.where((values >= 0) & (values < _IDS), values, _IDS - 1).astype(np.int64)


def _window(src: DatasetReader | RasterSource, path: str, labels: DatasetReader) -> Window:
    """The part of a raster that a label map covers, in the raster's pixels.

    Raises:
        RasterError: When the raster does not cover the label map.
    """
    if src.crs and labels.crs and src.crs != labels.crs:
        raise RasterError(
            f"{path} and {labels.name} have different coordinate systems; warp one of them first."
        )
    a, b, left, d, e, top = tuple(~src.transform @ labels.transform)[:6]
    right, bottom = left + a * labels.width, top + e * labels.height
    slack = max(a, e, 1.0) / 2
    inside = left > -slack and top > -slack and right < src.width + slack and bottom < src.height + slack
    if not inside or a <= 0 or e <= 0 or max(abs(b) * labels.height, abs(d) * labels.width) > slack:
        raise RasterError(f"{path} does not cover {labels.name}; give the rasters of one and the same run.")
    left, top = max(left, 0.0), max(top, 0.0)
    return Window(left, top, min(right, src.width) - left, min(bottom, src.height) - top)


def _read(src: DatasetReader, window: Window | None, shape: tuple[int, int]) -> NDArray[np.integer[Any]]:
    with _readable(src.name):
        values: NDArray[np.integer[Any]] = src.read(
            1, window=window, out_shape=shape, resampling=Resampling.nearest
        )
    if values.dtype.kind not in "iu":
        raise RasterError(f"{src.name} holds {values.dtype} values, not class ids; convert it to integers.")
    return values


def _percent(src: DatasetReader, window: Window, shape: tuple[int, int]) -> NDArray[np.float32]:
    with _readable(src.name):
        values = src.read(1, window=window, out_shape=shape, masked=True, resampling=Resampling.average)
    return values.astype(np.float32).filled(np.nan)


def _rgba(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.dstack(
        [*np.clip(np.rint(image), 0, 255).astype(np.uint8), np.where(valid, 255, 0).astype(np.uint8)]
    )


def _transformed(polygons: Sequence[BaseGeometry], by: Affine) -> list[BaseGeometry]:
    return [affine_transform(polygon, (by.a, by.b, by.d, by.e, by.c, by.f)) for polygon in polygons]


def _open(path: str | Path) -> DatasetReader:
    with _readable(str(path)), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn rasterio's errors into one that names the file."""
    try:
        yield
    except RasterioError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RasterError(f"{path} cannot be read ({reason}); check the path.") from error
