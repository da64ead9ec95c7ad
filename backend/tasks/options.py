"""From what a request says to the options of the labelling."""

from __future__ import annotations

from collections.abc import Sequence

from ..labeling import LabelOptions
from ..protocol import LabelingMessage
from ..rasters.class_styles import ClassStyle, unique
from ..rasters.extent import Extent
from ..rasters.stretch import Stretch
from ..refine.densecrf import CrfParameters


def labeling_options(task: LabelingMessage) -> LabelOptions:
    """The options that all requests share that fit a head.

    Raises:
        ProtolabelError: When the stretch or the classes cannot serve.
    """
    return LabelOptions(
        class_field=task.class_field,
        name_field=task.name_field,
        model=task.model,
        layers=task.layers,
        head=task.head,
        spectral=task.spectral,
        bands=task.bands,
        scale=task.scale,
        crf=CrfParameters() if task.crf else None,
        device=task.device,
        tile=task.tile,
        support_rasters=task.support_rasters or None,
        stretch=Stretch.checked(*task.stretch) if task.stretch else None,
        classes=_classes(task),
    )


def _classes(task: LabelingMessage) -> tuple[ClassStyle, ...] | None:
    if not task.classes:
        return None
    where = "The table of classes"
    entries = [(entry.get("id"), entry.get("name"), entry.get("color")) for entry in task.classes]
    return unique((ClassStyle.parse(*entry, where) for entry in entries), where)


def extent_of(values: Sequence[float] | None, crs: str | None) -> Extent | None:
    """A request's extent, or None for the whole raster.

    Raises:
        ProtolabelError: When it holds no area.
    """
    if not values:
        return None
    return Extent.parse(",".join(map(repr, values)) + (f" [{crs}]" if crs else ""))
