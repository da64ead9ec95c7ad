"""Configurations in YAML files, and what ``key=value`` on the command line changes of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from .errors import ProtolabelError


class ConfigurationError(ProtolabelError):
    """A configuration that cannot be used; the message names the key."""


def read_values(path: Path, changes: Sequence[str], paths: Collection[str]) -> dict[str, Any]:
    """Read a configuration, which is not checked yet.

    Args:
        path: A YAML file.
        changes: "key=value" with dots between the sections, for example "optimizer.lr=0.01"; values are YAML.
        paths: Keys, with dots, of files and folders: relative ones begin at the file, those of changes where the
            command is called; "~" is the home folder.

    Raises:
        ConfigurationError: When the file cannot be read, or a change is not understood.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"The configuration {path} does not exist; check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"The configuration {path} cannot be read: {reason}.") from error
    if not isinstance(values, dict):
        raise ConfigurationError(
            f"The configuration {path} holds no keys; see the examples in resources/experiments."
        )
    _begin_paths_at(path.resolve().parent, values, paths)
    for change in changes:
        _apply(values, change)
    _begin_paths_at(Path.cwd(), values, paths)
    return values


def _begin_paths_at(folder: Path, values: dict[str, Any], paths: Collection[str]) -> None:
    """Make relative paths absolute; what is no path is told later."""
    for key in paths:
        *sections, name = key.split(".")
        holder: Any = values
        for section in sections:
            holder = holder.get(section) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(holder.get(name), str):
            holder[name] = str(folder / Path(holder[name]).expanduser())


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ConfigurationError(
            f"{change!r} is not understood; write key=value, for example optimizer.lr=0.01."
        )
    for name in names[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigurationError(f"{change!r}: {name} is a value and no section.")
    try:
        values[names[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{change!r}: the value is not understood.") from error
