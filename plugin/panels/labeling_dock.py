"""The dock: raster, classes, support polygons, preview, label map, from top to bottom."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgsDockWidget, QgsScrollArea
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..backend_service import BackendService
from ..session import LabelingSession
from ..translation import tr
from .class_panel import ClassPanel
from .options_section import OptionsSection
from .preview_section import PreviewSection
from .raster_section import RasterSection
from .run_bar import RunBar
from .run_section import RunSection
from .shrinking import shrinkable


class LabelingDock(QgsDockWidget):
    """Lays out the sections; what they ask for is done elsewhere."""

    setupRequested = pyqtSignal()
    stopDrawingRequested = pyqtSignal()
    useChanged = pyqtSignal(str)
    chooseSupportRequested = pyqtSignal()
    newSupportRequested = pyqtSignal()
    importRequested = pyqtSignal()
    closing = pyqtSignal()

    def __init__(
        self, session: LabelingSession, service: BackendService, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Protolabel"), parent)
        self.setObjectName("protolabelDock")
        self._session, self._service = session, service
        self.raster = RasterSection(session, service)
        self.classes = ClassPanel(session.classes)
        self.preview = PreviewSection()
        self.options = OptionsSection(session, service)
        self.run = RunSection(session)
        self.bar = RunBar()
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(4, 4, 4, 4)
        for widget in (
            self._build_banner(),
            self.raster,
            self._build_support(),
            self.preview,
            self.options,
            self.run,
        ):
            layout.addWidget(widget)
        layout.addStretch(1)
        area = QgsScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        area.setWidget(inner)
        holder = QWidget()
        whole = QVBoxLayout(holder)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(area, 1)
        whole.addWidget(self.bar)
        self.setWidget(holder)
        service.changed.connect(self.show_backend)
        session.supportChanged.connect(self.show_support)
        session.loaded.connect(self.show_support)
        self.show_backend()
        self.show_support()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The user has closed the dock."""
        self.closing.emit()
        super().closeEvent(event)

    def show_backend(self) -> None:
        """Show the banner while there is no backend."""
        self._banner.setVisible(self._service.python() is None)

    def show_support(self) -> None:
        """Name the support layer."""
        layer = self._session.support
        self._layer_name.setText(layer.name() if layer else tr("made with the first polygon"))
        self._layer_name.setToolTip(layer.source() if layer else "")

    def show_drawing(self, active: bool) -> None:
        """Tell how to draw while the tool is in hand."""
        self._hint.setVisible(active)
        self._stop.setVisible(active)

    def _build_banner(self) -> QWidget:
        self._banner = QFrame()
        self._banner.setObjectName("protolabelBanner")
        self._banner.setFrameShape(QFrame.Shape.StyledPanel)
        icon = QLabel()
        size = self.fontMetrics().height() * 3 // 2
        icon.setPixmap(QgsApplication.getThemeIcon("/mIconWarning.svg").pixmap(size, size))
        text = QLabel(
            tr(
                "The backend that labels the raster is not set up yet. Classes and polygons can be drawn already."
            )
        )
        text.setWordWrap(True)
        button = QPushButton(tr("Set Up…"))
        button.setObjectName("protolabelSetUp")
        button.setToolTip(tr("Install the backend, or choose one that is there."))
        button.clicked.connect(self.setupRequested)
        row = QHBoxLayout()
        row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(text, 1)
        layout = QVBoxLayout(self._banner)
        layout.addLayout(row)
        layout.addWidget(button)
        return self._banner

    def _build_support(self) -> QWidget:
        box = QGroupBox(tr("Classes and Polygons"))
        self._use = QComboBox()
        self._use.setObjectName("protolabelUse")
        self._use.addItem(tr("Draw for support"), "support")
        self._use.addItem(tr("Draw for validation"), "validation")
        self._use.setToolTip(
            tr(
                "Support polygons teach the classes; validation polygons are kept aside to measure how good the map is."
            )
        )
        self._use.setAccessibleName(tr("Use of the polygons"))
        shrinkable(self._use)
        self._use.activated.connect(lambda: self.useChanged.emit(self._use.currentData()))
        self._stop = QPushButton(tr("Stop"))
        self._stop.setObjectName("protolabelStopDrawing")
        self._stop.setToolTip(tr("Return to the map tool that was in use before (Esc)."))
        self._stop.clicked.connect(self.stopDrawingRequested)
        self._hint = QLabel(
            tr(
                "Click the vertices, right-click to finish. Backspace: vertex back; Esc: cancel; Ctrl+Z: undo; "
                "1 to 9: class."
            )
        )
        self._hint.setObjectName("protolabelHint")
        self._hint.setWordWrap(True)
        self._layer_name = QLabel()
        self._layer_name.setObjectName("protolabelSupportLayer")
        self._layer_name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        menu = QMenu(self)
        menu.addAction(tr("New Support Layer…"), self.newSupportRequested.emit)
        menu.addAction(tr("Choose a Support Layer…"), self.chooseSupportRequested.emit)
        menu.addAction(tr("Import Polygons…"), self.importRequested.emit)
        more = QToolButton()
        more.setObjectName("protolabelSupportMenu")
        more.setText("…")
        more.setToolTip(tr("Make, choose or fill the layer of the support polygons."))
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        more.setMenu(menu)
        drawing, layer = QHBoxLayout(), QHBoxLayout()
        drawing.addWidget(self._use, 1)
        drawing.addWidget(self._stop)
        layer.addWidget(QLabel(tr("Layer:")))
        layer.addWidget(self._layer_name, 1)
        layer.addWidget(more)
        layout = QVBoxLayout(box)
        layout.addWidget(self.classes)
        layout.addLayout(drawing)
        layout.addWidget(self._hint)
        layout.addLayout(layer)
        self.show_drawing(False)
        return box
