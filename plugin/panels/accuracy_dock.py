"""The dock of the accuracy assessment: label map, reference, the button, and the numbers."""

from __future__ import annotations

from qgis.gui import QgsDockWidget, QgsScrollArea
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QFrame, QVBoxLayout, QWidget

from ..accuracy.assessment import Assessment
from ..accuracy.session import AccuracySession
from ..session import LabelingSession
from ..translation import tr
from .assess_bar import AssessBar
from .assessment_view import AssessmentView
from .map_section import MapSection
from .reference_section import ReferenceSection


class AccuracyDock(QgsDockWidget):
    """Lays out the sections; what they ask for is done elsewhere."""

    def __init__(
        self, session: AccuracySession, labeling: LabelingSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Accuracy Assessment"), parent)
        self.setObjectName("protolabelAccuracyDock")
        self.map = MapSection(session)
        self.reference = ReferenceSection(session, labeling)
        self.bar = AssessBar()
        self.view = AssessmentView()
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(4, 4, 4, 4)
        for section in (self.map, self.reference, self.bar, self.view):
            layout.addWidget(section)
        layout.addStretch(1)
        self._area = area = QgsScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        area.setWidget(inner)
        self.setWidget(area)
        session.changed.connect(self.show_choices)
        labeling.supportChanged.connect(self.show_choices)
        self.show_choices()

    def show_assessment(self, assessment: Assessment) -> None:
        """Show the numbers, and bring them into sight."""
        self.view.show_assessment(assessment)
        QTimer.singleShot(0, self._scroll_to_numbers)  # when they have their place

    def _scroll_to_numbers(self) -> None:
        if not self.view.isHidden():
            self._area.verticalScrollBar().setValue(self.view.y())

    def show_choices(self) -> None:
        """Show what the sessions take."""
        self.map.show_choices()
        self.reference.show_choices()
