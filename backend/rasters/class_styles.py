"""Names and colours that the user gave to classes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ProtolabelError
from .class_ids import MAX_ID
from .palette import Color
from .support import ClassInfo

_COLUMNS = ("id", "name", "color")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ClassStyle:
    """How one class is called and drawn.

    Attributes:
        id: The class id.
        name: Instead of the name in the support layer.
        color: Red, green and blue, 0..255.
    """

    id: int
    name: str
    color: Color

    @classmethod
    def parse(cls, id: object, name: object, color: object, where: str) -> ClassStyle:
        """Read values as they come from files and messages.

        Args:
            id: A whole number, as text or not.
            name: Not empty.
            color: "#rrggbb".
            where: Where they come from, for messages.

        Raises:
            ProtolabelError: When one of them is wrong.
        """
        number = str(id).strip()
        if isinstance(id, bool) or not re.fullmatch(r"[0-9]{1,9}", number) or int(number) > MAX_ID:
            raise ProtolabelError(
                f"{where} has the class id {id!r}; write a whole number from 0 to {MAX_ID}."
            )
        if not isinstance(name, str) or not name.strip():
            raise ProtolabelError(f"{where} has no name for the class {number}; write one.")
        if not isinstance(color, str) or not _COLOR.fullmatch(color.strip()):
            raise ProtolabelError(
                f"{where} has the colour {color!r} for the class {number}; write it like #1f78b4."
            )
        red, green, blue = bytes.fromhex(color.strip()[1:])
        return cls(int(number), name.strip(), (red, green, blue))


def read_classes(path: str | Path) -> tuple[ClassStyle, ...]:
    """Read a table of classes, a CSV file with the columns ``id``, ``name`` and ``color`` in any order.

    Raises:
        ProtolabelError: When it cannot be read, or a value is missing or wrong.
    """
    try:
        # Spreadsheets begin with a byte order mark, and many write semicolons.
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ProtolabelError(f"The table of classes {path} does not exist; check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ProtolabelError(
            f"The table of classes {path} cannot be read ({reason}); save it as CSV in UTF-8."
        ) from error
    lines = text.splitlines()
    separator = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    try:
        rows = [
            row for row in csv.reader(lines, delimiter=separator, strict=True) if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise ProtolabelError(f"The table of classes {path} is no CSV ({error}); save it again.") from error
    header = [title.strip().lower() for title in rows[0]] if rows else []
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise ProtolabelError(
            f"The table of classes {path} has no column {missing[0]!r}; its first line must name id, name and color."
        )
    places = [header.index(column) for column in _COLUMNS]
    styles = []
    for row in rows[1:]:
        id, name, color = (row[place] if place < len(row) else "" for place in places)
        styles.append(ClassStyle.parse(id, name, color, str(path)))
    return unique(styles, str(path))


def unique(styles: Iterable[ClassStyle], where: str) -> tuple[ClassStyle, ...]:
    """Check that every id comes once.

    Raises:
        ProtolabelError: When one comes twice.
    """
    by_id: dict[int, ClassStyle] = {}
    for style in styles:
        if style.id in by_id:
            raise ProtolabelError(f"{where} has the class id {style.id} twice; leave one of them out.")
        by_id[style.id] = style
    return tuple(by_id.values())


def renamed(classes: Sequence[ClassInfo], styles: Iterable[ClassStyle] | None) -> tuple[ClassInfo, ...]:
    """The classes with the names that the user gave; others keep theirs."""
    names = {style.id: style.name for style in styles or ()}
    return tuple(ClassInfo(info.id, names.get(info.id, info.name)) for info in classes)
