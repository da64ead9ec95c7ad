"""What the plugin and the worker say to each other: one JSON object a line, requests in and replies out.

Both sides import this module, the plugin inside of QGIS's Python, so it needs the standard library only. Every
request gets exactly one final reply with its id: ``result``, ``error`` or ``cancelled``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from . import checks
from .messages import (
    REPLIES,
    REQUESTS,
    Accuracy,
    Cancel,
    Cancelled,
    Error,
    Estimate,
    Finetune,
    FinetuningMessage,
    Inspect,
    KeepModel,
    Label,
    LabelingMessage,
    Log,
    Material,
    Models,
    News,
    Partial,
    Pause,
    Ping,
    Preview,
    Progress,
    ProtocolError,
    Quit,
    Ready,
    Reply,
    Request,
    Result,
    Resume,
    SamplePoints,
    Task,
    Uncertain,
    Vectorize,
)

__all__ = [
    "MAX_REPLY",
    "MAX_REQUEST",
    "PROTOCOL",
    "Accuracy",
    "Cancel",
    "Cancelled",
    "Error",
    "Estimate",
    "Finetune",
    "FinetuningMessage",
    "Inspect",
    "KeepModel",
    "Label",
    "LabelingMessage",
    "Log",
    "Material",
    "Models",
    "News",
    "Partial",
    "Pause",
    "Ping",
    "Preview",
    "Progress",
    "ProtocolError",
    "Quit",
    "Ready",
    "Reply",
    "Request",
    "Result",
    "Resume",
    "SamplePoints",
    "Task",
    "Uncertain",
    "Vectorize",
    "decode_reply",
    "decode_request",
    "encode",
]

PROTOCOL = 2
MAX_REQUEST = 1 << 20  # bytes of a line
MAX_REPLY = 16 << 20  # a result lists every class, of which there may be 65,000
_M = TypeVar("_M", Request, Reply)


def encode(message: Request | Reply) -> str:
    """Write a message as one line of ASCII, with its line break.

    Raises:
        ProtocolError: When it is too long.
    """
    request = isinstance(message, REQUESTS)
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
    return _decode(line, MAX_REQUEST, "op", REQUESTS)


def decode_reply(line: str | bytes) -> Reply:
    """Read a reply.

    Raises:
        ProtocolError: When it is none.
    """
    return _decode(line, MAX_REPLY, "type", REPLIES)


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
