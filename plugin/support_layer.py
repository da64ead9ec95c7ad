"""The layer of the support polygons: a GeoPackage with class_id, class_name and use, in class colours."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsProperty,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from .classes import ClassEntry
from .compat import POLYGON_GEOMETRY, STROKE_STYLE
from .geometries import clean_polygon
from .support_package import (
    FIELDS,
    TABLE,
    SupportExistsError,
    SupportLayerError,
    polygon_fields,
    write_polygons,
)
from .translation import tr

SUPPORT, VALIDATION = "support", "validation"
_FILL_OPACITY = 70  # of 255
_STROKE_MM = "0.5"


@dataclass(frozen=True)
class PolygonCount:
    """What is drawn for one class.

    Attributes:
        polygons: Support polygons.
        pixels: About how many pixels those cover, overlaps counted twice; None when it is not known.
        validation: Validation polygons.
    """

    polygons: int
    pixels: int | None
    validation: int


def create_support_layer(path: Path, crs: QgsCoordinateReferenceSystem, name: str) -> QgsVectorLayer:
    """Make an empty support layer.

    Args:
        path: The GeoPackage; it must not exist.
        crs: Of the polygons, best the raster's; an invalid one for a raster without.
        name: Of the layer in QGIS.

    Returns:
        The layer, which is in no project yet.

    Raises:
        SupportExistsError: When the file exists.
        SupportLayerError: When it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gpkg":
        path = path.with_name(f"{path.name}.gpkg")
    _reserve(path)
    try:
        write_polygons(path, crs, ())
    except SupportLayerError:
        with suppress(OSError):
            path.unlink()
        raise
    layer = QgsVectorLayer(f"{path}|layername={TABLE}", name, "ogr")
    if not layer.isValid():
        raise SupportLayerError(
            tr("{path} was written but cannot be opened; choose another folder.").format(path=path)
        )
    if not crs.isValid():
        layer.setCrs(crs)
    return layer


def _reserve(path: Path) -> None:
    """Take a name with an empty file, so that another QGIS does not take it at the same time."""
    try:
        path.open("x").close()
    except FileExistsError as error:
        raise SupportExistsError(
            tr("{path} exists already; choose another name, or add that file to the project.").format(
                path=path
            )
        ) from error
    except OSError:
        return  # what is wrong with the folder is told by who writes the file


def is_support_layer(layer: QgsMapLayer | None) -> bool:
    """Tell whether a layer holds polygons with the fields of a support layer."""
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        return False
    fields = layer.fields()
    if any(fields.lookupField(name) < 0 for name in FIELDS) or not fields.field("class_id").isNumeric():
        return False
    return layer.geometryType() == POLYGON_GEOMETRY


def missing_file(layer: QgsVectorLayer) -> Path | None:
    """The file of a layer when it is there no more, None when all is well or the layer is of no file."""
    path = _file(layer)
    return path if layer.providerType() == "ogr" and path.is_absolute() and not path.exists() else None


