"""The label map that is assessed: its classes, and its pixels by windows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from ..errors import AssessmentError, RasterError
from ..progress import CancelToken
from ..rasters.class_styles import ClassStyle
from ..rasters.label_map import classes_of, colors_of
from ..rasters.palette import Color, colors_for
from ..rasters.qml import category_names_beside
from ..rasters.support import ClassInfo

_TYPES = ("uint8", "uint16", "int16", "int32")
_BLOCK = 1024  # pixels; the side of the windows
CACHE = 128 << 20  # bytes of GDAL's
_MOST_CLASSES = 1000  # a confusion matrix of more has no reader
_UNREADABLE = (RasterioError, CPLE_BaseError, CRSError)


class LabelMap:
    """An open label map, read by windows; use it as a context manager.

    Attributes:
        path: As given.
        width, height: In pixels.
        crs: None when coordinates are pixels.
        transform: From (column, row) to coordinates.
        classes: Sorted by id.
    """

    def __init__(self, path: str | Path, cancel: CancelToken | None = None) -> None:
        """Open one and find its classes: those that it names itself, else all values that it holds.

        Raises:
            RasterError: When it cannot be read, or is no label map.
            AssessmentError: When it holds no label, or too many classes.
            Cancelled: When ``cancel`` was used.
        """
        self.path = str(path)
        self.src = open_labels(self.path, "label map")
        try:
            self.width, self.height = self.src.width, self.src.height
            self.transform: Affine = self.src.transform
            self.crs: CRS | None = self.src.crs if self.src.crs and not self.transform.is_identity else None
            self.classes = self._find_classes(cancel or CancelToken())
        except BaseException:
            self.src.close()
            raise
        self._ids = np.array([info.id for info in self.classes], np.int64)
        self._places = np.full(1 << 16, -1, np.int32)  # by id, for the types that most maps have
        small = (self._ids >= 0) & (self._ids < len(self._places))
        self._places[self._ids[small]] = np.flatnonzero(small)

    def __enter__(self) -> LabelMap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.src.close()

    def windows(self) -> list[Window]:
        """Windows that cover the map, row by row."""
        return [
            Window(col, row, min(_BLOCK, self.width - col), min(_BLOCK, self.height - row))
            for row in range(0, self.height, _BLOCK)
            for col in range(0, self.width, _BLOCK)
        ]

    def read(self, window: Window) -> NDArray[np.int32]:
        """The place of each pixel's class in ``classes``, -1 where there is no label.

        Raises:
            RasterError: When the file is broken.
            AssessmentError: When it holds a class that it does not list.
        """
        values, labelled = read_labels(self.src, window, "label map")
        index = self.index_of(values)
        unknown = labelled & (index < 0)
        if unknown.any():
            raise AssessmentError(
                f"The label map {self.path} holds the class id {int(values[unknown][0])}, which its list of classes "
                "lacks; label the raster again."
            )
        return np.where(labelled, index, -1).astype(np.int32)

    def index_of(self, ids: NDArray[np.integer]) -> NDArray[np.int32]:
        """The place of class ids in ``classes``, -1 for those that it lacks; of any shape."""
        if ids.dtype.kind == "u" and ids.dtype.itemsize <= 2:
            return self._places[ids]
        place = np.searchsorted(self._ids, ids).clip(max=len(self._ids) - 1)
        return np.where(self._ids[place] == ids, place, -1).astype(np.int32)

    def _find_classes(self, cancel: CancelToken) -> tuple[ClassStyle, ...]:
        infos = classes_of(self.src)
        if not infos:
            names = category_names_beside(self.path)
            ids = sorted(self._survey(cancel))
            infos = tuple(
                ClassInfo(i, (names[i] if 0 <= i < len(names) else "") or f"class {i}") for i in ids
            )
        if not infos:
            raise AssessmentError(f"The label map {self.path} has no labelled pixel; choose another one.")
        if len(infos) > _MOST_CLASSES:
            raise AssessmentError(
                f"The label map {self.path} has {len(infos)} classes; one with at most {_MOST_CLASSES} can be "
                "assessed, so check that it is no other raster."
            )
        colors = colors_for(infos, self._colors(infos))
        return tuple(
            ClassStyle(info.id, info.name, colors[info.id])
            for info in sorted(infos, key=lambda info: info.id)
        )

    def _survey(self, cancel: CancelToken) -> set[int]:
        """All class ids in the map."""
        found: set[int] = set()
        for window in self.windows():
            cancel.check()
            values, labelled = read_labels(self.src, window, "label map")
            found.update(np.unique(values[labelled]).tolist())
            if len(found) > 2 * _MOST_CLASSES:
                break
        return found

    def _colors(self, infos: tuple[ClassInfo, ...]) -> dict[int, Color]:
        """What the map says of its colours, by class id."""
        own = colors_of(self.src)
        if own or self.src.colorinterp[0] != ColorInterp.palette:
            return own
        try:
            table = self.src.colormap(1)
        except ValueError:
            return {}
        return {info.id: table[info.id][:3] for info in infos if info.id in table}


def open_labels(path: str, what: str) -> DatasetReader:
    """Open a raster of class ids.

    Args:
        path: The file.
        what: What it is, for messages.

    Raises:
        RasterError: When it cannot be opened, or holds something else.
    """
    with reading(path, what), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        src = rasterio.open(path)
    # A second band may be the transparency of the first.
    bands = [band for band in src.indexes if src.colorinterp[band - 1] != ColorInterp.alpha]
    wrong = ""
    if len(bands) != 1:
        wrong = f"has {len(bands)} bands, not one of class ids"
    elif src.dtypes[0] not in _TYPES:
        wrong = f"holds {src.dtypes[0]} values, not class ids"
    if wrong:
        src.close()
        raise RasterError(f"The {what} {path} {wrong}; choose a raster of class ids.")
    return src


def read_labels(
    src: DatasetReader, window: Window, what: str
) -> tuple[NDArray[np.integer[Any]], NDArray[np.bool_]]:
    """Class ids of a window, and where there are any.

    Raises:
        RasterError: When the file is broken.
    """
    with reading(src.name, what):
        return src.read(1, window=window), src.read_masks(1, window=window) != 0


@contextmanager
def reading(path: str, what: str) -> Iterator[None]:
    """Turn GDAL's errors into one sentence."""
    try:
        yield
    except _UNREADABLE as error:
        cause = str(error.__cause__ or error).strip() or type(error).__name__
        raise RasterError(
            f"The {what} {path} cannot be read ({cause.splitlines()[0].rstrip('.')}); check that it is there and whole."
        ) from error
