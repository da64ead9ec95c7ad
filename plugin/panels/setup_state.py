"""The state of the backend in one sentence, and what else is worth telling of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..backend_service import BackendService
from ..client.candidates import VARIABLE
from ..client.verify import Verified
from ..translation import tr


class State(Enum):
    """How the backend is."""

    READY = "ready"
    WORKING = "working"
    MISSING = "missing"
    OUTDATED = "outdated"
    BROKEN = "broken"


@dataclass(frozen=True)
class SetupState:
    """How the backend is.

    Attributes:
        state: Its kind.
        text: One sentence.
        details: More lines, each a sentence.
    """

    state: State
    text: str
    details: tuple[str, ...] = ()


def setup_state(service: BackendService) -> SetupState:
    """Look at the settings and the disk; no program is run."""
    if service.setup is not None:
        return SetupState(State.WORKING, tr("{title} is under way…").format(title=service.setup.title))
    return _chosen(service) if service.chosen else _managed(service)


def _chosen(service: BackendService) -> SetupState:
    python = service.python()
    if python is None:
        return SetupState(State.BROKEN, service.what_is_missing())
    by = tr("It is named by the variable {variable}, which goes before all settings.").format(
        variable=VARIABLE
    )
    details = [tr("Python: {path}").format(path=python)]
    details += [by] if service.chosen_by_variable else []
    verified = service.verified()
    if verified is None:
        text = tr("The backend runs in an environment of your own; Verify shows whether it works.")
        return SetupState(State.READY, text, tuple(details))
    text = tr("The backend is ready in an environment of your own: {versions}.")
    details += _about(verified, service.settings.device)
    return SetupState(State.READY, text.format(versions=_versions(verified)), tuple(details))


def _managed(service: BackendService) -> SetupState:
    found = service.environments.find()
    if found is not None:
        text = tr("The backend is ready: {versions}.").format(versions=_versions(found.verified))
        folder = tr("Folder: {folder}").format(folder=found.folder)
        return SetupState(State.READY, text, (folder, *_about(found.verified, service.settings.device)))
    leftovers = service.environments.leftovers()
    for folder in leftovers:
        if service.environments.is_current(folder):
            text = tr("The environment is not whole; install it again.")
            return SetupState(State.BROKEN, text, (tr("Folder: {folder}").format(folder=folder),))
    if leftovers:
        text = tr(
            "The environment belongs to another version of Protolabel; install the one for this version."
        )
        return SetupState(State.OUTDATED, text, (tr("Folder: {folder}").format(folder=leftovers[-1]),))
    text = tr(
        "The backend, which does the computing, is not installed yet; it gets a Python environment of its own."
    )
    return SetupState(State.MISSING, text)


def _versions(verified: Verified) -> str:
    names = {"python": "Python", "torch": "PyTorch", "rasterio": "rasterio"}
    shown = (f"{names[key]} {value}" for key, value in verified.versions.items() if key in names)
    return ", ".join(shown)


def _about(verified: Verified, asked: str) -> list[str]:
    used = verified.card or (tr("CPU") if verified.device == "cpu" else verified.device)
    names = {"auto": tr("automatic"), "cpu": tr("CPU")}
    about = [tr("Device: {used} (chosen: {asked})").format(used=used, asked=names.get(asked, asked))]
    if verified.note:
        about.append(
            tr("The graphics card is not used: {reason}.").format(
                reason=verified.note.split(". ")[0].rstrip(".")
            )
        )
    if not verified.crf:
        reason = verified.crf_note or tr("the package pydensecrf2 is missing.")
        text = tr("Labels are not refined with DenseCRF: {reason} After that, Repair adds it.")
        about.append(text.format(reason=reason))
    return about