def style_support_layer(layer: QgsVectorLayer, entries: Sequence[ClassEntry]) -> None:
    """Show the classes in their colours, validation polygons dashed, and polygons of other classes not at all."""
    categories = [
        QgsRendererCategory(entry.id, _symbol(QColor(entry.color)), entry.name) for entry in entries
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class_id", categories))
    layer.setLabelsEnabled(False)
    layer.triggerRepaint()
    layer.emitStyleChanged()


def add_polygon(layer: QgsVectorLayer, geometry: QgsGeometry, entry: ClassEntry, use: str = SUPPORT) -> int:
    """Add a polygon, as one step that the layer's undo takes back.

    Args:
        layer: A support layer; editing is begun when it is not.
        geometry: In the layer's coordinates; repaired when it crosses itself.
        entry: Its class.
        use: "support" or "validation".

    Returns:
        The id of the feature, negative until the edits are saved.

    Raises:
        SupportLayerError: When the layer cannot be edited, or nothing of the polygon is left.
    """
    clean = clean_polygon(geometry)
    if clean.isNull():
        raise SupportLayerError(tr("This polygon encloses no area; draw it again."))
    with edit_step(layer, tr("Add polygon of {name}").format(name=entry.name)):
        feature = support_feature(layer, clean, entry, use)
        if not layer.addFeature(feature):
            raise _not_editable(layer)
    return feature.id()


def support_feature(layer: QgsVectorLayer, geometry: QgsGeometry, entry: ClassEntry, use: str) -> QgsFeature:
    """A feature of the support layer that is not in it yet."""
    feature = QgsFeature(layer.fields())
    feature.setAttribute("class_id", entry.id)
    feature.setAttribute("class_name", entry.name)
    feature.setAttribute("use", use)
    feature.setGeometry(geometry)
    return feature


@contextmanager
def edit_step(layer: QgsVectorLayer, text: str) -> Iterator[None]:
    """Make everything that is done to a layer in the block one step of its undo; an exception takes it back.

    Raises:
        SupportLayerError: When the layer cannot be edited.
    """
    if not layer.isEditable() and not (_is_writable(layer) and layer.startEditing()):
        raise _not_editable(layer)
    layer.beginEditCommand(text)
    try:
        yield
    except BaseException:
        layer.destroyEditCommand()
        raise
    layer.endEditCommand()
    layer.triggerRepaint()


def update_class_names(layer: QgsVectorLayer, entries: Sequence[ClassEntry]) -> int:
    """Write the present names of the classes into the polygons, as one step; call it before the edits are saved.

    Returns:
        How many polygons had another name.

    Raises:
        SupportLayerError: When the layer cannot be edited.
    """
    names = {entry.id: entry.name for entry in entries}
    field = layer.fields().lookupField("class_name")
    stale = {
        feature.id(): names[id]
        for feature in layer.getFeatures()
        for id in [class_id(feature)]
        if id in names and feature["class_name"] != names[id]
    }
    if stale:
        with edit_step(layer, tr("Update class names")):
            for id, name in stale.items():
                layer.changeAttributeValue(id, field, name)
    return len(stale)


def count_polygons(
    layer: QgsVectorLayer, raster_crs: QgsCoordinateReferenceSystem, pixel_area: float | None
) -> dict[int, PolygonCount]:
    """Count the polygons of each class, with the edits that are not saved yet.

    Args:
        layer: A support layer.
        raster_crs: The areas are measured in it; an invalid one takes the layer's coordinates as they are.
        pixel_area: Of the raster, in the square of its coordinates' unit; None counts no pixels.

    Returns:
        The counts by class id; classes without a polygon are absent.
    """
    transform = QgsCoordinateTransform(layer.crs(), raster_crs, QgsProject.instance().transformContext())
    request = QgsFeatureRequest().setSubsetOfAttributes(["class_id", "use"], layer.fields())
    polygons: dict[int, int] = {}
    validation: dict[int, int] = {}
    areas: dict[int, float] = {}
    for feature in layer.getFeatures(request):
        id = class_id(feature)
        if id is None:
            continue
        if is_validation(feature):
            validation[id] = validation.get(id, 0) + 1
            continue
        polygons[id] = polygons.get(id, 0) + 1
        if pixel_area:
            areas[id] = areas.get(id, 0.0) + _area(feature.geometry(), transform)
    return {
        id: PolygonCount(
            polygons.get(id, 0),
            round(areas.get(id, 0.0) / pixel_area) if pixel_area else None,
            validation.get(id, 0),
        )
        for id in sorted({*polygons, *validation})
    }


def snapshot(layer: QgsVectorLayer, path: Path, class_ids: Collection[int], validation: bool = False) -> None:
    """Write the support polygons of some classes as they are now, with the edits that are not saved yet.

    Args:
        layer: A support layer.
        path: A GeoPackage; an earlier one is replaced as a whole.
        class_ids: The classes.
        validation: Whether validation polygons are written as well.

    Raises:
        SupportLayerError: When there is no such polygon, or the file cannot be written.
    """
    wanted, fields, features = set(class_ids), polygon_fields(), []
    # In the order of drawing, which saving the edits does not change.
    for feature in sorted(layer.getFeatures(), key=lambda feature: (feature.id() < 0, abs(feature.id()))):
        if class_id(feature) not in wanted or (is_validation(feature) and not validation):
            continue
        geometry = clean_polygon(feature.geometry())  # others than this plugin may have edited it
        if not geometry.isNull():
            copy = QgsFeature(fields)
            copy.setAttributes([feature[name] for name in FIELDS])
            copy.setGeometry(geometry)
            features.append(copy)
    if not features:
        raise SupportLayerError(tr("There is no support polygon yet; draw one for each class."))
    write_polygons(Path(path), layer.crs(), features)


def class_id(feature: QgsFeature) -> int | None:
    """The class of a polygon; None when the field is not filled in."""
    value = feature["class_id"]
    return int(value) if isinstance(value, (int, float)) else None


def is_validation(feature: QgsFeature) -> bool:
    """Tell whether a polygon is set aside for validation, as the backend does."""
    return str(feature["use"]).strip().lower() == VALIDATION


def _area(geometry: QgsGeometry, transform: QgsCoordinateTransform) -> float:
    """The area after a transformation; none where there is no such place."""
    if geometry.isNull():
        return 0.0
    if not transform.isShortCircuited():
        try:
            geometry.transform(transform)
        except QgsCsException:
            return 0.0
    return geometry.area()


def _symbol(color: QColor) -> QgsFillSymbol:
    fill = QColor(color)
    fill.setAlpha(_FILL_OPACITY)
    symbol = QgsFillSymbol.createSimple(
        {
            "color": f"{fill.red()},{fill.green()},{fill.blue()},{fill.alpha()}",
            "outline_color": f"{color.red()},{color.green()},{color.blue()},255",
            "outline_width": _STROKE_MM,
            "outline_style": "solid",
            "joinstyle": "round",
        }
    )
    dash = QgsProperty.fromExpression(f"if(lower(trim(\"use\")) = '{VALIDATION}', 'dash', 'solid')")
    symbol.symbolLayer(0).setDataDefinedProperty(STROKE_STYLE, dash)
    return symbol


def _file(layer: QgsVectorLayer) -> Path:
    return Path(layer.source().partition("|")[0])


def _is_writable(layer: QgsVectorLayer) -> bool:
    """Whether edits can be saved; on a read-only disk QGIS notices that only then."""
    return not _file(layer).is_file() or os.access(_file(layer), os.W_OK)


def _not_editable(layer: QgsVectorLayer) -> SupportLayerError:
    return SupportLayerError(
        tr(
            "The layer {name} cannot be edited; check that its file may be written to, or make a new support layer."
        ).format(name=layer.name())
    )
