"""What a reference calls the classes, as the label map has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import AssessmentError
from .mapped import LabelMap

_WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")
_SHOWN = 12  # values or classes in a message


def match_classes(values: NDArray[np.generic], field: str, path: str, labels: LabelMap) -> NDArray[np.int32]:
    """The place of each value's class among the map's, shape (n,); -1 where there is no value.

    Args:
        values: Of the class field: ids as numbers or as texts, or names of the map's classes in any case.
        field: Its name.
        path: The file, for messages.
        labels: The label map.

    Raises:
        AssessmentError: When a value is not a class of the map.
    """
    texts = [_text(value) for value in values.tolist()]
    places = {info.name.strip().casefold(): place for place, info in enumerate(labels.classes)}
    ids = {info.id: place for place, info in enumerate(labels.classes)}
    numeric = all(_WHOLE.fullmatch(text) for text in texts if text)
    found: dict[str, int] = {"": -1}
    for text in dict.fromkeys(texts):
        place = ids.get(int(text.partition(".")[0])) if text and numeric else places.get(text.casefold())
        if place is not None:
            found[text] = place
    missing = [text for text in dict.fromkeys(texts) if text not in found]
    if missing:
        raise unknown_classes(
            missing, path, labels, f"correct the field {field!r}, or choose another one with --class-field"
        )
    return np.array([found[text] for text in texts], np.int32)


def unknown_classes(values: Iterable[object], path: str, labels: LabelMap, fix: str) -> AssessmentError:
    """The error for classes that the map lacks."""
    wrong = _listed([str(value) for value in values])
    known = _listed([f"{info.id} {info.name}" for info in labels.classes])
    return AssessmentError(
        f"The reference {path} holds {wrong}, but the classes of the label map are {known}; {fix}."
    )


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _text(value: object) -> str:
    """A value as text; nothing for one that is missing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value).strip()
