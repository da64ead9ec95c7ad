"""The backend's own environment: made in the user's data folder, verified, repaired, removed.

It lies outside of the plugin's folder, which QGIS replaces at every upgrade, and it counts only once its marker is
written, which happens after it has proved to work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .candidates import python_of
from .children import run_child
from .errors import CheckError, SetupCancelled, SetupError
from .install_errors import explain
from .install_lock import install_lock
from .install_steps import (
    InstallOptions,
    Step,
    download_progress,
    install_steps,
    optional_steps,
    without_secrets,
)
from .interpreter import Probe
from .scrub import child_environment
from .verify import VERIFY_SCRIPT, Verified, verify

_MARKER = "protolabel.json"
_PREFIX = "env-"
_GIGABYTE = 10**9
FOLDER_VARIABLE = "PROTOLABEL_DATA"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """A verified environment.

    Attributes:
        folder: Where it is.
        verified: What it consists of.
    """

    folder: Path
    verified: Verified

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return python_of(self.folder)


def data_folder(system: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """Where programs keep large files of a user: not roaming, not backed up, not in QGIS's profile.

    The variable PROTOLABEL_DATA names another folder.
    """
    if environ.get(FOLDER_VARIABLE):
        return Path(os.path.abspath(environ[FOLDER_VARIABLE]))
    home = Path.home()
    if system == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Protolabel"
    if system == "darwin":
        return home / "Library" / "Application Support" / "Protolabel"
    return Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "protolabel"


class Environments:
    """The managed environments in a folder, one for each version of Python and list of requirements."""

    def __init__(
        self,
        root: Path,
        requirements: Path,
        script: str = VERIFY_SCRIPT,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Manage a folder; nothing is touched yet.

        Args:
            root: The folder, usually :func:`data_folder`.
            requirements: The list that pip installs.
            script: What a finished environment has to run; see :func:`verify`.
            environ: The environment that the children's is derived from.
        """
        # Absolute, since the children run elsewhere.
        self.root, self._requirements = Path(os.path.abspath(root)), Path(os.path.abspath(requirements))
        self._script, self._environ = script, environ
        digest = hashlib.sha256(requirements.read_bytes().replace(b"\r\n", b"\n"))
        self._key = digest.hexdigest()[:8]

    @property
    def log(self) -> Path:
        """The log of the last installation."""
        return self.root / "install.log"

    def folder(self, python: Probe) -> Path:
        """Where the environment made with an interpreter belongs; short, for Windows bounds the length of paths."""
        return self.root / f"{_PREFIX}{python.short}-{self._key}"

    def find(self) -> Environment | None:
        """The newest whole environment for the present requirements; the children are not asked again."""
        found = []
        for marker in self.root.glob(f"{_PREFIX}*-{self._key}/{_MARKER}"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                verified = Verified(**json.loads(marker.read_text(encoding="utf-8")))
                environment = Environment(marker.parent, verified)
                if environment.python.is_file():
                    found.append((marker.stat().st_mtime, environment))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def leftovers(self) -> list[Path]:
        """Folders of environments that :meth:`find` passes over: outdated, half-made or broken ones."""
        found = self.find()
        folders = self.root.glob(f"{_PREFIX}*")
        return sorted(folder for folder in folders if found is None or folder != found.folder)

    def is_current(self, folder: Path) -> bool:
        """Whether an environment's folder is for the present requirements."""
        return folder.name.endswith(f"-{self._key}")

    def create(
        self,
        python: Probe,
        options: InstallOptions | None = None,
        say: Say | None = None,
        cancel: threading.Event | None = None,
    ) -> Environment:
        """Make an environment, or make a half-made or broken one anew; takes minutes.

        Args:
            python: The interpreter to make it with.
            options: What to install from where.
            say: Called with every line of output, in this thread.
            cancel: Stops it when set.

        Raises:
            SetupError: When it fails, with the fix; nothing is left half-made.
            SetupCancelled: When ``cancel`` was set; as well.
        """
        options = options or InstallOptions()
        folder = self.folder(python)
        try:
            with install_lock(self.root / "install.lock"):
                _delete(folder)
                self._check_space(options)
                with self.log.open("w", encoding="utf-8") as log:
                    tell = _Teller(log.write, say)
                    try:
                        return self._make_or_fall_back(folder, python, options, tell, cancel)
                    except BaseException:
                        _delete(folder)
                        raise
        except OSError as error:
            text = f"{self.root} cannot be used: {error.strerror or error}; choose another folder."
            raise SetupError(explain([str(error)], "") if error.errno == 28 else text) from error

    def repair(
        self,
        python: Probe,
        options: InstallOptions | None = None,
        say: Say | None = None,
        cancel: threading.Event | None = None,
    ) -> Environment:
        """See whether the environment works, and make it anew when it does not; the arguments are those of create.

        What could not be installed before, for want of a compiler, is tried again.
        """
        options = options or InstallOptions()
        environment = self.find()
        if environment is not None:
            try:
                verified = self._verify(environment.folder, options, cancel)
                if verified.crf:
                    return self._finish(environment.folder, verified)
                with install_lock(self.root / "install.lock"), self.log.open("w", encoding="utf-8") as log:
                    return self._complete(environment.folder, options, _Teller(log.write, say), cancel)
            except CheckError as error:
                if say is not None:
                    say(str(error))
        return self.create(python, options, say, cancel)

    def check(self, device: str = "auto", cancel: threading.Event | None = None) -> Environment:
        """Let the environment prove once more that it works, and keep what it tells.

        Raises:
            SetupError: When there is none, or it does not work.
            SetupCancelled: When ``cancel`` was set.
        """
        environment = self.find()
        if environment is None:
            raise SetupError(f"There is no whole environment in {self.root}; install one.")
        verified = self._verify(environment.folder, InstallOptions(device=device), cancel)
        note = "" if verified.crf else environment.verified.crf_note
        return self._finish(environment.folder, replace(verified, crf_note=note))

    def remove(self) -> None:
        """Remove all managed environments, outdated ones as well.

        Raises:
            SetupError: When a file is in use, or an installation is going on.
        """
        if self.root.is_dir():
            with install_lock(self.root / "install.lock"):
                for folder in self.root.glob(f"{_PREFIX}*"):
                    _delete(folder)

    def _check_space(self, options: InstallOptions) -> None:
        free = shutil.disk_usage(self.root).free
        if free < options.needed:
            wanted, there = options.needed / _GIGABYTE, free / _GIGABYTE
            text = f"{self.root} has {there:.1f} GB free and {wanted:.1f} GB are needed"
            raise SetupError(f"{text}; free some or choose another folder.")

    def _make_or_fall_back(
        self, folder: Path, python: Probe, options: InstallOptions, tell: Say, cancel: threading.Event | None
    ) -> Environment:
        try:
            return self._make(folder, python, options, tell, cancel)
        except CheckError as error:
            if not options.cuda or options.wheels is not None:
                raise
            reason = str(error)
        tell(
            f"PyTorch for CUDA does not work on this machine ({reason.rstrip('.')}); trying the one for the CPU ..."
        )
        _delete(folder)
        made = self._make(folder, python, options.for_cpu(), tell, cancel)
        note = f"PyTorch for CUDA does not work on this machine: {reason}"
        return self._finish(folder, replace(made.verified, note=note))

    def _make(
        self,
        folder: Path,
        python: Probe,
        options: InstallOptions,
        tell: Say,
        cancel: threading.Event | None,
    ) -> Environment:
        for step in install_steps(Path(python.executable), folder, self._requirements, options):
            self._run(step, folder, options, tell, cancel)
        return self._complete(folder, options, tell, cancel)

    def _complete(
        self, folder: Path, options: InstallOptions, tell: Say, cancel: threading.Event | None
    ) -> Environment:
        """Install what is optional, and let the environment prove that it works."""
        notes = []
        for step in optional_steps(folder, self._requirements, options):
            try:
                self._run(step, folder, options, tell, cancel)
            except SetupCancelled:
                raise
            except SetupError as error:
                notes.append(str(error))
                tell(f"{error} The refinement with DenseCRF is left out.")
        tell("Check of the environment ...")
        shutil.rmtree(folder / "tmp", ignore_errors=True)
        verified = self._verify(folder, options, cancel)
        if not verified.crf:
            verified = replace(verified, crf_note=" ".join(notes))
        tell(f"The environment is ready: {folder}, device {verified.device}")
        return self._finish(folder, verified)

    def _finish(self, folder: Path, verified: Verified) -> Environment:
        part = folder / f"{_MARKER}.part"
        part.write_text(json.dumps(asdict(verified), indent=1), encoding="utf-8")
        part.replace(folder / _MARKER)
        return Environment(folder, verified)

    def _run(
        self, step: Step, folder: Path, options: InstallOptions, tell: Say, cancel: threading.Event | None
    ) -> None:
        tell(f"{step.title} ...")
        temporary = folder / "tmp"  # the system's own is often small and in memory
        temporary.mkdir(parents=True, exist_ok=True)
        environment = {**child_environment(self._environ), **options.variables(temporary)}
        finished = run_child(step.command, environment, temporary, None, cancel, tell)
        if cancel is not None and cancel.is_set():
            raise SetupCancelled("The set-up was cancelled; nothing was left behind.")
        if finished.code != 0:
            raise SetupError(explain(finished.lines, step.title, options.wheels is not None))

    def _verify(self, folder: Path, options: InstallOptions, cancel: threading.Event | None) -> Verified:
        return verify(python_of(folder), options.device, folder, self._script, cancel, self._environ)


class _Teller:
    """Writes a line to the log, without passwords, and tells it."""

    def __init__(self, write: Callable[[str], object], say: Say | None) -> None:
        self._write, self._say = write, say

    def __call__(self, line: str) -> None:
        line = without_secrets(line)
        if download_progress(line) is None:
            self._write(f"{line}\n")
        if self._say is not None:
            self._say(line)


def _delete(folder: Path) -> None:
    """Remove a folder; on Windows a virus scanner may hold its files for a moment."""
    for pause in (0.0, 0.2, 0.5, 1.0):
        time.sleep(pause)
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    raise SetupError(f"{folder} cannot be removed; close other QGIS windows and try again.")
