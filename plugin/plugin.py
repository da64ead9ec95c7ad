"""The plugin as QGIS sees it: toolbar, menu entries, Processing provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QTranslator, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QAction, QToolBar

from .backend_service import BackendService
from .finetuning.room import FineTuningRoom
from .icons import icon
from .processing.provider import ProtolabelProvider
from .translation import install_translator, tr

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .panels.setup_dialog import SetupDialog
    from .workspace import Workspace

_ROOT = Path(__file__).resolve().parent.parent
_MENU = "Protolabel"


class ProtolabelPlugin:
    """Adds what QGIS shows and takes all of it away again; the dock is made when it is first asked for."""

    def __init__(self, iface: QgisInterface | None) -> None:
        self._iface = iface
        self._translator: QTranslator | None = None
        self._service: BackendService | None = None
        self._provider: ProtolabelProvider | None = None
        self._toolbar: QToolBar | None = None
        self._actions: list[QAction] = []
        self._help: QAction | None = None
        self._workspace: Workspace | None = None
        self._setup: SetupDialog | None = None
        self.finetuning: FineTuningRoom | None = None

    @property
    def workspace(self) -> Workspace | None:
        """What is open while the dock is, None before."""
        return self._workspace

    def initProcessing(self) -> None:
        """Add the Processing algorithms; qgis_process calls only this."""
        if self._service is None:
            self._translator = install_translator(QgsApplication.locale())
            self._service = BackendService()
            self._provider = ProtolabelProvider(self._service)
            QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add everything; QGIS calls this when the plugin is switched on."""
        self.initProcessing()
        window = self._iface.mainWindow()
        self._toolbar = self._iface.addToolBar("Protolabel")
        self._toolbar.setObjectName("protolabelToolbar")
        self._open = self._add("protolabel", "Open", tr("Label by Polygons"), self.show_dock, checkable=True)
        self._draw = self._add("draw", "Draw", tr("Draw Support Polygons"), self._on_draw, checkable=True)
        self._preview = self._add("preview", "Live", tr("Live Preview"), self._on_preview, checkable=True)
        self._add("next_place", "Next", tr("Next Uncertain Place"), self._on_next)
        self._add("run", "Label", tr("Label Raster"), self._on_run)
        self._accuracy = self._add(
            "accuracy", "Accuracy", tr("Accuracy Assessment"), self.show_accuracy, checkable=True
        )
        finetune = self._add("finetune", "FineTune", tr("Fine-Tune a Model…"), self.show_finetuning)
        self._add("setup", "SetUp", tr("Set Up Backend…"), self.show_setup)
        self._help = QAction(icon("protolabel"), "Protolabel", window)
        self._help.triggered.connect(self.show_help)
        self._iface.pluginHelpMenu().addAction(self._help)
        self.finetuning = FineTuningRoom(self._iface, self._service, self._opened_quietly, finetune)

    def unload(self) -> None:
        """Remove everything; QGIS calls this when the plugin is switched off or reloaded."""
        if self.finetuning is not None:
            self.finetuning.close()
            self.finetuning = None
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None
        if self._setup is not None:
            self._setup.close()
            self._setup.deleteLater()
            self._setup = None
        for action in self._actions:
            self._iface.removePluginRasterMenu(_MENU, action)
            action.deleteLater()
        self._actions = []
        if self._help is not None:
            self._iface.pluginHelpMenu().removeAction(self._help)
            self._help.deleteLater()
            self._help = None
        if self._toolbar is not None:
            self._iface.mainWindow().removeToolBar(self._toolbar)
            self._toolbar.deleteLater()
            self._toolbar = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
        if self._service is not None:
            self._service.close()
            self._service = None
        if self._translator is not None:
            QgsApplication.instance().removeTranslator(self._translator)
            self._translator = None

    def show_dock(self, on: bool = True) -> Workspace:
        """Show the dock or hide it."""
        workspace = self._opened()
        if on:
            workspace.dock.setUserVisible(True)
        else:
            workspace.dock.close()  # as by its own button, which ends the preview and the drawing
        return workspace

    def show_accuracy(self, on: bool = True) -> Workspace:
        """Show the dock of the accuracy assessment or hide it."""
        alone = self._workspace is None
        workspace = self._opened()
        if alone:
            workspace.dock.close()  # it opens with its workspace, and was not asked for
        workspace.accuracy.dock.setUserVisible(on)
        return workspace

    def show_setup(self) -> None:
        """Show the dialog that installs the backend."""
        from .panels.setup_dialog import SetupDialog

        if self._setup is None:
            self._setup = SetupDialog(self._service, self._iface.mainWindow())
        self._setup.show()
        self._setup.raise_()
        self._setup.activateWindow()

    def show_finetuning(self) -> None:
        """Show the dialog that fine-tunes a model on local classes."""
        self.finetuning.show()

    def show_help(self) -> None:
        """Open the manual."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(_ROOT / "README.md")))

    def _opened(self) -> Workspace:
        if self._workspace is None:
            from .workspace import Workspace  # takes a moment, which QGIS's start is spared

            self._workspace = Workspace(self._iface, self._service)
            self._workspace.setupRequested.connect(self.show_setup)
            self._workspace.drawingChanged.connect(self._draw.setChecked)
            self._workspace.previewChanged.connect(self._preview.setChecked)
            self._workspace.dock.visibilityChanged.connect(self._open.setChecked)
            self._workspace.accuracyShown.connect(self._accuracy.setChecked)
        return self._workspace

    def _opened_quietly(self) -> Workspace:
        """The workspace, whose dock opens with it and was not asked for."""
        alone = self._workspace is None
        workspace = self._opened()
        if alone:
            workspace.dock.close()
        return workspace

    def _on_draw(self, on: bool) -> None:
        if on:
            self.show_dock()
        self._opened().toggle_drawing(on)

    def _on_preview(self, on: bool) -> None:
        if on:
            self.show_dock()
        self._opened().set_preview(on)

    def _on_next(self) -> None:
        self.show_dock().next_place()

    def _on_run(self) -> None:
        self.show_dock().ask_run()

    def _add(
        self, picture: str, name: str, text: str, slot: Callable[..., object], checkable: bool = False
    ) -> QAction:
        action = QAction(icon(picture), text, self._iface.mainWindow())
        action.setObjectName(f"protolabel{name}Action")
        action.setCheckable(checkable)
        if checkable:
            action.triggered[bool].connect(slot)
        else:
            action.triggered.connect(lambda: slot())
        self._toolbar.addAction(action)
        self._iface.addPluginToRasterMenu(_MENU, action)
        self._actions.append(action)
        return action
