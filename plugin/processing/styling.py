"""Styles for the layers that Processing loads after a run."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)


class LayerStyler(QgsProcessingLayerPostProcessorInterface):
    """Sets the style of one layer, in the main thread; keep a reference until then."""

    def __init__(self, style: Callable[[QgsMapLayer], None]) -> None:
        super().__init__()
        self._style = style

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set it; Processing calls this."""
        self._style(layer)
