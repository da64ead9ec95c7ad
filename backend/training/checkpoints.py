"""Checkpoints that survive a kill at any moment, and the model files that come out of a run."""

from __future__ import annotations

import os
import subprocess  # nosec B404 # asks git for the revision, without a shell
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError  # nosec B403 # torch unpickles weights only
from typing import Any

import torch
from safetensors import SafetensorError

from ..encoders.checkpoint import save_checkpoint
from ..encoders.encoder import Encoder
from ..errors import OutputError, ProtolabelError


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside its place and rename it: what is under the name is always whole.

    Args:
        checkpoint: Tensors, numbers, texts and containers of them.
        path: The file; its folder is made.

    Raises:
        OutputError: When it cannot be written.
    """
    # Always the same name: what a killed run leaves of it, the next checkpoint overwrites.
    part = path.with_name(path.name + ".part")
    with told_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, onto the CPU.

    Raises:
        ProtolabelError: When it is damaged.
    """
    with told_damaged(path):
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


@contextmanager
def told_damaged(path: Any) -> Iterator[None]:
    """Within, a checkpoint is read.

    Raises:
        ProtolabelError: In the place of what torch and the system raise for a damaged file.
    """
    try:
        yield
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise ProtolabelError(
            f"The checkpoint {path} is damaged ({_reason(error)}); remove it to train from the beginning."
        ) from error


def checkpoint_path(folder: Path) -> Path:
    """Where the run in a folder has the checkpoint that it is continued from."""
    return folder / "checkpoints" / "last.ckpt"


def write_model(encoder: Encoder, path: Path, card: Mapping[str, str]) -> None:
    """Write an encoder with its card, which travels inside the file.

    Args:
        encoder: The encoder.
        path: A .safetensors file.
        card: What it was trained on and how; see ``model_card``.

    Raises:
        OutputError: When it cannot be written.
    """
    with told_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(encoder, path, card)


@contextmanager
def told_unwritable(path: Path) -> Iterator[None]:
    """Within, a file of a run is written beside its place and put there when it is whole.

    Args:
        path: The file or folder, for the message.

    Raises:
        OutputError: In the place of what torch, safetensors and the system raise on a full or write-protected disk.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise OutputError(
            f"{path} cannot be written ({_reason(error)}); what was saved before is kept: mend the disk, or choose "
            "another output."
        ) from error


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    """What the system says, where it says something: of a full disk, torch tells only at which byte it stopped."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return " ".join(str(error).split()).rstrip(".")


def git_revision(folder: Path) -> str:
    """The revision of the code, with "+" behind it when it was changed since; empty outside of a checkout."""
    try:
        described = subprocess.run(  # nosec B603, B607 # fixed arguments
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()
