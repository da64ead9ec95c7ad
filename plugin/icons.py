"""The plugin's icons."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon

_FOLDER = Path(__file__).resolve().parents[1] / "resources" / "icons"


def icon(name: str) -> QIcon:
    """An icon by the name of its file."""
    return QIcon(str(_FOLDER / f"{name}.svg"))
