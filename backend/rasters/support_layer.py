"""Support polygons as their file has them: geometries, coordinate system, class values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from ..errors import SupportError

_UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    shapely.errors.ShapelyError,
    UnicodeError,
    ValueError,  # geometry types that pyogrio does not know
)
_SHOWN = 12  # fields in a message


@dataclass(frozen=True)
class SupportLayer:
    """The features of a layer that are support.

    Attributes:
        path: As given.
        numbers: Position of each feature in the layer, from 1.
        geometries: Polygons and multipolygons, valid and not empty.
        crs: As OGR names it, or None.
        ids: Values of the class field.
        names: Values of the name field, or None.
        notes: What the user should know.
        validation: Whether each feature is set aside for validation.
    """

    path: str
    numbers: tuple[int, ...]
    geometries: tuple[BaseGeometry, ...]
    crs: str | None
    ids: NDArray[np.generic]
    names: NDArray[np.generic] | None
    notes: tuple[str, ...] = ()
    validation: tuple[bool, ...] = ()


def read_layer(path: str, class_field: str, name_field: str, everything: bool = False) -> SupportLayer:
    """Read the features that are not set aside for validation.

    Args:
        path: Anything that OGR reads, with "|layername=NAME" for one layer of several as QGIS writes it; else the
            first polygon layer that has the class field is taken.
        class_field: Must be there.
        name_field: May be absent.
        everything: Whether those that are set aside are read too.

    Raises:
        SupportError: When it cannot be read, or has no polygons, no class field, or geometries that cannot serve.
    """
    file, _, options = path.partition("|")
    try:
        layer, fields, notes = _choose_layer(path, file, options, class_field)
        columns = list(dict.fromkeys(name for name in (class_field, name_field, "use") if name in fields))
        meta, _, wkb, values = pyogrio.raw.read(file, layer=layer, columns=columns, force_2d=True)
        geometries = [] if wkb is None else _geometries(wkb, path)
    except _UNREADABLE as error:
        raise _unreadable(path, file, error) from error
    data: dict[str, NDArray[np.generic]] = dict(zip(meta["fields"], values, strict=True))
    aside = np.zeros(len(geometries), np.bool_)
    if "use" in data:
        aside = np.array([str(value).strip().lower() == "validation" for value in data["use"]], np.bool_)
    keep = np.ones_like(aside) if everything else ~aside
    if not keep.any():
        raise SupportError(f"{path} holds no support polygon; draw some polygons for each class.")
    numbers = tuple((np.flatnonzero(keep) + 1).tolist())
    return SupportLayer(
        path,
        numbers,
        tuple(_checked(geometries[number - 1], number, path) for number in numbers),
        meta["crs"],
        data[class_field][keep],
        data[name_field][keep] if name_field in data else None,
        notes,
        tuple(aside[keep].tolist()),
    )


def _choose_layer(
    path: str, file: str, options: str, class_field: str
) -> tuple[str, Sequence[str], tuple[str, ...]]:
    """The layer's name, its fields, and a note when there were others to choose from."""
    layers = {str(name): kind for name, kind in pyogrio.list_layers(file)}
    wanted = [part.partition("=")[2] for part in options.split("|") if part.startswith("layername=")]
    if wanted and wanted[0] not in layers:
        raise SupportError(f"{file} has no layer {wanted[0]!r}; choose one of {', '.join(layers) or 'none'}.")
    polygonal = wanted or [name for name, kind in layers.items() if kind and _may_hold_polygons(str(kind))]
    if not polygonal:
        raise SupportError(f"{path} holds no polygon layer; save the support polygons as polygons.")
    fields = {name: [str(f) for f in pyogrio.read_info(file, layer=name)["fields"]] for name in polygonal}
    serving = [name for name in polygonal if class_field in fields[name]]
    if not serving:
        if pyogrio.read_info(file, layer=polygonal[0], force_feature_count=True)["features"] == 0:
            raise SupportError(f"{path} holds no support polygon; draw some polygons for each class.")
        known = list(dict.fromkeys(field for name in polygonal for field in fields[name]))
        shown = ", ".join(known[:_SHOWN]) + (
            f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        )
        raise SupportError(
            f"{path} has no field {class_field!r}; choose one of {shown or 'none'} with --class-field."
        )
    notes = (
        (f"{path} has the layers {', '.join(serving)}; {serving[0]} is used.",) if len(serving) > 1 else ()
    )
    return serving[0], fields[serving[0]], notes


def _may_hold_polygons(kind: str) -> bool:
    return "Polygon" in kind or "Surface" in kind or kind.split()[-1] in ("Unknown", "GeometryCollection")


def _geometries(wkb: NDArray[np.object_], path: str) -> list[BaseGeometry | None]:
    geometries = []
    for number, data in enumerate(wkb.tolist(), start=1):
        try:
            geometries.append(shapely.from_wkb(data))
        except shapely.errors.ShapelyError as error:
            raise _invalid(number, path, str(error)) from error
    return geometries


def _checked(geometry: BaseGeometry | None, number: int, path: str) -> BaseGeometry:
    if geometry is None or geometry.is_empty:
        raise SupportError(f"Feature {number} of {path} has an empty geometry; delete it or draw it again.")
    if geometry.geom_type not in ("Polygon", "MultiPolygon"):
        raise SupportError(
            f"Feature {number} of {path} is a {geometry.geom_type}, not a polygon; draw support as polygons."
        )
    if not geometry.is_valid:
        raise _invalid(number, path, shapely.is_valid_reason(geometry))
    return geometry


def _invalid(number: int, path: str, reason: str) -> SupportError:
    return SupportError(
        f"Feature {number} of {path} has an invalid geometry ({reason}); repair it, for example with QGIS's "
        "'Fix geometries'."
    )


def _unreadable(path: str, file: str, error: Exception) -> SupportError:
    # Only now, since much that OGR opens is no path: addresses, databases.
    if not Path(file).exists() and not file.startswith("/vsi") and ":" not in file[2:]:
        return SupportError(f"The support file {path} does not exist; check the path.")
    text = str(error).strip()
    # What pyogrio adds on drivers after ";" is for programmers.
    reason = text.splitlines()[0].partition(";")[0].rstrip(".") if text else type(error).__name__
    if "locked" in reason:
        return SupportError(f"{path} is locked by another program; save the edits there or close it.")
    return SupportError(
        f"The support file {path} cannot be read ({reason}); check that it is a whole file of polygons."
    )
