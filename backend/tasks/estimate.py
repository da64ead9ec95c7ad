"""``estimate``: what a run would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..estimate import estimate_run
from ..progress import CancelToken
from ..protocol import Estimate, Reply
from .options import extent_of, labeling_options

Send = Callable[[Reply], None]


def estimate(task: Estimate, send: Send, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Estimate`.

    ``disk`` counts outputs that could not be compressed, ``disk_expected`` what they usually take; both count a
    confidence raster, which most runs write.
    """
    output = Path(task.output)
    options = replace(
        labeling_options(task),
        extent=extent_of(task.extent, task.extent_crs),
        area=Path(task.area) if task.area else None,
        confidence=output.with_name(f"{output.stem}_confidence.tif"),
    )
    found = estimate_run(task.raster, task.support, output, options, cancel)
    return {**asdict(found), "seconds": round(found.seconds, 1), "warnings": list(found.warnings)}
