"""What the heads are called in the dock: how features are matched with polygons."""

from __future__ import annotations

from .translation import tr


def head_titles() -> dict[str, str]:
    """Titles by the names of ``backend.heads.HEADS``, in the order that they are offered in."""
    return {
        "auto": tr("Automatic"),
        "prototype": tr("One prototype per class"),
        "polygons": tr("One prototype per polygon"),
        "parts": tr("A few prototypes per class"),
        "ridge": tr("Ridge regression of cells"),
        "density": tr("Nearest cells"),
    }


def head_title(name: str) -> str:
    """The title of a head; its name when that is a newer backend's."""
    return head_titles().get(name, name)
