"""``inspect``: what is understood of a raster."""

from __future__ import annotations

from typing import Any

from ..protocol import Inspect
from ..rasters.description import describe


def inspect(task: Inspect) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Inspect`.

    Values for programs take the place of some of the texts: ``stretch`` (two lists, the raster values that become 0
    and 255; the text is ``stretch_text``), ``bands`` (numbers of those in use; the text is ``bands_text``),
    ``band_count`` and ``band_names`` (of all).
    """
    facts = describe(task.raster, task.bands)
    values = facts.pop("values", {})
    texts = {f"{name}_text": facts[name] for name in values if name in facts}
    return {**facts, **texts, **values}
