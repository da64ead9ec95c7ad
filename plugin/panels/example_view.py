"""Shows an example of what a model is being fine-tuned on, as large as there is room."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QFileInfo, QSize, Qt
from qgis.PyQt.QtGui import QPixmap, QResizeEvent
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from ..translation import tr
from .labels import pale_label


class ExampleView(QWidget):
    """A picture with a line that explains it; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("finetuneExample")
        self._read: tuple[str, object] = ("", None)
        self._pixmap = QPixmap()
        self._picture = QLabel(objectName="finetuneExamplePicture")
        self._picture.setAccessibleName(tr("An example of what is learnt from"))
        self._picture.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        about = pale_label(
            "finetuneExampleAbout",
            tr("An episode: labelled support, the image to label, the truth, and what the model labels."),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(about)
        layout.addWidget(self._picture, 1)
        self.hide()

    def show_example(self, path: Path | None) -> None:
        """Show a file when it is another one, or was written anew."""
        state = (str(path), QFileInfo(str(path)).lastModified()) if path is not None else ("", None)
        if state == self._read:
            return
        pixmap = QPixmap(state[0])
        if path is None or not pixmap.isNull():  # else it is being replaced; the next look will do
            self._read, self._pixmap = state, pixmap
            self.setVisible(path is not None)
            self._scale()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scale the picture."""
        super().resizeEvent(event)
        self._scale()

    def _scale(self) -> None:
        if self._pixmap.isNull():
            self._picture.clear()
            return
        ratio = self.devicePixelRatioF()
        room = QSize(self.width(), round(min(self.width() / 4, self.fontMetrics().height() * 12))) * ratio
        scaled = self._pixmap.scaled(
            room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(ratio)
        self._picture.setPixmap(scaled)
        self._picture.setFixedHeight(round(scaled.height() / ratio))
