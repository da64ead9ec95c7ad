"""The plugin's code runs with Qt 5 and Qt 6; found by reading it, since a machine has only one of the two."""

from __future__ import annotations

import ast
import enum
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "__init__.py", *sorted((ROOT / "plugin").rglob("*.py"))]
# Not in the QtWidgets of Qt 6, and nothing puts them there.
MOVED = {"QUndoCommand", "QUndoGroup", "QUndoStack"}
REMOVED = {"QDesktopWidget", "QRegExp", "QRegExpValidator", "QTextCodec", "QMatrix"}
RENAMED_METHODS = {"exec_", "print_", "globalPos", "setMargin", "desktop"}
# Members that a newer QGIS calls otherwise; some versions in between know the new name only.
RENAMED_MEMBERS = {
    "QgsWkbTypes.GeometryType",
    "QgsRasterFileWriter.WriterError",
    "QgsSymbolLayer.Property",
    "QgsUnitTypes.DistanceUnit",
    "QgsMapLayerType",
}
EVENTS = {"event", "mouse_event", "e"}


def problems(source: str, compat: bool = False) -> list[str]:
    """What of a module does not run with Qt 6, or not with all versions of QGIS."""
    return [f"line {node.lineno}: {text}" for node, text in _look(ast.parse(source), compat)]


def _look(tree: ast.Module, compat: bool) -> Iterator[tuple[ast.AST, str]]:
    classes = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _check_import(node, compat)
        elif isinstance(node, ast.Call):
            yield from _check_call(node)
        elif isinstance(node, ast.Name) and node.id in REMOVED:
            yield node, f"{node.id} is gone"
        elif isinstance(node, ast.Attribute):
            if node.attr in RENAMED_METHODS:
                yield node, f"{node.attr} is gone"
            chain = _chain(node)
            if not chain or chain[0] not in classes:
                continue
            if not compat and ".".join(chain[:2]) in RENAMED_MEMBERS and len(chain) > 2:
                yield node, f"{'.'.join(chain)} belongs into compat.py"
            if _is_unscoped(classes[chain[0]], chain[1:]):
                yield node, f"{'.'.join(chain)} is reached without its enum"


def _check_import(node: ast.Import | ast.ImportFrom, compat: bool) -> Iterator[tuple[ast.AST, str]]:
    names = [alias.name for alias in node.names]
    if any(name.endswith("resources_rc") for name in names):
        yield node, "compiled resources"
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
    for module in modules:
        if module.split(".")[0] in ("PyQt5", "PyQt6", "PySide2", "PySide6", "sip"):
            yield node, f"import of {module}"
        if module == "qgis.PyQt.QtWidgets" and not compat and MOVED & set(names):
            yield node, f"{MOVED & set(names)} belong into compat.py"


def _check_call(node: ast.Call) -> Iterator[tuple[ast.AST, str]]:
    chain = _chain(node.func) if isinstance(node.func, (ast.Attribute, ast.Name)) else []
    if chain == ["QVariant"]:
        yield node, "QVariant() is no null value with Qt 6; use qgis.core.NULL"
    if chain[:1] == ["QgsField"] and "QVariant" in ast.dump(node):
        yield node, "a field's type is a QMetaType with Qt 6"
    if len(chain) == 2 and chain[0] in EVENTS and chain[1] in ("pos", "x", "y", "localPos", "windowPos"):
        yield node, f"events have position() with Qt 6 in place of {chain[1]}()"


def _chain(node: ast.expr) -> list[str]:
    """The names of ``A.b.c``; nothing when it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def _imported(tree: ast.Module) -> dict[str, object]:
    """The classes of Qt and QGIS that a module imports, by the name that it gives them."""
    found: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis"):
            module = importlib.import_module(node.module)
            found.update(
                {a.asname or a.name: getattr(module, a.name) for a in node.names if hasattr(module, a.name)}
            )
    return found


def _is_unscoped(owner: object, names: list[str]) -> bool:
    """Whether the last name is a member of an enum that the name before it is not."""
    for name in names:
        parent, owner = owner, getattr(owner, name, None)
    is_member = isinstance(owner, enum.Enum) or type(type(owner)).__name__ == "enumtype"
    return is_member and type(owner) is not parent


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_runs_with_qt_5_and_qt_6(path):
    assert problems(path.read_text(encoding="utf-8"), path.name == "compat.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "from PyQt5.QtCore import Qt",
        "import sip",
        "from . import resources_rc",
        "from qgis.PyQt.QtWidgets import QUndoStack",
        "from qgis.PyQt.QtCore import Qt\nside = Qt.AlignLeft",
        "from qgis.PyQt.QtWidgets import QMessageBox as Box\nanswer = Box.Yes",
        "from qgis.PyQt.QtGui import QFont\nweight = QFont.Bold",
        "from qgis.core import QgsTask\nflag = QgsTask.CanCancel",
        "from qgis.core import Qgis\nlevel = Qgis.Warning",
        "from qgis.core import QgsProcessing\nkind = QgsProcessing.TypeRaster",
        "from qgis.core import QgsWkbTypes\nkind = QgsWkbTypes.GeometryType.PolygonGeometry",
        "def f(dialog):\n    dialog.exec_()",
        "def f(event):\n    return event.pos()",
        "missing = QVariant()",
        "field = QgsField('a', QVariant.Int)",
        "pattern = QRegExp('a')",
    ],
)
def test_what_breaks_is_found(source):
    assert len(problems(source)) == 1


def test_what_runs_everywhere_is_passed_over():
    source = """
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction
from qgis.core import NULL, Qgis, QgsProcessing, QgsWkbTypes
side = Qt.AlignmentFlag.AlignLeft
level = Qgis.MessageLevel.Warning
kinds = QgsProcessing.SourceType.TypeRaster, QgsWkbTypes.Type.MultiPolygon
version = Qgis.QGIS_VERSION
"""
    assert problems(source) == []


def test_names_of_all_versions_are_found_in_this_one(plugin_module):
    from qgis.core import QgsGeometry, QgsSymbolLayer

    compat = plugin_module("plugin.compat")
    assert QgsGeometry.fromWkt("Point (0 0)").type() == compat.POINT_GEOMETRY
    assert QgsGeometry.fromWkt("Polygon ((0 0, 1 0, 1 1, 0 0))").type() == compat.POLYGON_GEOMETRY
    assert type(compat.STROKE_STYLE) is QgsSymbolLayer.Property
    assert int(compat.RASTER_WRITTEN) == 0
    assert compat.QUndoStack().count() == 0
