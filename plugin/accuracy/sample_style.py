"""How sample points look: rings that leave the ground in sight, and nothing of what the map says."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsExpressionContextUtils,
    QgsMarkerSymbol,
    QgsProperty,
    QgsRendererCategory,
    QgsSimpleMarkerSymbolLayer,
    QgsVectorLayer,
)

from ..classes import ClassEntry
from ..compat import LAYER_ENABLED
from ..translation import tr

_NOT_DRAWN = "protolabel_not_drawn"  # variable of the layer: id of a feature
_OPEN, _SKIPPED = "-", "x"  # categories beside the class ids


def style_sample(layer: QgsVectorLayer, entries: Sequence[ClassEntry]) -> None:
    """Show points in the colours of their classes, those that wait in white, and skipped ones as crosses."""
    categories = [
        QgsRendererCategory(str(entry.id), _symbol("circle", entry.color), entry.name) for entry in entries
    ]
    categories.append(QgsRendererCategory(_OPEN, _symbol("circle", "#ffffff"), tr("not labelled yet")))
    categories.append(QgsRendererCategory(_SKIPPED, _symbol("cross2", "#ffffff"), tr("skipped")))
    state = (
        f'if("class_id" is not null, to_string("class_id"), if("skipped" = 1, \'{_SKIPPED}\', \'{_OPEN}\'))'
    )
    layer.setRenderer(QgsCategorizedSymbolRenderer(state, categories))
    layer.emitStyleChanged()
    layer.triggerRepaint()


def leave_out_of_sight(layer: QgsVectorLayer, feature: int | None) -> None:
    """Do not draw one of the points, since its ring would cover the pixel to be looked at; None draws all."""
    QgsExpressionContextUtils.setLayerVariable(layer, _NOT_DRAWN, -1 if feature is None else feature)
    layer.triggerRepaint()


def _symbol(shape: str, color: str) -> QgsMarkerSymbol:
    """A ring or a cross, over a dark one that makes it seen on bright ground."""
    ring = {"name": shape, "color": "0,0,0,0", "size": "3.2"}
    symbol = QgsMarkerSymbol.createSimple({**ring, "outline_color": "0,0,0,160", "outline_width": "1.2"})
    bright = {**ring, "outline_color": color, "outline_width": "0.7"}
    symbol.appendSymbolLayer(QgsSimpleMarkerSymbolLayer.create(bright))
    drawn = QgsProperty.fromExpression(f"$id <> to_int(coalesce(@{_NOT_DRAWN}, -1))")
    for layer in symbol.symbolLayers():
        layer.setDataDefinedProperty(LAYER_ENABLED, drawn)
    return symbol
