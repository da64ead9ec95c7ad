"""Label map to polygons, for those who work on with vectors."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.features import shapes
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..errors import RasterError
from .label_map import check_output, write_error
from .parts import part_path, sweep_parts
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


class _Areas:
    """Areas of polygons in the unit that the coordinates allow.

    Attributes:
        field: ``area_m2``, or ``area_px`` without a CRS.
    """

    def __init__(self, crs: CRS | None, pixel: float) -> None:
        """Choose the unit; ``pixel`` is a pixel's area in units of the coordinates."""
        self.field = "area_px" if crs is None else "area_m2"
        geographic = crs is not None and crs.is_geographic
        self._geod = pyproj.CRS.from_wkt(crs.to_wkt()).get_geod() if crs is not None and geographic else None
        self._unit = 1.0 / pixel if crs is None else 1.0
        if crs is not None and self._geod is None:
            with suppress(CRSError):  # a local system without a unit: taken as metres
                self._unit = float(crs.linear_units_factor[1]) ** 2

    def of(self, polygons: NDArray[np.object_]) -> NDArray[np.float64]:
        """Areas with shape (n,); on the ellipsoid when the CRS is geographic."""
        if self._geod is None:
            return np.asarray(shapely.area(polygons), np.float64) * self._unit
        return np.array([abs(self._geod.geometry_area_perimeter(polygon)[0]) for polygon in polygons], float)


def polygonize(label_map: str | Path, output: str | Path, classes: Sequence[ClassInfo]) -> int:
    """Write the areas of a label map as polygons along the pixel edges; areas that share a corner stay apart.

    The fields are ``class_id``, ``class_name`` and ``area_m2``: planar in a projected CRS, geodesic in a
    geographic one. Without a CRS coordinates are those of the raster's transform, else pixels (y down), and
    the area is ``area_px``. Pixels without a label give no polygon. Memory grows with the number of polygons,
    by about half a kilobyte each, and not with the raster.

    Args:
        label_map: A raster of class ids.
        output: GeoPackage, GeoJSON, FlatGeobuf or Shapefile by its extension; an earlier one is replaced at
            the end.
        classes: Those with names; other ids are named "class ID".

    Returns:
        How many polygons were written.

    Raises:
        RasterError: When the label map cannot be read.
        OutputError: When the output cannot be written.
    """
    target = Path(output)
    formats = dict(_FORMATS)
    check_output(target, label_map, extensions=EXTENSIONS)
    chosen = formats[target.suffix.lower()]
    # OGR writes several files for some formats: their own folder keeps them together until they are whole.
    folder = part_path(target, "polygons")
    try:
        sweep_parts(target)
        folder.mkdir()
        count = _write(str(label_map), folder / target.name, chosen, {info.id: info.name for info in classes})
        for ending in chosen.stale:
            target.with_suffix(ending).unlink(missing_ok=True)
        for file in sorted(folder.iterdir()):
            os.replace(file, target.with_name(file.name))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise write_error(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return count


def _write(label_map: str, part: Path, chosen: _Format, names: Mapping[int, str]) -> int:
    """Write the polygons of a label map to a new file; returns their number."""
    with _open(label_map) as src:
        crs: CRS | None = src.crs or None
        areas = _Areas(crs, abs(src.transform.determinant))
        columns = ["class_id", "class_name", areas.field]
        options: dict[str, Any] = {
            "driver": chosen.driver,
            "layer": part.stem,
            "geometry_type": "Polygon",
            "crs": crs.to_wkt() if crs is not None else None,
            "encoding": chosen.encoding,
        }
        chunks = _chunks(src) if chosen.append else iter([_joined(_chunks(src))])
        count = 0
        for number, (ids, polygons) in enumerate(chunks):
            texts = np.array([names.get(class_id, f"class {class_id}") for class_id in ids.tolist()], object)
            values = [ids, texts, areas.of(polygons)]
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


_Chunk = tuple[NDArray[np.int32], NDArray[np.object_]]


def _chunks(src: DatasetReader) -> Iterator[_Chunk]:
    """Ids and polygons with shape (n,), some at a time; one empty chunk when there are none."""
    _read_through(src)
    found = shapes(rasterio.band(src, 1), connectivity=4, transform=src.transform)
    labelled = ((shape["coordinates"], int(value)) for shape, value in found if value != src.nodata)
    first = True
    while True:
        try:
            part = list(islice(labelled, _CHUNK))
        except Exception as error:  # GDAL's errors have no public base class
            raise _unreadable(src.name, error) from error
        if not part and not first:
            return
        first = False
        ids = np.array([class_id for _, class_id in part], np.int32)
        yield ids, _polygons([rings for rings, _ in part])


def _read_through(src: DatasetReader) -> None:
    """Raise RasterError when a part cannot be read: GDAL just polygonises what comes before it."""
    try:
        for row in range(0, src.height, _ROWS):
            src.read(1, window=Window(0, row, src.width, min(_ROWS, src.height - row)))
    except RasterioError as error:
        raise _unreadable(src.name, error) from error


def _joined(chunks: Iterator[_Chunk]) -> _Chunk:
    ids, polygons = zip(*chunks, strict=True)
    return np.concatenate(ids), np.concatenate(polygons)


def _polygons(shells: Sequence[Sequence[Sequence[tuple[float, float]]]]) -> NDArray[np.object_]:
    """Polygons out of lists of rings, the first one of each list outside; much faster all at once."""
    rings = [ring for shell in shells for ring in shell]
    if not rings:
        return np.empty(0, object)
    points = np.array([point for ring in rings for point in ring], np.float64)
    numbers = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    closed = shapely.linearrings(points, indices=numbers)
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
        if src.dtypes[0] not in ("uint8", "uint16", "int16", "int32"):
            raise RasterError(f"{path} holds {src.dtypes[0]} values, not class ids; choose a label map.")
        yield src


def _unreadable(path: str, error: Exception) -> RasterError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return RasterError(f"The label map {path} cannot be read ({reason}); check that it is there and whole.")
