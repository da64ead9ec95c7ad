"""``inspect``: what is understood of a raster."""

from __future__ import annotations

from typing import Any

from ..protocol import Inspect
from ..rasters.description import describe


def inspect(task: Inspect) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Inspect`."""
    return dict(describe(task.raster, task.bands))
