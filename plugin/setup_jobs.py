"""What can be done to the backend's environment, each in a thread of its own that the service looks after."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from .backend_service import BackendService
from .client.candidates import VARIABLE, Candidate, Source, candidates, python_of
from .client.errors import SetupError
from .client.install_steps import InstallOptions
from .client.interpreter import Probe, Verdict, judge
from .client.job import Job, Say
from .client.machine import free_space, has_compiler, has_nvidia
from .client.verify import Verified, verify
from .translation import tr


@dataclass(frozen=True)
class Survey:
    """What the machine has.

    Attributes:
        nvidia: Whether it has an NVIDIA card.
        compiler: Whether it can build packages.
    """

    nvidia: bool
    compiler: bool


def survey(service: BackendService) -> Job:
    """Look for Pythons that can make an environment; says each :class:`Verdict`, and results in a :class:`Survey`."""
    # What the variable names runs the backend, and need not be able to make another environment.
    environ = {name: value for name, value in service.environ.items() if name != VARIABLE}

    def work(say: Say, cancel: threading.Event) -> Survey:
        seen = set()
        for candidate in candidates(environ=environ):
            if cancel.is_set():
                break
            verdict = judge(candidate, environ=environ, cancel=cancel)
            key = os.path.realpath(verdict.probe.executable if verdict.probe else candidate.path)
            if key not in seen:  # python3 is most often a link to one of the others
                seen.add(key)
                say(verdict)
        return Survey(has_nvidia(environ=environ), has_compiler(environ=environ))

    return service.run(work, tr("Search for Python"))


def judge_one(service: BackendService, path: Path) -> Job:
    """Look at the Python that the user chose; says its :class:`Verdict`."""

    def work(say: Say, cancel: threading.Event) -> None:
        say(judge(Candidate(path, Source.CHOSEN), cancel=cancel))

    return service.run(work, tr("Look at {path}").format(path=path))


def measure_space(service: BackendService, folder: Path) -> Job:
    """Ask for the free space where a folder is or will be, which takes long on a network drive."""
    return service.run(lambda say, cancel: free_space(folder))


def install(service: BackendService, python: Probe, options: InstallOptions) -> None:
    """Make the managed environment and use it from then on."""
    environments = service.environments

    def work(say: Say, cancel: threading.Event) -> None:
        service.stop_worker()
        environments.create(python, options, say, cancel)

    def then(result: None) -> None:
        service.use(replace(service.settings, python=""))

    service.setup = service.run(work, tr("Installation"), then)


def repair(service: BackendService, python: Probe, options: InstallOptions) -> None:
    """Make the managed environment anew if it does not work."""
    environments = service.environments

    def work(say: Say, cancel: threading.Event) -> None:
        service.stop_worker()
        environments.repair(python, options, say, cancel)

    service.setup = service.run(work, tr("Repair"))


def remove(service: BackendService) -> None:
    """Remove the managed environments."""
    environments = service.environments

    def work(say: Say, cancel: threading.Event) -> None:
        service.stop_worker()
        environments.remove()

    service.setup = service.run(work, tr("Removal"))


def check(service: BackendService) -> None:
    """Let the environment in use compute on the device that the settings ask for."""
    python, device = service.python(), service.settings.device
    environments, managed = service.environments, not service.chosen

    def work(say: Say, cancel: threading.Event) -> Verified:
        if python is None:
            raise SetupError(tr("There is no environment to verify; install one first."))
        if managed:
            return environments.check(device, cancel).verified
        return verify(python, device, None, service.verify_script, cancel, service.environ)

    def then(verified: Verified) -> None:
        if python is not None and not managed:
            service.checked[python] = verified

    service.setup = service.run(work, tr("Verification"), then)


def accept(service: BackendService, path: Path) -> None:
    """Use an environment that the user brought along, if it proves to work."""
    python = python_of(path) if path.is_dir() else path

    def work(say: Say, cancel: threading.Event) -> Verified:
        verdict: Verdict = judge(Candidate(python, Source.CHOSEN), make=False, cancel=cancel)
        if not verdict.fits:
            raise SetupError(str(verdict.reason))
        say(tr("Check of {path} ...").format(path=python))
        return verify(python, "auto", None, service.verify_script, cancel, service.environ)

    def then(verified: Verified) -> None:
        service.checked[python] = verified
        service.use(replace(service.settings, python=str(python)))

    service.setup = service.run(work, tr("Verification"), then)
