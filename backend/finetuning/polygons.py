"""Polygons of a layer on one raster, those that are set aside for validation too."""

from __future__ import annotations

from dataclasses import dataclass

from ..rasters.class_ids import class_ids
from ..rasters.source import RasterSource
from ..rasters.support import ClassInfo, SupportSet, inside_raster, to_pixels
from ..rasters.support_layer import read_layer
from .options import LabeledRaster


@dataclass(frozen=True)
class LayerPolygons:
    """Polygons on a raster.

    Attributes:
        support: The polygons in the raster's pixels.
        numbers: Position of each in its layer, from 1.
        validation: Whether each is set aside.
    """

    support: SupportSet
    numbers: tuple[int, ...]
    validation: tuple[bool, ...]


def read_polygons(given: LabeledRaster, source: RasterSource) -> LayerPolygons:
    """Read the polygons that lie on a raster; there may be none.

    Args:
        given: Names the layer and its fields.
        source: The raster.

    Raises:
        SupportError: When the file, the field or the geometries cannot serve.
    """
    layer = read_layer(str(given.polygons), given.class_field, given.name_field, use="all")
    notes = list(layer.notes)
    ids, names = class_ids(layer.ids, layer.names, given.class_field, layer.path, notes)
    parts = inside_raster(to_pixels(layer, source, notes), source)
    kept = [index for index, part in enumerate(parts) if not part.is_empty]
    classes = tuple(ClassInfo(number, names[number]) for number in sorted({ids[index] for index in kept}))
    position = {info.id: index for index, info in enumerate(classes)}
    support = SupportSet(
        classes,
        tuple(parts[index] for index in kept),
        tuple(position[ids[index]] for index in kept),
        tuple(notes),
    )
    return LayerPolygons(
        support,
        tuple(layer.numbers[index] for index in kept),
        tuple(layer.validation[index] for index in kept),
    )
