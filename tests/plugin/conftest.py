"""Fixtures for the plugin: its package under a folder name that nobody thought of, as a user may unpack it.

The tests in ``client`` need no QGIS and run in the backend's environment; all others run in QGIS's Python.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "plugin_of_any_name"
HAS_QGIS = importlib.util.find_spec("qgis") is not None
_OTHERS = [
    path.name for path in Path(__file__).parent.iterdir() if path.name not in ("client", "conftest.py")
]
collect_ignore = ["client"] if HAS_QGIS else _OTHERS


@pytest.fixture(scope="session")
def plugin_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the plugin by its path in the repository: ``plugin_module("plugin.client.scrub")``."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / NAME).symlink_to(ROOT, target_is_directory=True)
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    sys.path.remove(str(folder))
