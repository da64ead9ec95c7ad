"""The plugin as QGIS sees it: an entry in the Raster menu and one in the plugin help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QMessageBox

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

_ROOT = Path(__file__).resolve().parent.parent
_ICON = _ROOT / "resources" / "icons" / "protolabel.svg"
_COMMAND = ".venv/bin/python -m backend label orthophoto.tif support.gpkg labels.tif"


def tr(text: str) -> str:
    """Translate a text of this plugin."""
    return QCoreApplication.translate("Protolabel", text)


class ProtolabelPlugin:
    """Adds the menu entries and takes all of them away again."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        self._action: QAction | None = None
        self._help: QAction | None = None

    def initGui(self) -> None:
        """Add the entries; QGIS calls this when the plugin is switched on."""
        window = self._iface.mainWindow()
        self._action = QAction(QIcon(str(_ICON)), tr("Label by Polygons…"), window)
        self._action.setObjectName("protolabelLabel")
        self._action.triggered.connect(self.explain)
        self._iface.addPluginToRasterMenu("Protolabel", self._action)
        self._help = QAction(QIcon(str(_ICON)), "Protolabel", window)
        self._help.setObjectName("protolabelHelp")
        self._help.triggered.connect(self.explain)
        self._iface.pluginHelpMenu().addAction(self._help)

    def unload(self) -> None:
        """Remove the entries; QGIS calls this when the plugin is switched off."""
        if self._action is not None:
            self._iface.removePluginRasterMenu("Protolabel", self._action)
            self._action.deleteLater()
            self._action = None
        if self._help is not None:
            self._iface.pluginHelpMenu().removeAction(self._help)
            self._help.deleteLater()
            self._help = None

    def explain(self) -> None:
        """Say how to label with this version."""
        box = QMessageBox(self._iface.mainWindow())
        box.setObjectName("protolabelExplanation")
        box.setIcon(QMessageBox.Icon.Information)
        box.setWindowTitle("Protolabel")
        box.setText(tr("In this version, labelling is done on the command line."))
        box.setInformativeText(
            tr(
                "Save the support polygons with the fields class_id and class_name, then run in the folder\n\n"
                "{folder}\n\n{command}\n\nREADME.md in this folder explains the set-up and all options. "
                "The label map opens in QGIS with its colours and class names."
            ).format(folder=_ROOT, command=_COMMAND)
        )
        box.setStandardButtons(QMessageBox.StandardButton.Close)
        box.exec()
        box.deleteLater()
