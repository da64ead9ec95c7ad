"""Label and confidence rasters: written by blocks, made a cloud-optimised GeoTIFF, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from ..errors import OutputError
from .palette import Color, hex_color, parse_color
from .parts import part_path, sweep_parts
from .qml import add_category_names
from .support import ClassInfo

CLASSES_TAG = "PROTOLABEL_CLASSES"
_MAX_NAMED_ID = 1023  # GDAL's category names are a list from value 0 on, so a large id would make it long
_BLOCK = 512  # pixels per tile side
_FULL = 1 << 20  # bytes; a disk with less free space than this counts as full
_EXTENSIONS = (".tif", ".tiff")


def label_dtype(classes: Sequence[ClassInfo]) -> tuple[str, int]:
    """Choose the smallest data type for all class ids, and nodata: uint8 with 255 or uint16 with 65535."""
    return ("uint8", 255) if all(info.id <= 254 for info in classes) else ("uint16", 65535)


def class_tags(classes: Sequence[ClassInfo], colors: Mapping[int, Color]) -> dict[str, str]:
    """Write into a dataset tag, as JSON, the name and colour of each id; it travels inside the GeoTIFF."""
    entries = [{"id": info.id, "name": info.name, "color": hex_color(colors[info.id])} for info in classes]
    return {CLASSES_TAG: json.dumps(entries, separators=(",", ":"))}


def classes_of(src: DatasetReader) -> tuple[ClassInfo, ...]:
    """The classes that a label map names in its tag; none for one from elsewhere."""
    try:
        entries = json.loads(src.tags().get(CLASSES_TAG, "[]"))
        return tuple(ClassInfo(int(entry["id"]), str(entry["name"])) for entry in entries)
    except (ValueError, TypeError, KeyError):
        return ()


def colors_of(src: DatasetReader) -> dict[int, Color]:
    """The colours that a label map names in its tag, by class id; none for one from elsewhere."""
    try:
        entries = json.loads(src.tags().get(CLASSES_TAG, "[]"))
        return {int(entry["id"]): parse_color(str(entry["color"])) for entry in entries}
    except (ValueError, TypeError, KeyError):
        return {}


def category_names(classes: Sequence[ClassInfo]) -> list[str] | None:
    """List names by value from 0 on, "" for values without a class; None when an id is above 1023."""
    names = {info.id: info.name for info in classes}
    if not names or max(names) > _MAX_NAMED_ID:
        return None
    return [names.get(value, "") for value in range(max(names) + 1)]


def check_output(path: str | Path, *inputs: str | Path, extensions: Sequence[str] = _EXTENSIONS) -> None:
    """Check before the work starts that an output can be written.

    Args:
        path: The output.
        *inputs: Files that must not be overwritten by it.
        extensions: Those that are possible, in lower case.

    Raises:
        OutputError: When the extension is another one, the output is a folder or one of the inputs, or its
            folder is missing or cannot be written to.
    """
    target = Path(path)
    if target.suffix.lower() not in extensions:
        known = " or ".join(extensions[:1] if extensions == _EXTENSIONS else extensions)
        raise OutputError(f"The output {target} cannot have this extension; use {known}.")
    if target.is_dir():
        raise OutputError(f"The output {target} is a folder; give a file name.")
    for source in inputs:
        if _same_file(target, Path(source)):
            raise OutputError(f"The output {target} would overwrite the input {source}; choose another name.")
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"The folder {folder} does not exist; create it or choose another one.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass  # permissions alone do not tell: there are read-only disks and network shares
    except OSError as error:
        raise write_error(target, error) from error


class RasterWriter:
    """A raster that is being written; use it as a context manager and call :meth:`finish` at the end.

    Until then blocks go to a tiled GeoTIFF beside the output. Leaving the context without :meth:`finish`, or
    with an exception, removes everything; an earlier output with the same name stays as it was until the new
    one is whole. Equal pixels and arguments give equal files, byte by byte.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        crs: CRS | None,
        transform: Affine,
        count: int = 1,
        dtype: str = "uint8",
        nodata: int | None = None,
        tags: Mapping[str, str] | None = None,
        descriptions: Sequence[str] = (),
        colormap: Mapping[int, Color] | None = None,
        categories: Sequence[str] | None = None,
        resampling: str = "mode",
    ) -> None:
        """Open the file for the blocks.

        Args:
            path: The output, ``.tif`` or ``.tiff``.
            width, height: In pixels.
            crs: None when coordinates are pixels.
            transform: From (column, row) to coordinates; may be rotated; the identity without a georeference.
            count: Number of bands.
            dtype: An integer type.
            nodata: The value of pixels that are never written, too; else those are 0.
            tags: Of the dataset.
            descriptions: One per band, or none.
            colormap: Red, green and blue, 0..255, by value; for one band of uint8 or uint16. A uint16 one
                takes 0.4 MB, in each overview as well.
            categories: Names by value from 0 on, see :func:`category_names`; of the first band.
            resampling: For the overviews: "mode" or "nearest" for labels, "average" for quantities.

        Raises:
            OutputError: When the output cannot be written.
        """
        check_output(path)
        self.path = Path(path)
        self._tiles, self._part = part_path(self.path, "tiles"), part_path(self.path, "whole")
        self._shape = (count, height, width)
        self._categories, self._resampling = categories, resampling
        self._guard(sweep_parts, self.path)
        raster = {"width": width, "height": height, "count": count, "dtype": dtype, "nodata": nodata}
        place = {"crs": crs, "transform": transform}
        layout = {"driver": "GTiff", "tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK}
        packing = {"compress": "deflate", "zlevel": 1, "bigtiff": "IF_SAFER"}
        self._dst: Any = None
        try:
            self._dst = self._guard(_open, self._tiles, "w", **raster, **place, **layout, **packing)
            self._dst.update_tags(**(tags or {}))
            for band, text in enumerate(descriptions, start=1):
                self._dst.set_band_description(band, text)
            if colormap:
                self._dst.write_colormap(1, dict(colormap))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, array: NDArray[np.integer[Any]], row: int, col: int) -> None:
        """Write a block.

        Args:
            array: With shape (bands, height, width).
            row, col: Of its first pixel.

        Raises:
            OutputError: When the disk is full or fails.
            ValueError: When the block does not fit into the raster.
        """
        bands, height, width = array.shape
        fits = row >= 0 and col >= 0 and row + height <= self._shape[1] and col + width <= self._shape[2]
        if bands != self._shape[0] or not fits:
            raise ValueError(f"A block {array.shape} at row {row}, column {col} is outside of {self._shape}.")
        self._guard(self._dst.write, array, window=Window(col, row, width, height))

    def finish(self) -> None:
        """Make the output out of the blocks, check it, and put it in its place.

        Raises:
            OutputError: When it could not be written whole; nothing is left of it then.
        """
        self.prepare()
        self.commit()

    def prepare(self) -> Path:
        """Make the output out of the blocks, beside its place, and check it; :meth:`commit` must follow.

        Returns:
            Where it lies until then.

        Raises:
            OutputError: When it could not be written whole; nothing is left of it then.
        """
        try:
            self._guard(self._make)
        except BaseException:
            self.close()
            raise
        return self._part

    def commit(self) -> None:
        """Put the prepared output in its place.

        Raises:
            OutputError: When that is not permitted.
        """
        try:
            self._guard(self._move)
        finally:
            self.close()

    def close(self) -> None:
        """Remove what is not finished."""
        if self._dst is not None:
            with suppress(Exception):  # the file is removed anyway
                self._dst.close()
        self._discard()

    def _make(self) -> None:
        self._dst.close()
        check_blocks(self._tiles)  # closing writes what is still in memory, and does not say when that fails
        packing = {
            "COMPRESS": "DEFLATE",
            "BLOCKSIZE": _BLOCK,
            "BIGTIFF": "IF_SAFER",
            "NUM_THREADS": "ALL_CPUS",
        }
        overviews = {"OVERVIEWS": "IGNORE_EXISTING", "OVERVIEW_RESAMPLING": self._resampling.upper()}
        rasterio.shutil.copy(str(self._tiles), str(self._part), driver="COG", **packing, **overviews)
        check_blocks(self._part)
        _check_pixels(self._tiles, self._part)
        if self._categories:
            add_category_names(_beside(self._part, ".aux.xml"), self._categories)

    def _move(self) -> None:
        aux = _beside(self._part, ".aux.xml")
        # Statistics, overviews or masks beside an earlier output do not fit the new one.
        stale = [_beside(self.path, ending) for ending in (".aux.xml", ".ovr", ".msk")]
        os.replace(self._part, self.path)
        for file in stale:
            file.unlink(missing_ok=True)
        if aux.exists():
            os.replace(aux, stale[0])

    def _discard(self) -> None:
        for start in (self._tiles, self._part):
            for ending in ("", ".aux.xml", ".ovr.tmp", ".msk.ovr.tmp", ".ovr", ".msk"):
                _beside(start, ending).unlink(missing_ok=True)

    def _guard(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something that writes, with its errors as :class:`OutputError`."""
        try:
            return action(*args, **kwargs)
        except (TypeError, ValueError):
            raise  # a mistake of the caller, not of the disk
        except Exception as error:  # GDAL's errors have no public base class
            raise write_error(self.path, error) from error


def write_error(path: Path, error: BaseException) -> OutputError:
    """Make the error to raise when writing failed; it says when the disk is full."""
    reasons: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        reasons.append((getattr(cause, "strerror", None) or str(cause)).strip() or type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    folder = path.parent
    if any("No space left" in reason for reason in reasons) or _is_full(folder):
        return OutputError(f"No space left on {folder}: free some space or choose another folder.")
    reason = reasons[-1].splitlines()[0].rstrip(".")
    return OutputError(
        f"{path} cannot be written ({reason}); check that {folder} has free space and may be written to, "
        "and that no other program holds the file open."
    )


def _is_full(folder: Path) -> bool:
    with suppress(OSError):  # the folder may be gone
        return shutil.disk_usage(folder).free < _FULL
    return False


def _open(path: Path, mode: str = "r", **profile: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **profile)


def _same_file(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return first.samefile(second)
    return os.path.realpath(first) == os.path.realpath(second)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def check_blocks(path: Path) -> None:
    """Raise OSError unless the file holds every block of a GeoTIFF; GDAL reads a missing one as nodata."""
    size = path.stat().st_size
    with _open(path) as src:
        for band in src.indexes:
            for (row, col), _ in src.block_windows(band):
                offset = src.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
                length = src.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
                if offset is None or int(offset) + int(length or 0) > size:
                    raise OSError(f"the block at row {row}, column {col} is missing")


def _check_pixels(first: Path, second: Path) -> None:
    """Raise OSError unless two rasters hold the same pixels; the threads that compress may fail unheard."""
    with _open(first) as a, _open(second) as b:
        if (a.count, a.shape, a.dtypes) != (b.count, b.shape, b.dtypes):
            raise OSError("it has another size than was written")
        for row in range(0, a.height, _BLOCK):
            window = Window(0, row, a.width, min(_BLOCK, a.height - row))
            if any(not np.array_equal(a.read(i, window=window), b.read(i, window=window)) for i in a.indexes):
                raise OSError(f"the rows from {row} on differ from what was written")
