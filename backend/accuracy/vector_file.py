"""Which layer of a vector file is the reference, and whether it holds points or polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyogrio
import shapely

from ..errors import AssessmentError

UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    shapely.errors.ShapelyError,
    UnicodeError,
    ValueError,  # geometry types that pyogrio does not know
)
_SHOWN = 12  # fields in a message


@dataclass(frozen=True)
class ReferenceLayer:
    """A layer with a class field.

    Attributes:
        path: As given.
        file: Its file.
        name: Of the layer.
        fields: Names of its fields.
        kind: What it holds.
    """

    path: str
    file: str
    name: str
    fields: tuple[str, ...]
    kind: Literal["points", "polygons"]


def find_layer(path: str, class_field: str) -> ReferenceLayer | None:
    """The first layer that has the class field; None for a file that is no vector file.

    Args:
        path: Anything that OGR reads, with "|layername=NAME" for one layer of several.
        class_field: Name of the field.

    Raises:
        AssessmentError: When no layer has the field, or the layer that was named is missing.
    """
    file, _, options = path.partition("|")
    wanted = [part.partition("=")[2] for part in options.split("|") if part.startswith("layername=")]
    try:
        layers = {str(name): str(kind) for name, kind in pyogrio.list_layers(file) if kind is not None}
        names = [name for name in layers if not wanted or name == wanted[0]]
        fields = {name: tuple(map(str, pyogrio.read_info(file, layer=name)["fields"])) for name in names}
        serving = [name for name in names if class_field in fields[name]]
        if serving:
            kind = _kind(file, serving[0], layers[serving[0]])
            return ReferenceLayer(path, file, serving[0], fields[serving[0]], kind)
    except UNREADABLE:
        return None
    if not layers:
        return None
    if not names:
        raise AssessmentError(f"{file} has no layer {wanted[0]!r}; choose one of {', '.join(layers)}.")
    known = list(dict.fromkeys(field for name in names for field in fields[name]))
    shown = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
    raise AssessmentError(
        f"The reference {path} has no field {class_field!r}; choose one of {shown or 'none'} with --class-field."
    )


def _kind(file: str, name: str, declared: str) -> Literal["points", "polygons"]:
    """What a layer holds; one that may hold anything is told by its first feature."""
    if declared.split()[-1] in ("Unknown", "GeometryCollection"):
        _, _, wkb, _ = pyogrio.raw.read(file, layer=name, columns=[], max_features=1)
        first = shapely.from_wkb(wkb[0]) if wkb is not None and len(wkb) else None
        declared = first.geom_type if first is not None else ""
    return "points" if "Point" in declared else "polygons"
