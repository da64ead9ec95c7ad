"""Label map to polygons, for those who work on with vectors."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.features import shapes
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from ..errors import RasterError
from ..progress import CancelToken
from .coverage import Chunk, joined, simplified
from .georeference import Points, pixel_mapping
from .label_map import check_blocks, check_output, write_error
from .measures import Measures
from .parts import part_path, sweep_parts
from .sieve import Sieve
from .support import ClassInfo

_CHUNK = 20_000  # polygons that are converted and written at once
_ROWS = 512  # that are read at once


@dataclass(frozen=True)
class _Format:
    """How OGR writes a format.

    Attributes:
        driver: OGR's name for it.
        append: Whether polygons can be added to a file, so that they need not all be in memory as WKB.
        encoding: Of texts where it can be chosen.
        stale: Endings of files beside an earlier output that do not fit a new one.
    """

    driver: str
    append: bool = True
    encoding: str | None = None
    stale: tuple[str, ...] = ()


_FORMATS: tuple[tuple[str, _Format], ...] = (
    # SQLite would play an old journal back into the new file.
    (".gpkg", _Format("GPKG", stale=(".gpkg-wal", ".gpkg-shm", ".gpkg-journal"))),
    (".geojson", _Format("GeoJSON")),
    (".fgb", _Format("FlatGeobuf", append=False)),
    (".shp", _Format("ESRI Shapefile", encoding="UTF-8", stale=(".qix", ".sbn", ".sbx", ".prj", ".qpj"))),
)
EXTENSIONS = tuple(extension for extension, _ in _FORMATS)


def polygonize(
    label_map: str | Path,
    output: str | Path,
    classes: Sequence[ClassInfo],
    sieve: int = 0,
    simplify: float = 0.0,
    cancel: CancelToken | None = None,
) -> int:
    """Write the areas of a label map as polygons along the pixel edges; areas that share a corner stay apart.

    The fields are ``class_id``, ``class_name``, ``area_m2`` and ``perimeter_m``: planar in a projected CRS whose metres
    are metres, else on the ellipsoid. Without a CRS coordinates are those of the raster's transform, else pixels
    (y down), and the measures are ``area_px`` and ``perimeter_px``. Pixels without a label give no polygon. Memory
    grows with the number of polygons, by about half a kilobyte each, and not with the raster.

    Args:
        label_map: A raster of class ids.
        output: GeoPackage, GeoJSON, FlatGeobuf or Shapefile by its extension; an earlier one is replaced at
            the end.
        classes: Those with names; other ids are named "class ID".
        sieve: Patches of fewer pixels go to their largest neighbour, see :class:`Sieve`.
        simplify: Tolerance in pixels, see :func:`simplified`; 0 keeps the pixel edges.
        cancel: Looked at for every strip of the raster and every chunk of polygons.

    Returns:
        How many polygons were written.

    Raises:
        RasterError: When the label map cannot be read.
        OutputError: When the output cannot be written.
        Cancelled: When ``cancel`` was used.
    """
    target, cancel = Path(output), cancel or CancelToken()
    formats = dict(_FORMATS)
    check_output(target, label_map, extensions=EXTENSIONS)
    chosen = formats[target.suffix.lower()]
    # OGR writes several files for some formats: their own folder keeps them together until they are whole.
    folder, sieved = part_path(target, "polygons"), part_path(target, "sieve")
    try:
        sweep_parts(target)
        folder.mkdir()
        with ExitStack() as stack:
            src = stack.enter_context(_open(str(label_map)))
            if sieve > 1:
                _write_sieved(src, sieved, sieve, cancel)
                src = stack.enter_context(_open(str(sieved)))
            chunks = _chunks(src, simplify, cancel)
            names = {info.id: info.name for info in classes}
            count = _write(src, chunks, folder / target.name, chosen, names)
        cancel.check()
        for ending in chosen.stale:
            target.with_suffix(ending).unlink(missing_ok=True)
        for file in sorted(folder.iterdir()):
            os.replace(file, target.with_name(file.name))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise write_error(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sieved.unlink(missing_ok=True)
    return count


def _write_sieved(src: DatasetReader, part: Path, smallest: int, cancel: CancelToken) -> None:
    """Write a label map without its small patches to a new file."""
    try:
        sieve = Sieve(src, smallest, cancel)
    except RasterioError as error:
        raise _unreadable(src.name, error) from error
    profile = {"width": src.width, "height": src.height, "count": 1, "dtype": src.dtypes[0]}
    place = {"crs": src.crs, "transform": src.transform, "nodata": src.nodata}
    packing = {"tiled": True, "blockxsize": _ROWS, "blockysize": _ROWS, "compress": "deflate", "zlevel": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(
                part, "w", driver="GTiff", bigtiff="if_safer", **profile, **place, **packing
            ) as dst:
                for labels, row in sieve.strips():
                    dst.write(labels, 1, window=Window(0, row, src.width, len(labels)))
        except (RasterioError, CPLE_BaseError) as error:
            raise OSError(str(error)) from error
    check_blocks(part)


def _write(
    src: DatasetReader, chunks: Iterator[Chunk], part: Path, chosen: _Format, names: Mapping[int, str]
) -> int:
    """Write polygons in pixels to a new file; returns their number."""
    measures = Measures(src)
    columns = ["class_id", "class_name", measures.area, measures.perimeter]
    options: dict[str, Any] = {
        "driver": chosen.driver,
        "layer": part.stem,
        "geometry_type": "Polygon",
        "crs": src.crs.to_wkt() if src.crs else None,
        "encoding": chosen.encoding,
    }
    count = 0
    for number, (ids, pixels) in enumerate(chunks if chosen.append else iter([joined(chunks)])):
        polygons = shapely.transform(pixels, _to_coordinates(src.transform))
        texts = np.array([names.get(class_id, f"class {class_id}") for class_id in ids.tolist()], object)
        values = [ids, texts, *measures.of(polygons)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*crs.*was not provided")
            warnings.simplefilter("ignore", RuntimeWarning)  # a shapefile cuts long names
            wkb = shapely.to_wkb(polygons)
            pyogrio.raw.write(part, wkb, values, columns, append=number > 0, **options)
        count += len(ids)
    written = pyogrio.read_info(part, force_feature_count=True)["features"]
    if max(written, 0) != count:  # OGR does not always say that the disk is full
        raise OSError(f"only {written} of {count} polygons arrived")
    return count


def _to_coordinates(transform: Affine) -> Callable[[Points], Points]:
    matrix = np.array([[transform.a, transform.d], [transform.b, transform.e]])

    def apply(pixels: Points) -> Points:
        coordinates: Points = pixels @ matrix + [transform.c, transform.f]
        return coordinates

    return apply


def _chunks(src: DatasetReader, tolerance: float, cancel: CancelToken) -> Iterator[Chunk]:
    chunks = _outlined(src, cancel)
    return simplified(chunks, tolerance) if tolerance > 0 else chunks


def _outlined(src: DatasetReader, cancel: CancelToken) -> Iterator[Chunk]:
    """Ids and polygons in pixels with shape (n,), some at a time; one empty chunk when there are none."""
    _read_through(src, cancel)
    found = shapes(rasterio.band(src, 1), connectivity=4)
    to_pixels = pixel_mapping(src.transform)  # GDAL applies the transform whether it is wanted or not
    labelled = ((shape["coordinates"], int(value)) for shape, value in found if value != src.nodata)
    first = True
    while True:
        cancel.check()
        try:
            part = list(islice(labelled, _CHUNK))
        except Exception as error:  # GDAL's errors have no public base class
            raise _unreadable(src.name, error) from error
        if not part and not first:
            return
        first = False
        ids = np.array([class_id for _, class_id in part], np.int32)
        yield ids, _polygons([rings for rings, _ in part], lambda points: np.rint(to_pixels(points)))


def _read_through(src: DatasetReader, cancel: CancelToken) -> None:
    """Raise RasterError when a part cannot be read: GDAL just polygonises what comes before it."""
    try:
        for row in range(0, src.height, _ROWS):
            cancel.check()
            src.read(1, window=Window(0, row, src.width, min(_ROWS, src.height - row)))
    except RasterioError as error:
        raise _unreadable(src.name, error) from error


def _polygons(
    shells: Sequence[Sequence[Sequence[tuple[float, float]]]], mapping: Callable[[Points], Points]
) -> NDArray[np.object_]:
    """Polygons out of lists of rings, the first one of each list outside; much faster all at once."""
    rings = [ring for shell in shells for ring in shell]
    if not rings:
        return np.empty(0, object)
    points = np.array([point for ring in rings for point in ring], np.float64)
    numbers = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    closed = shapely.linearrings(mapping(points), indices=numbers)
    owners = np.repeat(np.arange(len(shells)), [len(shell) for shell in shells])
    return np.asarray(shapely.polygons(closed, indices=owners), object)


@contextmanager
def _open(path: str) -> Iterator[DatasetReader]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            src = rasterio.open(path)
    except RasterioError as error:
        raise _unreadable(path, error) from error
    with src:
        if src.count != 1:
            raise RasterError(f"{path} has {src.count} bands, not one of class ids; choose a label map.")
        if src.dtypes[0] not in ("uint8", "uint16", "int16", "int32"):
            raise RasterError(f"{path} holds {src.dtypes[0]} values, not class ids; choose a label map.")
        yield src


def _unreadable(path: str, error: Exception) -> RasterError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return RasterError(f"The label map {path} cannot be read ({reason}); check that it is there and whole.")
