"""Checksums of model files: ``NAME.safetensors.sha256`` beside ``NAME.safetensors``, as ``sha256sum`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ModelError

_LONGEST = 4096  # bytes of a record
_DIGEST = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
# sha256sum puts a backslash before a line whose file name has one, and an asterisk before the name of a binary file.
_LINE = re.compile(r"\\?([0-9a-f]{64})([ \t]+\S.*)?", re.IGNORECASE)


def record_path(model: Path) -> Path:
    """Where the checksum of a model file is recorded."""
    return model.with_name(model.name + ".sha256")


def recorded_sha256(model: Path) -> str | None:
    """The checksum that is recorded for a model file, in lower case, or None where there is no record.

    Args:
        model: The model file. The name in the record is not looked at: a file may have been renamed with its record.

    Raises:
        ModelError: When the record is not understood.
    """
    record = record_path(model)
    try:
        with record.open("rb") as file:
            lines = file.read(_LONGEST).decode("utf-8-sig", "replace").split("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(
            f"The checksum {record} cannot be read ({error.strerror or error}); mend or remove it."
        ) from error
    lines = [line.strip() for line in lines if line.strip()]
    found = _LINE.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        raise ModelError(
            f"The checksum {record} is not understood; it must be one line as sha256sum writes it, so get it again "
            "or remove it."
        )
    return found[1].lower()


def check_sha256(model: Path, sha256: str) -> None:
    """Compare a model file with the checksum that is recorded for it, where there is one.

    Args:
        model: The model file.
        sha256: What its bytes give.

    Raises:
        ModelError: When they differ, or the record is not understood.
    """
    if recorded_sha256(model) not in (None, sha256):
        raise ModelError(
            f"The model file {model} does not fit its checksum in {record_path(model).name}: it is damaged or not the "
            "one that was meant; get it again, or add another one with 'python -m backend models add'."
        )


def parse_sha256(text: str) -> str:
    """A checksum that a person has given.

    Raises:
        ModelError: When it is none.
    """
    if _DIGEST.fullmatch(text.strip()) is None:
        raise ModelError(f"{text!r} is no SHA-256 checksum; give its 64 hexadecimal digits.")
    return text.strip().lower()


def record_text(model: Path, sha256: str) -> str:
    """What the record of a model file says."""
    return f"{sha256}  {model.name}\n"
