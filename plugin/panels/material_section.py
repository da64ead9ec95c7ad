"""The part of the fine-tuning dialog that says what to learn from: the session's polygons, or rasters with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QGroupBox,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..finetuning.material import chosen_fields, session_fields, session_rasters
from ..session import LabelingSession
from ..translation import tr
from .labeled_rasters import LabeledRasters
from .labels import pale_label

_ROWS = 4  # of the list, at most


class MaterialSection(QGroupBox):
    """Two ways to choose, one of them open."""

    changed = pyqtSignal()

    def __init__(self, session: LabelingSession, parent: QWidget | None = None) -> None:
        super().__init__(tr("Learn From"), parent)
        self._session = session
        self._of_session = QRadioButton(tr("Polygons of this session"))
        self._of_session.setObjectName("finetuneOfSession")
        self._of_session.setToolTip(tr("Its support polygons; its validation polygons are only measured on."))
        self._of_rows = QRadioButton(tr("Rasters with labels"))
        self._of_rows.setObjectName("finetuneOfRows")
        self._of_rows.setToolTip(tr("Any rasters, each with a raster of labels or a layer of polygons."))
        self._rasters = QListWidget()
        self._rasters.setObjectName("finetuneSessionRasters")
        self._rasters.setAccessibleName(tr("Rasters of this session"))
        self._rasters.setToolTip(tr("The rasters that polygons lie on; untick those to leave out."))
        self._none = pale_label("finetuneNone", tr("No raster of this session has polygons yet."))
        self.rows = LabeledRasters()
        of_session = QWidget()
        inner = QVBoxLayout(of_session)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._rasters)
        inner.addWidget(self._none)
        self._pages = _Stack()
        self._pages.addWidget(of_session)
        self._pages.addWidget(self.rows)
        layout = QVBoxLayout(self)
        layout.addWidget(self._of_session)
        layout.addWidget(self._of_rows)
        layout.addWidget(self._pages)
        self.show_session()
        self._of_session.setChecked(self._rasters.count() > 0)
        self._of_rows.setChecked(self._rasters.count() == 0)
        self._show_page()
        self._of_session.toggled.connect(self._on_source)
        self._rasters.itemChanged.connect(lambda: self.changed.emit())
        self.rows.changed.connect(self.changed)

    @property
    def from_session(self) -> bool:
        """Whether the session's polygons are chosen."""
        return self._of_session.isChecked()

    def set_from_session(self, on: bool) -> None:
        """Choose the session's polygons, or rasters with labels."""
        (self._of_session if on else self._of_rows).setChecked(True)

    def fields(self, folder: Path) -> dict[str, Any]:
        """The fields of a request; see :mod:`plugin.finetuning.material`."""
        if self.from_session:
            return session_fields(self._session, self._chosen_rasters(), folder)
        return chosen_fields(self.rows.rows(), folder)

    def state(self) -> object:
        """Another value whenever the session holds something else."""
        support = self._session.support
        edits = (support.id(), support.undoStack().index(), support.featureCount()) if support else None
        rasters = [layer.id() for layer in session_rasters(self._session)]
        return edits, rasters, self._session.classes.entries()

    def show_session(self) -> None:
        """List the rasters that polygons lie on now; those that were left out stay so."""
        off = self._ids(Qt.CheckState.Unchecked)
        self._rasters.blockSignals(True)
        self._rasters.clear()
        for layer in session_rasters(self._session):
            item = QListWidgetItem(layer.name(), self._rasters)
            item.setData(Qt.ItemDataRole.UserRole, layer.id())
            item.setToolTip(layer.source())
            item.setCheckState(Qt.CheckState.Unchecked if layer.id() in off else Qt.CheckState.Checked)
        self._rasters.blockSignals(False)
        count = self._rasters.count()
        height = self._rasters.sizeHintForRow(0) if count else 0
        self._rasters.setFixedHeight(min(count, _ROWS) * height + 2 * self._rasters.frameWidth())
        self._rasters.setVisible(count > 0)
        self._none.setVisible(count == 0)

    def _chosen_rasters(self) -> list[Any]:
        on = self._ids(Qt.CheckState.Checked)
        return [layer for layer in session_rasters(self._session) if layer.id() in on]

    def _ids(self, state: Qt.CheckState) -> set[str]:
        items = [self._rasters.item(row) for row in range(self._rasters.count())]
        return {item.data(Qt.ItemDataRole.UserRole) for item in items if item.checkState() == state}

    def _on_source(self) -> None:
        self._show_page()
        self.changed.emit()

    def _show_page(self) -> None:
        self._pages.setCurrentIndex(0 if self.from_session else 1)


class _Stack(QStackedWidget):
    """As high as the page that is shown, and not as the highest one."""

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.currentWidget().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), self.currentWidget().minimumSizeHint().height())
