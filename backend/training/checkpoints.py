"""Checkpoints that survive a kill at any moment, and the model files that come out of a run."""

from __future__ import annotations

import os
import subprocess  # nosec B404 # asks git for the revision, without a shell
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from ..encoders.checkpoint import save_checkpoint
from ..encoders.encoder import Encoder


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames: what is under the name is always whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; Lightning calls this."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_model(encoder: Encoder, path: Path, card: Mapping[str, str]) -> None:
    """Write an encoder with its card, which travels inside the file.

    Args:
        encoder: The encoder.
        path: A .safetensors file.
        card: What it was trained on and how; see ``model_card``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(encoder, path, card)


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
