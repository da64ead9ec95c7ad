"""Support polygons as their file has them: geometries, coordinate system, class values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
Use = Literal["support", "validation", "all"]


@dataclass(frozen=True)
class SupportLayer:
    """The features of a layer that are support, or of those that are kept aside.

    Attributes:
        path: As given.
        numbers: Position of each feature in the layer, from 1.
        geometries: Polygons and multipolygons, valid and not empty.
        crs: As OGR names it, or None.
        ids: Values of the class field; zeros where none was asked for.
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


def read_layer(
    path: str, class_field: str | None, name_field: str | None, use: Use = "support"
) -> SupportLayer:
    """Read the features that are not set aside for validation, those that are, or all.

    Args:
        path: Anything that OGR reads, with "|layername=NAME" for one layer of several as QGIS writes it; else the
            first polygon layer that has the class field is taken.
        class_field: Must be there; None when the classes do not matter.
        name_field: May be absent.
        use: "validation" takes the features whose field ``use`` says so, and all of a layer without that field; "all"
            takes those that are set aside and those that are not.

    Raises:
        SupportError: When it cannot be read, or has no polygons, no class field, or geometries that cannot serve.
    """
    file, _, options = path.partition("|")
    try:
        layer, fields, notes = _choose_layer(path, file, options, class_field, use)
        columns = list(dict.fromkeys(name for name in (class_field, name_field, "use") if name in fields))
        meta, _, wkb, values = pyogrio.raw.read(file, layer=layer, columns=columns, force_2d=True)
        geometries = [] if wkb is None else _geometries(wkb, path)
    except _UNREADABLE as error:
        raise _unreadable(path, file, error) from error
    data: dict[str, NDArray[np.generic]] = dict(zip(meta["fields"], values, strict=True))
    keep, aside = np.ones(len(geometries), np.bool_), np.zeros(len(geometries), np.bool_)
    if "use" in data:
        aside = np.array([str(value).strip().lower() == "validation" for value in data["use"]], np.bool_)
        keep = {"support": ~aside, "validation": aside, "all": keep}[use]
    if not keep.any():
        raise _none(path, use)
    numbers = tuple((np.flatnonzero(keep) + 1).tolist())
    return SupportLayer(
        path,
        numbers,
        tuple(_checked(geometries[number - 1], number, path) for number in numbers),
        meta["crs"],
        np.zeros(len(numbers), np.int64) if class_field is None else data[class_field][keep],
        data[name_field][keep] if name_field in data else None,
        notes,
        tuple(aside[keep].tolist()),
    )


def _none(path: str, use: Use) -> SupportError:
    fix = 'set the field "use" of some to "validation", or choose another file' if use == "validation" else ""
    return SupportError(f"{path} holds no {_kind(use)}polygon; {fix or 'draw some polygons for each class'}.")


def _kind(use: Use) -> str:
    return "" if use == "all" else f"{use} "


def _choose_layer(
    path: str, file: str, options: str, class_field: str | None, use: Use
) -> tuple[str, Sequence[str], tuple[str, ...]]:
    """The layer's name, its fields, and a note when there were others to choose from."""
    layers = {str(name): kind for name, kind in pyogrio.list_layers(file)}
    wanted = [part.partition("=")[2] for part in options.split("|") if part.startswith("layername=")]
    if wanted and wanted[0] not in layers:
        raise SupportError(f"{file} has no layer {wanted[0]!r}; choose one of {', '.join(layers) or 'none'}.")
    polygonal = wanted or [name for name, kind in layers.items() if kind and _may_hold_polygons(str(kind))]
    if not polygonal:
        raise SupportError(f"{path} holds no polygon layer; save the {_kind(use)}polygons as polygons.")
    fields = {name: [str(f) for f in pyogrio.read_info(file, layer=name)["fields"]] for name in polygonal}
    serving = [name for name in polygonal if class_field is None or class_field in fields[name]]
    if not serving:
        if pyogrio.read_info(file, layer=polygonal[0], force_feature_count=True)["features"] == 0:
            raise _none(path, use)
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
