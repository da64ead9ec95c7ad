"""How results look in QGIS: label maps and polygons in the colours of the classes, confidence from dark to bright."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsFillSymbol,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererCategory,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from .classes import ClassEntry
from .compat import set_tooltip_text
from .translation import tr

RESULT_PROPERTY = "protolabel/result"  # of layers that runs have made; they are no imagery
_TAG = "PROTOLABEL_CLASSES="  # in the label map's own metadata, with JSON
# Viridis at equal steps, as in the style beside a confidence raster: even to the eye, in grey print and for
# colour-blind eyes.
_VIRIDIS = ("#440154", "#472c7a", "#3b518b", "#2c718e", "#21908d", "#27ad81", "#5cc863", "#aadc32", "#fde725")


def style_labels(layer: QgsRasterLayer, entries: Sequence[ClassEntry] = ()) -> None:
    """Show a label map in the classes' colours, with a legend of their names.

    Args:
        layer: The label map.
        entries: Its classes in the order of the legend; without them those that the file itself names are shown.
    """
    entries = entries or classes_of(layer)
    if not entries:
        return  # not one of our label maps: as QGIS shows it
    shown = [QgsPalettedRasterRenderer.Class(entry.id, QColor(entry.color), entry.name) for entry in entries]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, shown))
    _refresh(layer)


def classes_of(layer: QgsRasterLayer) -> tuple[ClassEntry, ...]:
    """The classes that a label map's file names, else those of the layer's present style; empty when it has none."""
    # QGIS gives a dataset's own metadata as HTML only, of which some versions escape the values.
    text = layer.dataProvider().htmlMetadata() if layer.isValid() else ""
    for form in (text, html.unescape(text)):
        entries = _parse(form)
        if entries:
            return entries
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return ()
    return tuple(ClassEntry(int(c.value), c.label, c.color.name()) for c in renderer.classes())


def style_confidence(layer: QgsRasterLayer) -> None:
    """Show a confidence raster from dark (0 %, unsure) to bright (100 %, sure), and nothing where there is no label."""
    last = len(_VIRIDIS) - 1
    stops = [QgsGradientStop(i / last, QColor(_VIRIDIS[i])) for i in range(1, last)]
    ramp = QgsGradientColorRamp(QColor(_VIRIDIS[0]), QColor(_VIRIDIS[-1]), False, stops)
    function = QgsColorRampShader(0, 100, ramp)
    items = [
        QgsColorRampShader.ColorRampItem(100 * i / last, QColor(color), f"{100 * i / last:g} %")
        for i, color in enumerate(_VIRIDIS)
    ]
    function.setColorRampItemList(items)
    function.setClip(True)  # 255 stays transparent even where a copy of the raster has lost its nodata value
    legend = QgsColorRampLegendNodeSettings()
    legend.setSuffix(" %")
    function.setLegendSettings(legend)
    shader = QgsRasterShader(0, 100)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0)
    renderer.setClassificationMax(100)
    layer.setRenderer(renderer)
    _refresh(layer)


def style_polygons(layer: QgsVectorLayer, entries: Sequence[ClassEntry]) -> None:
    """Show the polygons of a label map in the colours of their classes."""
    if not entries:
        return
    categories = []
    for entry in entries:
        color = QColor(entry.color)
        outline = {"outline_color": color.darker(150).name(), "outline_width": "0.2"}
        symbol = QgsFillSymbol.createSimple({"color": color.name(), **outline})
        categories.append(QgsRendererCategory(entry.id, symbol, entry.name))
    layer.setRenderer(QgsCategorizedSymbolRenderer("class_id", categories))
    _refresh(layer)


def add_result_group(
    project: QgsProject,
    name: str,
    labels: Path,
    confidence: Path | None,
    polygons: Path | None,
    entries: Sequence[ClassEntry],
    below: QgsMapLayer | None = None,
    above: QgsMapLayer | None = None,
    description: str = "",
) -> QgsLayerTreeGroup:
    """Add the outputs of a run as one group; in the main thread.

    Args:
        project: Where to.
        name: Of the group; a number follows when an earlier run has it.
        labels: The label map.
        confidence: The confidence raster, hidden at first.
        polygons: The polygons.
        entries: The classes in the order of the legend.
        below: The group goes under this layer, so that it stays in sight; else to the top.
        above: The group goes over this layer in any case, or nobody would see it.
        description: How the label map was made; in its tooltip and its metadata.
    """
    root = project.layerTreeRoot()
    under, over = place_in_tree(root, below), place_in_tree(root, above)
    place = 0 if under is None else under + 1
    group = root.insertGroup(place if over is None else min(place, over), _free_name(root, name))
    group.setExpanded(True)
    # A style that lies beside a raster would be loaded only to be replaced.
    options = QgsRasterLayer.LayerOptions(loadDefaultStyle=not entries)
    label_layer = QgsRasterLayer(str(labels), tr("Labels"), "gdal", options)
    style_labels(label_layer, entries)
    if description:
        describe(label_layer, description)
    if polygons is not None:
        polygon_layer = QgsVectorLayer(str(polygons), tr("Polygons"), "ogr")
        style_polygons(polygon_layer, entries or classes_of(label_layer))
        _add(project, group, polygon_layer)
    _add(project, group, label_layer)
    if confidence is not None:
        confidence_layer = QgsRasterLayer(str(confidence), tr("Confidence"), "gdal", options)
        if confidence_layer.isValid():
            style_confidence(confidence_layer)
        _add(project, group, confidence_layer, visible=False)
    return group


def describe(layer: QgsMapLayer, text: str) -> None:
    """Tell of a layer in its tooltip and in its metadata, both of which the project keeps."""
    metadata = layer.metadata()
    metadata.setAbstract(text)
    layer.setMetadata(metadata)
    set_tooltip_text(layer, text)


def place_in_tree(root: QgsLayerTreeGroup, layer: QgsMapLayer | None) -> int | None:
    """Which of the topmost nodes is the layer or holds it; None when it is not in the tree."""
    node = root.findLayer(layer.id()) if layer is not None else None
    while node is not None and node.parent() != root:
        node = node.parent()
    return None if node is None else root.children().index(node)


def _add(project: QgsProject, group: QgsLayerTreeGroup, layer: QgsMapLayer, visible: bool = True) -> None:
    layer.setCustomProperty(RESULT_PROPERTY, True)
    project.addMapLayer(layer, False)
    node = group.addLayer(layer)
    node.setItemVisibilityChecked(visible)
    node.setExpanded(visible)


def _free_name(root: QgsLayerTreeGroup, name: str) -> str:
    chosen, number = name, 2
    while root.findGroup(chosen) is not None:
        chosen, number = f"{name} ({number})", number + 1
    return chosen


def _parse(text: str) -> tuple[ClassEntry, ...]:
    """The classes in a label map's metadata; empty when they are not there or not understood."""
    start = text.find(_TAG)
    if start < 0:
        return ()
    try:
        items, _ = json.JSONDecoder().raw_decode(text, start + len(_TAG))
        return tuple(ClassEntry(int(item["id"]), str(item["name"]), str(item["color"])) for item in items)
    except (ValueError, TypeError, KeyError):
        return ()


def _refresh(layer: QgsMapLayer) -> None:
    """Let legend and map show a new style."""
    layer.emitStyleChanged()
    layer.triggerRepaint()
