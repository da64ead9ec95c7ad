"""What the plugin and the worker say to each other: one JSON object a line, requests in and replies out.

Both sides import this module, the plugin inside of QGIS's Python, so it needs the standard library only. Every
message is checked when it is made, on either side. Every request gets exactly one final reply with its id:
``result``, ``error`` or ``cancelled``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, Union

from . import checks
from .checks import Check

PROTOCOL = 1
MAX_REQUEST = 1 << 20  # bytes of a line
MAX_REPLY = 16 << 20  # a result lists every class, of which there may be 65,000


class ProtocolError(Exception):
    """A message that cannot be understood.

    Attributes:
        id: Of the request, when at least that could be read.
    """

    def __init__(self, text: str, id: int | None = None) -> None:
        super().__init__(text)
        self.id = id


def _checked(check: Check) -> Mapping[str, Check]:
    """The metadata of a field: the check of its values."""
    return {"check": check}


_ID = _checked(checks.integer(0))
_COUNT = _checked(checks.integer(0))
_NAME = _checked(checks.name)
_MAYBE_NAME = _checked(checks.optional(checks.name))
_MAYBE_NUMBERS = _checked(checks.optional(checks.list_of(checks.integer(1, 100_000))))


class _Message:
    """Checks the fields of a message that is made."""

    KIND: ClassVar[str]

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            try:
                value = item.metadata["check"](getattr(self, item.name))
            except (ValueError, RecursionError) as error:
                text = f"The field {item.name!r} of {self.KIND!r} must be {error}."
                raise ProtocolError(text) from error
            object.__setattr__(self, item.name, value)


@dataclass(frozen=True)
class Label(_Message):
    """Label a raster; the options are those of the command line, and None stands for the tool's own choice.

    Answered by ``progress`` and ``log`` while it runs, then by a result with ``output``, ``model``, ``scale``,
    ``seconds`` and ``classes`` (a list of ``id``, ``name``, ``pixels``).
    """

    KIND: ClassVar[str] = "label"

    id: int = field(metadata=_ID)
    raster: str = field(metadata=_NAME)
    support: str = field(metadata=_NAME)
    output: str = field(metadata=_NAME)
    class_field: str = field(default="class_id", metadata=_NAME)
    name_field: str = field(default="class_name", metadata=_NAME)
    model: str | None = field(default=None, metadata=_MAYBE_NAME)
    layers: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)
    head: str = field(default="auto", metadata=_checked(checks.choice("auto", "prototype", "polygons")))
    spectral: bool = field(default=True, metadata=_checked(checks.flag))
    bands: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)
    scale: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))
    crf: bool = field(default=True, metadata=_checked(checks.flag))
    confidence: str | None = field(default=None, metadata=_MAYBE_NAME)
    vector: str | None = field(default=None, metadata=_MAYBE_NAME)
    extent: tuple[float, ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.finite, 4, 4)))
    )
    extent_crs: str | None = field(default=None, metadata=_MAYBE_NAME)
    device: str = field(default="auto", metadata=_NAME)
    tile: int = field(default=704, metadata=_checked(checks.integer(384, 8192)))


@dataclass(frozen=True)
class Inspect(_Message):
    """Tell what is understood of a raster: a result of texts by name."""

    KIND: ClassVar[str] = "inspect"

    id: int = field(metadata=_ID)
    raster: str = field(metadata=_NAME)
    bands: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)


@dataclass(frozen=True)
class Models(_Message):
    """Tell what can be used: a result with ``models`` (the default first), ``folders`` and ``devices``."""

    KIND: ClassVar[str] = "models"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Cancel(_Message):
    """Cancel a request that waits or runs.

    Answered by a result with ``found``, which is false when that request has been answered already. The target itself
    is answered by ``cancelled``, or by its result when the cancel came too late.
    """

    KIND: ClassVar[str] = "cancel"

    id: int = field(metadata=_ID)
    target: int = field(metadata=_ID)


@dataclass(frozen=True)
class Ping(_Message):
    """Answered at once, even during a run: a result with ``running`` (an id or null) and ``waiting`` (ids)."""

    KIND: ClassVar[str] = "ping"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Quit(_Message):
    """Cancel everything and end."""

    KIND: ClassVar[str] = "quit"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Ready(_Message):
    """The first reply, without a request: the worker listens."""

    KIND: ClassVar[str] = "ready"

    protocol: int = field(metadata=_COUNT)
    version: str = field(metadata=_NAME)
    python: str = field(metadata=_NAME)
    pid: int = field(metadata=_COUNT)


@dataclass(frozen=True)
class Progress(_Message):
    """How far a run is; see ``backend.progress.Progress``."""

    KIND: ClassVar[str] = "progress"

    id: int = field(metadata=_ID)
    stage: str = field(metadata=_NAME)
    done: int = field(metadata=_COUNT)
    total: int = field(metadata=_COUNT)
    megapixels: float = field(metadata=_checked(checks.finite))
    seconds_left: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))


@dataclass(frozen=True)
class Log(_Message):
    """Something that the user may want to know."""

    KIND: ClassVar[str] = "log"

    id: int | None = field(metadata=_checked(checks.optional(checks.integer(0))))
    level: str = field(metadata=_checked(checks.choice("info", "warning", "error")))
    text: str = field(metadata=_checked(checks.text))


@dataclass(frozen=True)
class Result(_Message):
    """A request is done; what ``value`` holds is told by each request."""

    KIND: ClassVar[str] = "result"

    id: int = field(metadata=_ID)
    value: dict[str, Any] = field(metadata=_checked(checks.json_object))


@dataclass(frozen=True)
class Error(_Message):
    """A request failed.

    Attributes:
        id: None when the line was too broken to tell.
        kind: "user" for what the user can mend, with the fix in the message; "protocol" for a request that is not
            understood; "internal" for a mistake of the worker.
        message: One sentence.
        detail: The traceback of an internal error.
    """

    KIND: ClassVar[str] = "error"

    id: int | None = field(metadata=_checked(checks.optional(checks.integer(0))))
    kind: str = field(metadata=_checked(checks.choice("user", "internal", "protocol")))
    message: str = field(metadata=_checked(checks.text))
    detail: str | None = field(default=None, metadata=_checked(checks.optional(checks.text)))


@dataclass(frozen=True)
class Cancelled(_Message):
    """A request was cancelled and left nothing behind."""

    KIND: ClassVar[str] = "cancelled"

    id: int = field(metadata=_ID)


# Unions are not written with a bar here, since Python 3.9 would evaluate it.
Request = Union[Label, Inspect, Models, Cancel, Ping, Quit]  # noqa: UP007
Reply = Union[Ready, Progress, Log, Result, Error, Cancelled]  # noqa: UP007
_M = TypeVar("_M", Request, Reply)
_REQUESTS: tuple[type[Request], ...] = (Label, Inspect, Models, Cancel, Ping, Quit)
_REPLIES: tuple[type[Reply], ...] = (Ready, Progress, Log, Result, Error, Cancelled)


def encode(message: Request | Reply) -> str:
    """Write a message as one line of ASCII, with its line break.

    Raises:
        ProtocolError: When it is too long.
    """
    request = isinstance(message, _REQUESTS)
    values = {"op" if request else "type": message.KIND, **asdict(message)}
    line = json.dumps(values, allow_nan=False, separators=(",", ":")) + "\n"
    limit = MAX_REQUEST if request else MAX_REPLY
    if len(line) > limit:
        raise ProtocolError(f"The message {message.KIND!r} has more than {limit} bytes.")
    return line


def decode_request(line: str | bytes) -> Request:
    """Read a request.

    Raises:
        ProtocolError: When it is none.
    """
    return _decode(line, MAX_REQUEST, "op", _REQUESTS)


def decode_reply(line: str | bytes) -> Reply:
    """Read a reply.

    Raises:
        ProtocolError: When it is none.
    """
    return _decode(line, MAX_REPLY, "type", _REPLIES)


def _decode(line: str | bytes, limit: int, key: str, types: Iterable[type[_M]]) -> _M:
    values = _parse(line, limit)
    number = values.get("id")
    id = number if type(number) is int and 0 <= number <= checks.MAX_INTEGER else None
    kind = values.get(key)
    for message in types:
        if kind == message.KIND:
            break
    else:
        raise ProtocolError(f"The field {key!r} names no known message.", id)
    # Unknown fields are passed over, so that a newer side may say more.
    known = [item for item in fields(message) if item.name in values or item.default is MISSING]
    missing = [item.name for item in known if item.name not in values]
    if missing:
        raise ProtocolError(f"The field {missing[0]!r} of {kind!r} is missing.", id)
    try:
        return message(**{item.name: values[item.name] for item in known})
    except ProtocolError as error:
        raise ProtocolError(str(error), id) from error


def _parse(line: str | bytes, limit: int) -> dict[str, Any]:
    if len(line) > limit:
        raise ProtocolError(f"The line has more than {limit} bytes.")
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        values = json.loads(text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_parse_float)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("The line is not JSON.") from error
    if not isinstance(values, dict):
        raise ProtocolError("The line is not a JSON object.")
    return values


def _parse_int(text: str) -> int:
    if len(text) > 20:  # reading thousands of digits takes long, and no message needs them
        raise ValueError("too many digits")
    return int(text)


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value
