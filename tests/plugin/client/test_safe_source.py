"""What the source of plugin and backend must not do; the plugin repository's scanners look for the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [
    ROOT / "__init__.py",
    *sorted((ROOT / "plugin").rglob("*.py")),
    *sorted((ROOT / "backend").rglob("*.py")),
]
_FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
}


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_shell_and_no_code_out_of_data(path):
    for call in calls(path):
        where = f"{path}:{call.lineno}"
        assert ast.unparse(call.func) not in _FORBIDDEN, where
        for keyword in call.keywords:
            value = getattr(keyword.value, "value", None)
            assert not (keyword.arg == "shell" and value is not False), where
            assert not (keyword.arg == "verify" and value is False), where
            assert not (keyword.arg == "weights_only" and value is False), where


def test_the_plugin_opens_no_port():
    found = [
        path
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "socket" for name in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in ("socket", "socketserver")
        )
        or (isinstance(node, ast.Name) and node.id in ("QTcpServer", "QLocalServer"))
    ]
    assert not found


def test_every_exemption_from_bandit_names_what_it_exempts_from():
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "# nosec" in line:
                assert re.search(r"# nosec B\d{3}(, ?B\d{3})*( [#-] \S|$)", line), f"{path}:{number}"


def test_nothing_of_the_backend_comes_into_qgis():
    """QGIS's Python is left as it is: no paths are added, nothing is installed into it, nothing forks it."""
    heavy = {"multiprocessing", "pip", "ensurepip", "site", "numpy", "torch", "rasterio", "scipy"}
    for path in SOURCES:
        if path.is_relative_to(ROOT / "backend"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {name.name.split(".")[0] for name in node.names} & heavy, where
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] not in heavy, where
                assert "QThread" not in [name.name for name in node.names], f"{where}: ended threads crash"
            elif isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("sys.path", "os.fork", "os.putenv", "os.chdir"), where
                assert not (
                    isinstance(node.ctx, ast.Store) and ast.unparse(node.value) in ("os.environ", "sys")
                ), where
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                assert ast.unparse(node.value) not in ("os.environ", "sys.modules"), where
