"""The class table as Qt's views show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QLocale, QModelIndex, QObject, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap

from ..classes import ClassEntry, ClassError, ClassTable
from ..icons import icon
from ..support_layer import PolygonCount
from ..translation import tr

KEY, COLOR, NAME, POLYGONS, PIXELS = range(5)
KEYS = 9  # number keys
_SWATCH = 14  # pixels
_ROOT = QModelIndex()


class ClassModel(QAbstractTableModel):
    """One row a class: number key, colour, name, polygons, pixels; the name can be edited."""

    refused = pyqtSignal(str)

    def __init__(self, table: ClassTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._entries = table.entries()
        self._counts: Mapping[int, PolygonCount] = {}
        table.changed.connect(self._update)

    def entry(self, row: int) -> ClassEntry | None:
        """The class in a row."""
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def row(self, id: int) -> int:
        """The row of a class, -1 when there is none."""
        return next((row for row, entry in enumerate(self._entries) if entry.id == id), -1)

    def set_counts(self, counts: Mapping[int, PolygonCount]) -> None:
        """Show other counts, by class id."""
        self._counts = dict(counts)
        if self._entries:  # not the names: what is being typed there would be lost
            self.dataChanged.emit(self.index(0, POLYGONS), self.index(len(self._entries) - 1, PIXELS))

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        """One row a class."""
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        """Always the same."""
        return 0 if parent.isValid() else 5

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Only the name can be edited."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == NAME else flags

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Short titles, since the panel may be narrow; the tooltips say more."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return ("", "", tr("Class"), "", tr("px"))[section]
        if role == Qt.ItemDataRole.DecorationRole and section == POLYGONS:
            return icon("draw")
        if role == Qt.ItemDataRole.ToolTipRole:
            return (
                tr("The number key that picks the class while you draw."),
                tr("Colour in the map; click to change it."),
                tr("Click to draw polygons of the class, double-click to rename it."),
                tr("Number of support polygons."),
                tr("About how many pixels lie under the support polygons."),
            )[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        entry = self.entry(index.row())
        if entry is None:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self._text(index.row(), index.column(), entry)
        if role == Qt.ItemDataRole.DecorationRole and index.column() == COLOR:
            return swatch(QColor(entry.color))
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return self._tooltip(index.row(), index.column(), entry)
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column() == COLOR:
            return entry.color
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a class; why that is refused is told by a signal."""
        entry = self.entry(index.row())
        if entry is None or role != Qt.ItemDataRole.EditRole or index.column() != NAME:
            return False
        try:
            self._table.rename(entry.id, value)
        except ClassError as error:
            self.refused.emit(str(error))
            return False
        return True

    def _text(self, row: int, column: int, entry: ClassEntry) -> str:
        count = self._counts.get(entry.id)
        if column == NAME:
            return entry.name
        if column == KEY:
            return str(row + 1) if row < KEYS else ""
        if column == POLYGONS:
            return str(count.polygons if count else 0)
        if column == PIXELS:
            return "" if count is None or count.pixels is None else short_number(count.pixels)
        return ""

    def _tooltip(self, row: int, column: int, entry: ClassEntry) -> str:
        count = self._counts.get(entry.id) or PolygonCount(0, 0, 0)
        lines = [tr("{name} (class id {id})").format(name=entry.name, id=entry.id)]
        pixels = "" if count.pixels is None else QLocale().toString(count.pixels)
        text = (
            tr("Support polygons: {polygons}")
            if not pixels
            else tr("Support polygons: {polygons}, about {pixels} pixels")
        )
        lines.append(text.format(polygons=count.polygons, pixels=pixels))
        lines.append(tr("Validation polygons: {polygons}").format(polygons=count.validation))
        if column == COLOR:
            lines.append(tr("Click to change the colour."))
        elif row < KEYS:
            lines.append(
                tr("Click or press {key} to draw, double-click or press F2 to rename.").format(key=row + 1)
            )
        else:
            lines.append(tr("Click to draw, double-click or press F2 to rename."))
        return "\n".join(lines)

    def _update(self) -> None:
        """Take over the table; rows that only look different stay, so that the selection does."""
        entries = self._table.entries()
        if [entry.id for entry in entries] == [entry.id for entry in self._entries]:
            self._entries = entries
            if entries:
                self.dataChanged.emit(self.index(0, KEY), self.index(len(entries) - 1, PIXELS))
            return
        self.beginResetModel()
        self._entries = entries
        self.endResetModel()


def swatch(color: QColor, size: int = _SWATCH) -> QIcon:
    """A square of a colour, with a border that shows it on any background."""
    ratio = 4  # sharp on screens of up to this scale
    pixmap = QPixmap(QSize(size, size) * ratio)
    pixmap.fill(color)
    painter = QPainter(pixmap)
    painter.setPen(QColor(128, 128, 128))
    for inset in range(ratio):
        painter.drawRect(pixmap.rect().adjusted(inset, inset, -inset - 1, -inset - 1))
    painter.end()
    square = QIcon(pixmap)
    square.addPixmap(pixmap, QIcon.Mode.Selected)  # which is tinted otherwise
    return square


def short_number(value: int) -> str:
    """A count in at most four characters and a unit."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= unit:
            digits = 1 if value < 10 * unit else 0
            return f"{QLocale().toString(value / unit, 'f', digits)} {name}"
    return str(value)


def _alignment(column: int) -> int:
    """As a number, which every version of PyQt takes."""
    side = Qt.AlignmentFlag.AlignRight if column in (KEY, POLYGONS, PIXELS) else Qt.AlignmentFlag.AlignLeft
    flags = side | Qt.AlignmentFlag.AlignVCenter
    return int(getattr(flags, "value", flags))
