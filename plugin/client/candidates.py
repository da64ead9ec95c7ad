"""The Pythons that a machine may have, best first; none of them is run here.

``sys.executable`` is of no use: inside QGIS it is QGIS itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .scrub import of_qgis

OLDEST = (3, 10)
NEWEST = (3, 13)
VARIABLE = "PROTOLABEL_PYTHON"
_PYTHON_NAME = re.compile(r"python(\d+(\.\d+)?t?)?(\.exe)?", re.IGNORECASE)


class Source(Enum):
    """Where a candidate comes from; its value is shown to the user."""

    CHOSEN = "chosen by the user"
    MANAGED = "Protolabel's environment"
    STANDALONE = "stand-alone Python"
    QGIS = "QGIS's Python"
    SYSTEM = "Python of the system"


@dataclass(frozen=True)
class Candidate:
    """A Python that may fit; it was not run yet."""

    path: Path
    source: Source


def candidates(
    chosen: Path | None = None,
    managed: Path | None = None,
    system: str = sys.platform,
    environ: Mapping[str, str] = os.environ,
    prefix: Path = Path(sys.prefix),
) -> Iterator[Candidate]:
    """The Pythons of this machine, best first, each once.

    Args:
        chosen: An interpreter or environment that the user chose; goes before the variable PROTOLABEL_PYTHON.
        managed: The folder of the managed environment.
        system: As ``sys.platform``.
        environ: As ``os.environ``.
        prefix: As ``sys.prefix`` inside of QGIS.
    """
    seen = set()
    for candidate in _all_candidates(chosen, managed, system, environ, prefix):
        key = os.path.normcase(candidate.path)
        if key not in seen:
            seen.add(key)
            yield candidate


def is_python_name(path: Path) -> bool:
    """Whether a file is named like an interpreter, and not a link to QGIS."""
    names = [path.name, os.path.basename(os.path.realpath(path))]
    return _PYTHON_NAME.fullmatch(names[0]) is not None and "qgis" not in names[1].lower()


def python_of(environment: Path, system: str = sys.platform) -> Path:
    """The interpreter of an environment; conda's lies elsewhere on Windows."""
    if system != "win32":
        return environment / "bin" / "python"
    conda = environment / "python.exe"
    return conda if conda.is_file() else environment / "Scripts" / "python.exe"


def _all_candidates(
    chosen: Path | None, managed: Path | None, system: str, environ: Mapping[str, str], prefix: Path
) -> Iterator[Candidate]:
    named = environ.get(VARIABLE)
    for path in [chosen] if chosen else [Path(named)] if named else []:
        yield Candidate(python_of(path, system) if path.is_dir() else path, Source.CHOSEN)
    if managed is not None:
        yield Candidate(python_of(managed, system), Source.MANAGED)
    if system == "win32":
        found = _on_windows(environ, prefix)
    elif system == "darwin":
        found = _on_macos(environ)
    else:
        found = _on_linux(environ)
    yield from (candidate for candidate in found if candidate.path.is_file())


def _on_windows(environ: Mapping[str, str], prefix: Path) -> Iterator[Candidate]:
    # PATH is not searched: its python.exe may be the stub that opens the Microsoft Store.
    for variable, folder in (("LOCALAPPDATA", "Programs/Python"), ("PROGRAMFILES", ".")):
        if environ.get(variable):
            for path in _newest(Path(environ[variable], folder), "Python3*/python.exe"):
                yield Candidate(path, Source.STANDALONE)
    for name in ("python.exe", "python3.exe"):
        yield Candidate(prefix / name, Source.QGIS)
    if environ.get("OSGEO4W_ROOT"):
        for path in _newest(Path(environ["OSGEO4W_ROOT"], "apps"), "Python3*/python.exe"):
            yield Candidate(path, Source.QGIS)


def _on_macos(environ: Mapping[str, str]) -> Iterator[Candidate]:
    frameworks = "/Library/Frameworks/Python.framework/Versions/3.{}/bin"
    folders = [frameworks.format(minor) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    folders += ["/opt/homebrew/bin", "/usr/local/bin"]
    folders += [folder for folder in _search_path(environ) if folder not in folders]
    for candidate in _by_name(folders, Source.STANDALONE):
        # Apple's stub offers to install Xcode, and the Python inside of an application may start that application.
        real = os.path.realpath(candidate.path)
        if not any(path.startswith("/usr/bin/") or ".app/" in path for path in (str(candidate.path), real)):
            yield candidate


def _on_linux(environ: Mapping[str, str]) -> Iterator[Candidate]:
    yield from _by_name(_search_path(environ), Source.SYSTEM)


def _by_name(folders: list[str], source: Source) -> Iterator[Candidate]:
    names = ["python3", *(f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1))]
    for name in names:
        for folder in folders:
            yield Candidate(Path(folder, name), source)


def _search_path(environ: Mapping[str, str]) -> list[str]:
    folders = environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in folders if os.path.isabs(folder) and not of_qgis(folder, environ)]


def _newest(folder: Path, pattern: str) -> list[Path]:
    def minor(path: Path) -> int:
        digits = re.match(r"Python3(\d+)", path.parent.name, re.IGNORECASE)
        return int(digits[1]) if digits else -1

    return sorted(folder.glob(pattern), key=minor, reverse=True)
