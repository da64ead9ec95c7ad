"""Which layer holds the support polygons: a new one, one that was made before, or polygons from elsewhere."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from .classes import ClassError
from .drawing import Drawing
from .panels.import_dialog import ImportDialog
from .session import LabelingSession
from .support_import import import_polygons
from .support_layer import SupportLayerError, class_id, create_support_layer, is_support_layer
from .translation import tr


class SupportChoice(QObject):
    """Asks for files and layers, and brings them into the session."""

    said = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(
        self, session: LabelingSession, drawing: Drawing, window: QWidget, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._drawing, self._window = session, drawing, window

    def ask_new(self) -> None:
        """Ask for the file of a new support layer."""
        raster = self._session.raster
        if raster is None:
            self.refused.emit(tr("Choose the raster first; the polygons get its CRS."))
            return
        path, _ = QFileDialog.getSaveFileName(self._window, tr("New Support Layer"), *self._file_options())
        if path:
            file = Path(path)
            file = file if file.suffix.lower() == ".gpkg" else file.with_name(file.name + ".gpkg")
            try:
                self._use(create_support_layer(file, raster.crs(), file.stem))
            except SupportLayerError as error:
                self.refused.emit(str(error))

    def ask_existing(self) -> None:
        """Ask for the file of a support layer that was made before."""
        path, _ = QFileDialog.getOpenFileName(self._window, tr("Support Layer"), *self._file_options())
        if path:
            self.use(QgsVectorLayer(path, Path(path).stem, "ogr"))

    def use(self, layer: QgsVectorLayer) -> None:
        """Work with a support layer; classes that the table does not know are added to it."""
        if not layer.isValid() or not is_support_layer(layer):
            text = tr("{0} has no fields class_id, class_name and use; import its polygons instead.")
            self.refused.emit(text.format(layer.name()))
            return
        try:
            self._adopt_classes(layer)
        except ClassError as error:
            self.refused.emit(str(error))
            return
        self._use(layer)

    def ask_import(self) -> None:
        """Ask which polygons to import."""
        if self._session.raster is None:
            self.refused.emit(tr("Choose the raster first; the polygons get its CRS."))
            return
        dialog = ImportDialog(self._session.support, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self.import_layer)
        dialog.show()

    def import_layer(self, layer: QgsVectorLayer, class_field: str, name_field: str = "") -> None:
        """Copy polygons into the support layer."""
        raster = self._session.raster
        if raster is None:
            return
        try:
            support = self._drawing.layer_for(raster)
            notes: list[str] = []
            count = import_polygons(
                layer, class_field, name_field or None, self._session.classes, support, notes
            )
        except (SupportLayerError, ClassError) as error:
            self.refused.emit(str(error))
            return
        self.said.emit(
            " ".join([tr("{0} polygons were imported from {1}.").format(count, layer.name()), *notes])
        )

    def _adopt_classes(self, layer: QgsVectorLayer) -> None:
        table = self._session.classes
        for feature in layer.getFeatures():
            id = class_id(feature)
            if id is not None and table.entry(id) is None:
                taken = {entry.name.casefold() for entry in table.entries()}
                name = str(feature["class_name"] or "")
                table.add(name if name and name.casefold() not in taken else None, id=id)

    def _use(self, layer: QgsVectorLayer) -> None:
        self._drawing.save()
        if QgsProject.instance().mapLayer(layer.id()) is None:
            QgsProject.instance().addMapLayer(layer)
        self._session.set_support(layer)

    @staticmethod
    def _file_options() -> tuple[str, str]:
        return QgsProject.instance().homePath(), tr("GeoPackage (*.gpkg)")
