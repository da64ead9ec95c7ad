"""Whether model files are what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open

from ..errors import ModelError
from .checkpoint import file_sha256, load_checkpoint
from .checksums import recorded_sha256

ChecksumState = Literal["right", "wrong", "not recorded", "not understood", "not readable"]


def checksum_state(path: Path) -> ChecksumState:
    """How a model file stands to the checksum that is recorded for it; the file is read, but not loaded."""
    try:
        recorded = recorded_sha256(path)
    except ModelError:
        return "not understood"
    if recorded is None:
        return "not recorded"
    try:
        return "right" if file_sha256(path) == recorded else "wrong"
    except OSError:
        return "not readable"


def verify_model(path: Path) -> None:
    """Load a model file and look at every value in it, those that labelling leaves out too.

    Args:
        path: The file.

    Raises:
        ModelError: When it does not fit the checksum recorded for it, cannot be used, or holds a value that is not
            finite.
    """
    load_checkpoint(path)
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                tensor = file.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
                    raise ModelError(
                        f"The model file {path} has values in the tensor {name} that are not finite; get it again."
                    )
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The model file {path} is damaged ({error}); get it again.") from error
