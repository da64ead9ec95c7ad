"""What Processing knows of the plugin."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..backend_service import BackendService
from ..translation import tr
from .accuracy import AccuracyAlgorithm
from .finetune import FinetuneAlgorithm
from .label import LabelAlgorithm
from .prepare_support import PrepareSupportAlgorithm
from .sample_points import SamplePointsAlgorithm
from .styling import LayerStyler
from .vectorize import VectorizeAlgorithm

_ALGORITHMS = (
    LabelAlgorithm,
    PrepareSupportAlgorithm,
    VectorizeAlgorithm,
    SamplePointsAlgorithm,
    AccuracyAlgorithm,
    FinetuneAlgorithm,
)
_ICON = Path(__file__).resolve().parents[2] / "resources" / "icons" / "protolabel.svg"


class ProtolabelProvider(QgsProcessingProvider):
    """Lists the algorithms; needs neither a window nor a backend."""

    def __init__(self, service: BackendService) -> None:
        super().__init__()
        self._service = service
        # Processing does not own what styles a layer after a run, and uses it when the algorithm may be gone.
        self._stylers: list[LayerStyler] = []

    def loadAlgorithms(self) -> None:
        """Make the algorithms; Processing calls this."""
        for algorithm in _ALGORITHMS:
            self.addAlgorithm(algorithm(self._service, self._stylers))

    def id(self) -> str:
        """The name in scripts and models, never translated."""
        return "protolabel"

    def name(self) -> str:
        """The name in the toolbox."""
        return "Protolabel"

    def longName(self) -> str:
        """The name where there is more room."""
        return tr("Protolabel: label rasters by a few polygons")

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return QIcon(str(_ICON))

    def svgIconPath(self) -> str:
        """Where the icon lies."""
        return str(_ICON)

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """What the backend writes rasters as."""
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """What the backend writes polygons as."""
        return ["gpkg", "geojson", "shp", "fgb"]

    def supportsNonFileBasedOutput(self) -> bool:
        """Whether outputs may go to memory or a database: the backend writes files."""
        return False
