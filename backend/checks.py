"""What the fields of a message may hold; for :mod:`backend.protocol`, with the standard library only.

Each check takes a value as JSON gives it, returns it as the message keeps it, and raises ValueError with what it
must be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MAX_INTEGER = 2**53  # beyond, other readers of JSON lose digits

Check = Callable[[object], object]


def integer(low: int, high: int = MAX_INTEGER) -> Check:
    """A whole number in a range."""

    def check(value: object) -> int:
        # A bool is an int to isinstance.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def finite(value: object) -> float:
    """A number that is neither infinite nor NaN."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not _is_finite(value):
        raise ValueError("a finite number")
    return float(value)


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def name(value: object) -> str:
    """A text that can name a file or a thing: not empty, without what the system's calls refuse."""
    if not isinstance(value, str) or not value or "\0" in value or not _has_bytes(value):
        raise ValueError("a text that is not empty, without null characters and halves of characters")
    return value


def choice(*choices: str) -> Check:
    """One of some texts."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return check


def list_of(of: Check, shortest: int = 1, longest: int = 1000) -> Check:
    """A list, kept as a tuple, each item of which passes a check."""

    def check(value: object) -> tuple[object, ...]:
        if not isinstance(value, (list, tuple)) or not shortest <= len(value) <= longest:
            raise ValueError(f"a list of {shortest} to {longest} values")
        try:
            return tuple(of(item) for item in value)
        except ValueError as error:
            raise ValueError(f"a list in which each value is {error}") from error

    return check


def optional(of: Check) -> Check:
    """What passes a check, or null."""

    def check(value: object) -> object:
        try:
            return None if value is None else of(value)
        except ValueError as error:
            raise ValueError(f"{error}, or null") from error

    return check


def json_object(value: object) -> dict[str, Any]:
    """An object of JSON values."""
    if not isinstance(value, dict) or not _is_json(value):
        raise ValueError("an object of JSON values")
    return value


def _is_finite(value: float) -> bool:
    # A huge int cannot become a float.
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def _has_bytes(value: str) -> bool:
    try:
        value.encode("utf-8", "surrogateescape")  # names that are not UTF-8 are kept this way
    except UnicodeEncodeError:
        return False
    return True


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, (int, float)):
        return _is_finite(value)
    return value is None or isinstance(value, str)
