"""Asks Pythons what they are and picks one that can make or run the backend's environment.

A candidate is judged by its file name first and asked only then: a QGIS that is called with ``-c`` opens a window.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .candidates import NEWEST, OLDEST, Candidate, Source, is_python_name
from .children import Finished, run_child
from .errors import InterpreterError
from .scrub import child_environment

_TIMEOUT = 20.0  # seconds; a virus scanner may look at every file of a first start
_MARK = "protolabel-python:"
# Has to run in Python 2 as well, for the version to be told.
_PROBE = f"""
import json, os, platform, sys
def has(name):
    try:
        __import__(name)
    except Exception:
        return False
    return True
def headers():
    import sysconfig
    return os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h"))
print("{_MARK}" + json.dumps({{
    "version": list(sys.version_info[:3]), "executable": sys.executable, "prefix": sys.prefix,
    "machine": platform.machine(), "bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "venv": has("venv"), "ensurepip": has("ensurepip"), "ssl": has("ssl"),
    "headers": has("sysconfig") and headers()}}))
"""


@dataclass(frozen=True)
class Probe:
    """What an interpreter tells about itself.

    Attributes:
        version: Its version, three numbers.
        executable: The program as it names itself.
        prefix: The environment that it belongs to.
        machine: The processor that it was built for.
        bits: 64 or 32.
        venv: Whether it can make environments.
        ensurepip: Whether it can put pip into them.
        ssl: Whether it can download.
        headers: Whether packages can be built for it.
    """

    version: tuple[int, int, int]
    executable: str
    prefix: str
    machine: str
    bits: int
    venv: bool
    ensurepip: bool
    ssl: bool
    headers: bool = True

    @property
    def short(self) -> str:
        """Major and minor version, such as 3.12."""
        return f"{self.version[0]}.{self.version[1]}"


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate fits.

    Attributes:
        candidate: The candidate.
        probe: What it told, if it was asked and answered.
        reason: One sentence why it does not fit, None when it does.
    """

    candidate: Candidate
    probe: Probe | None = None
    reason: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the candidate can be used."""
        return self.reason is None


def judge(
    candidate: Candidate,
    make: bool = True,
    timeout: float = _TIMEOUT,
    environ: Mapping[str, str] = os.environ,
    cancel: threading.Event | None = None,
) -> Verdict:
    """Find out whether a candidate fits; a program that is not named like a Python is never run.

    Args:
        candidate: The candidate.
        make: Whether it has to be able to make an environment, or only to run the backend.
        timeout: Seconds that it has for its answer.
        environ: The environment that the child's is derived from.
        cancel: Ends the question when set.
    """
    path = candidate.path
    if not path.is_file():
        return Verdict(candidate, reason=f"{path} does not exist.")
    if not is_python_name(path):
        return Verdict(candidate, reason=f"{path} is not named like a Python interpreter.")
    try:
        with tempfile.TemporaryDirectory(prefix="protolabel-") as folder:
            finished = run_child(
                [str(path), "-I", "-c", _PROBE], child_environment(environ), Path(folder), timeout, cancel
            )
    except OSError as error:
        return Verdict(candidate, reason=f"{path} cannot be started: {error.strerror or error}.")
    if finished.code is None:
        return Verdict(candidate, reason=f"{path} did not answer within {timeout:g} seconds.")
    probe = _read_probe(finished)
    if probe is None:
        return Verdict(candidate, reason=f"{path} does not answer like a Python interpreter.")
    return Verdict(candidate, probe, _why_not(path, probe, make))


def find_python(found: Iterator[Candidate], make: bool = True, timeout: float = _TIMEOUT) -> Verdict:
    """The first candidate that fits; what the user chose is not passed over in silence.

    Raises:
        InterpreterError: When none fits, with the reason of the best one.
    """
    reasons = []
    for candidate in found:
        verdict = judge(candidate, make, timeout)
        if verdict.fits:
            return verdict
        if candidate.source is Source.CHOSEN:
            raise InterpreterError(str(verdict.reason))
        if verdict.probe is not None:
            reasons.append(str(verdict.reason))
    wanted = f"Python {_text(OLDEST)} to {_text(NEWEST)}"
    if reasons:
        raise InterpreterError(f"No {wanted} that fits was found; the nearest was this: {reasons[0]}")
    raise InterpreterError(
        f"No {wanted} was found; install one from python.org or choose one in the settings."
    )


def _read_probe(finished: Finished) -> Probe | None:
    for line in finished.lines:
        if line.startswith(_MARK):
            try:
                values = json.loads(line[len(_MARK) :])
                major, minor, micro = map(int, values.pop("version"))
                return Probe((major, minor, micro), **values)
            except (ValueError, TypeError, KeyError):
                return None
    return None


def _why_not(path: Path, probe: Probe, make: bool) -> str | None:
    wanted = f"Python {_text(OLDEST)} to {_text(NEWEST)} is needed"
    if probe.version[:2] < OLDEST:
        return f"{path} is Python {probe.short}, which is too old; {wanted}."
    if probe.version[:2] > NEWEST:
        return f"{path} is Python {probe.short}, which is too new; {wanted}."
    if probe.bits != 64:
        return f"{path} is a 32-bit Python; PyTorch needs a 64-bit one."
    if sys.platform == "darwin" and probe.machine != "arm64":
        return f"{path} is built for {probe.machine}; PyTorch for macOS needs one for Apple silicon (arm64)."
    if sys.platform.startswith("linux") and probe.machine != platform.machine():
        return f"{path} is built for {probe.machine}, and this machine is {platform.machine()}."
    if make and not (probe.venv and probe.ensurepip):
        package = f"python{probe.short}-venv"
        return (
            f"{path} cannot make environments; on Debian and Ubuntu `sudo apt install {package}` adds that."
        )
    if make and not probe.ssl:
        return f"{path} cannot download since its ssl module does not load; install Python from python.org."
    return None


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
