"""The class table: ids that stay, names, colours; every change can be undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .class_colors import default_colors
from .compat import QUndoCommand, QUndoStack
from .translation import tr

MAX_ID = 65_534  # 65535 means "no label" in a label map
MAX_CLASSES = 65_000
_COLOR = re.compile("#[0-9a-fA-F]{6}")


class ClassError(Exception):
    """A change that the class table refuses; the message is one sentence."""


@dataclass(frozen=True)
class ClassEntry:
    """One class.

    Attributes:
        id: The value in the label map, 0 to 65,534.
        name: Unique, whatever its case.
        color: "#rrggbb".
    """

    id: int
    name: str
    color: str


@dataclass(frozen=True)
class ClassWish:
    """A class that comes from a file or a layer, which may leave some of it open.

    Attributes:
        id: None takes the next free one.
        name: None takes the one of the class with this id, else "Class ID".
        color: None takes the next default colour.
    """

    id: int | None = None
    name: str | None = None
    color: str | None = None


class ClassTable(QObject):
    """The classes in their order.

    An id is never given twice: those of removed classes stay reserved, since polygons with them may still lie in the
    support layer. Only a class with the same name gets one back.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self._entries: tuple[ClassEntry, ...] = ()
        self._given: dict[int, str] = {}  # the last name of every id that was ever given
        self._next = 1

    def entries(self) -> tuple[ClassEntry, ...]:
        """All classes in the order of the table."""
        return self._entries

    def entry(self, id: int) -> ClassEntry | None:
        """The class with an id."""
        return next((entry for entry in self._entries if entry.id == id), None)

    def add(self, name: str | None = None, color: str | None = None, id: int | None = None) -> ClassEntry:
        """Add a class at the end.

        Args:
            name: Default "Class ID".
            color: Default the first default colour that no class has.
            id: Default the next one that was never given.

        Raises:
            ClassError: When the name or the id is taken, or one of them or the colour cannot be.
        """
        draft = _Draft(self._entries, self._given, self._next)
        entry = draft.add(name, color, id)
        self._push(tr("Add class {name}").format(name=entry.name), draft.entries)
        return entry

    def rename(self, id: int, name: str) -> None:
        """Give a class another name.

        Raises:
            ClassError: When it is empty or another class has it.
        """
        entry = self._known(id)
        name = _checked_name(name, (other for other in self._entries if other.id != id))
        text = tr("Rename class {old} to {new}").format(old=entry.name, new=name)
        self._replace(replace(entry, name=name), text)

    def recolor(self, id: int, color: str) -> None:
        """Give a class another colour.

        Raises:
            ClassError: When it is not written as "#rrggbb".
        """
        entry = self._known(id)
        text = tr("Change colour of class {name}").format(name=entry.name)
        self._replace(replace(entry, color=_checked_color(color)), text)

    def remove(self, id: int) -> None:
        """Remove a class; its polygons stay in the support layer.

        Raises:
            ClassError: When there is none with this id.
        """
        entry = self._known(id)
        rest = tuple(other for other in self._entries if other.id != id)
        self._push(tr("Remove class {name}").format(name=entry.name), rest)

    def move(self, id: int, position: int) -> None:
        """Move a class to a position in the table, from 0.

        Raises:
            ClassError: When there is none with this id.
        """
        entry = self._known(id)
        rest = [other for other in self._entries if other.id != id]
        rest.insert(max(0, min(position, len(rest))), entry)
        if tuple(rest) != self._entries:
            self._push(tr("Move class {name}").format(name=entry.name), tuple(rest))

    def merge(self, wishes: Iterable[ClassWish], text: str) -> list[ClassEntry]:
        """Take over classes from elsewhere, in one step.

        A class of the same name, whatever its case, is the same class. Any other keeps its id if that is free, and else
        gets the next one.

        Args:
            wishes: What comes from elsewhere.
            text: Names the step in the undo list.

        Returns:
            The class that each wish became, in order.

        Raises:
            ClassError: When one of them cannot be; then nothing is changed.
        """
        draft = _Draft(self._entries, self._given, self._next)
        merged = [draft.take(wish) for wish in wishes]
        if draft.entries != self._entries:
            self._push(text, draft.entries)
        now = {entry.id: entry for entry in draft.entries}
        return [now[id] for id in merged]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the undo list, as JSON can hold it."""
        present = {entry.id for entry in self._entries}
        removed = {str(id): name for id, name in self._given.items() if id not in present}
        return {
            "classes": [asdict(entry) for entry in self._entries],
            "removed": removed,
            "next_id": self._next,
        }

    def load_dict(self, values: dict[str, Any]) -> None:
        """Take over what :meth:`to_dict` gave; what is not understood is left out, and the undo list is cleared."""
        draft = _Draft((), {}, 1)
        given = {}
        for item in _list(values.get("classes")):
            try:
                draft.add(item.get("name"), item.get("color"), item.get("id"))
            except (ClassError, AttributeError, TypeError):
                continue
        removed = values.get("removed")
        for id, name in removed.items() if isinstance(removed, dict) else ():
            if str(id).isdecimal():
                given[int(id)] = str(name)
        self.undo_stack.clear()
        self._given = given
        following = values.get("next_id")
        self._next = following if isinstance(following, int) else 1
        self._set(draft.entries)

    def _known(self, id: int) -> ClassEntry:
        entry = self.entry(id)
        if entry is None:
            raise ClassError(
                tr("There is no class with the id {id}; it may have been removed.").format(id=id)
            )
        return entry

    def _replace(self, entry: ClassEntry, text: str) -> None:
        entries = tuple(entry if other.id == entry.id else other for other in self._entries)
        if entries != self._entries:
            self._push(text, entries)

    def _push(self, text: str, entries: tuple[ClassEntry, ...]) -> None:
        self.undo_stack.push(_Change(self, text, self._entries, entries))

    def _set(self, entries: tuple[ClassEntry, ...]) -> None:
        self._entries = entries
        for entry in entries:
            self._given[entry.id] = entry.name
        self._next = max([self._next, *(id + 1 for id in self._given)])
        self.changed.emit()


class _Change(QUndoCommand):
    """One step: the classes before and after it."""

    def __init__(
        self, table: ClassTable, text: str, before: tuple[ClassEntry, ...], after: tuple[ClassEntry, ...]
    ) -> None:
        super().__init__(text)
        self._table, self._before, self._after = table, before, after

    def undo(self) -> None:
        self._table._set(self._before)

    def redo(self) -> None:
        self._table._set(self._after)


class _Draft:
    """The classes that a step shall lead to."""

    def __init__(self, entries: Sequence[ClassEntry], given: dict[int, str], following: int) -> None:
        self._entries = {entry.id: entry for entry in entries}
        self._names = {entry.name.casefold(): entry.id for entry in entries}
        self._colors = {entry.color for entry in entries}
        self._given, self._next = dict(given), following
        self._defaults = default_colors()

    @property
    def entries(self) -> tuple[ClassEntry, ...]:
        return tuple(self._entries.values())

    def add(self, name: str | None, color: str | None, id: int | None) -> ClassEntry:
        id = self._next if id is None else id
        _check_id(id)
        name = self._free_name(id) if name is None else _checked_name(name, ())
        if len(self._entries) >= MAX_CLASSES:
            raise ClassError(tr("There are {count} classes already; remove some.").format(count=MAX_CLASSES))
        if name.casefold() in self._names:
            raise ClassError(_taken(name))
        if not self._is_free(id, name):
            raise ClassError(
                tr("The id {id} belongs to the class {name}; choose another one.").format(
                    id=id, name=self._given[id]
                )
            )
        entry = ClassEntry(id, name, self._free_color() if color is None else _checked_color(color))
        self._put(entry)
        return entry

    def take(self, wish: ClassWish) -> int:
        """Find or add the class that is wished for."""
        id = wish.id
        if id is not None:
            _check_id(id)
        if wish.name is None:
            known = id if id in self._entries else None
        else:
            known = self._names.get(_checked_name(wish.name, ()).casefold())
        if known is None:
            if id is not None and not self._is_free(id, wish.name):
                id = None
            return self.add(wish.name, wish.color, id).id
        if wish.color is not None:
            self._put(replace(self._entries[known], color=_checked_color(wish.color)))
        return known

    def _put(self, entry: ClassEntry) -> None:
        self._entries[entry.id] = entry
        self._names[entry.name.casefold()] = entry.id
        self._colors.add(entry.color)
        self._given[entry.id] = entry.name
        self._next = max(self._next, entry.id + 1)

    def _is_free(self, id: int, name: str | None) -> bool:
        if id in self._entries:
            return False
        earlier = self._given.get(id)
        return earlier is None or (name is not None and name.strip().casefold() == earlier.casefold())

    def _free_name(self, id: int) -> str:
        name, number = tr("Class {id}").format(id=id), 2
        while name.casefold() in self._names:
            name, number = tr("Class {id} ({number})").format(id=id, number=number), number + 1
        return name

    def _free_color(self) -> str:
        return next(color for color in self._defaults if color not in self._colors)


def _check_id(id: int) -> None:
    if not isinstance(id, int) or isinstance(id, bool):
        raise ClassError(tr("The class id {id} is not a whole number.").format(id=id))
    if not 0 <= id <= MAX_ID:
        raise ClassError(
            tr("The class id {id} cannot be stored in a label map; choose one from 0 to {max}.").format(
                id=id, max=MAX_ID
            )
        )


def _checked_name(name: str, others: Iterable[ClassEntry]) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ClassError(tr("A class needs a name; type at least one character."))
    name = " ".join(name.split())
    if any(other.name.casefold() == name.casefold() for other in others):
        raise ClassError(_taken(name))
    return name


def _taken(name: str) -> str:
    return tr("There is already a class {name}; choose another name.").format(name=name)


def _checked_color(color: str) -> str:
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise ClassError(tr("{color} is not a colour; write it as #rrggbb.").format(color=color))
    return color.lower()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
