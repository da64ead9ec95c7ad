"""Class ids and names from the attributes of support polygons."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..errors import SupportError

MAX_CLASSES = 65_000
MAX_ID = 65_534  # 65535 means "no label"
_WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")


def class_ids(
    values: NDArray[np.generic], labels: NDArray[np.generic] | None, field: str, path: str, notes: list[str]
) -> tuple[list[int], dict[int, str]]:
    """Take a class id for each polygon, and a name for each id.

    Args:
        values: Of the class field: whole numbers, or texts, which are numbered from 1 in alphabetical order.
        labels: Of the name field, or None.
        field: Name of the class field.
        path: The file, for messages.
        notes: What the user should know is added here.

    Raises:
        SupportError: When a value is missing or cannot be an id, or there are too many.
    """
    names: dict[int, str] = {}
    if values.dtype.kind in "iufb":
        ids = _numbers(values, field, path)
    else:
        texts = [_text(value) for value in values]
        if not all(texts):
            raise SupportError(f"A polygon of {path} has no value in the field {field!r}; fill it in.")
        if all(_WHOLE.fullmatch(text) for text in texts):
            ids = [int(text.partition(".")[0]) for text in texts]
        else:
            number = {text: position for position, text in enumerate(sorted(set(texts)), start=1)}
            ids, names = [number[text] for text in texts], {n: text for text, n in number.items()}
            notes.append(
                f"The field {field!r} holds text; the classes are numbered 1 to {len(number)} by name."
            )
    if len(set(ids)) > MAX_CLASSES:
        raise SupportError(
            f"The field {field!r} of {path} has {len(set(ids))} classes; choose a field with at most {MAX_CLASSES}."
        )
    wrong = [i for i in ids if not 0 <= i <= MAX_ID]
    if wrong:
        raise SupportError(f"{path} has the class id {wrong[0]}; change it to one from 0 to {MAX_ID}.")
    if not names and labels is not None:
        names = _names(ids, labels, notes)
    return ids, {i: names.get(i, f"class {i}") for i in set(ids)}


def _numbers(values: NDArray[np.generic], field: str, path: str) -> list[int]:
    if values.dtype.kind == "f":
        numbers = values.astype(np.float64)
        if np.isnan(numbers).any():
            raise SupportError(f"A polygon of {path} has no value in the field {field!r}; fill it in.")
        if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
            raise SupportError(
                f"The field {field!r} of {path} holds fractions; make the class ids whole numbers."
            )
    return [int(value) for value in values.tolist()]


def _names(ids: Iterable[int], labels: Iterable[object], notes: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for class_id, label in zip(ids, labels, strict=True):
        text = _text(label)
        if not text:
            continue
        first = names.setdefault(class_id, text)
        if first != text:
            note = f"Polygons of class {class_id} have different names; {first!r} is used."
            if note not in notes:
                notes.append(note)
    return names


def _text(value: object) -> str:
    """A value as text; nothing for one that is missing."""
    missing = value is None or (isinstance(value, float) and np.isnan(value)) or str(value) == "NaT"
    return "" if missing else str(value).strip()
