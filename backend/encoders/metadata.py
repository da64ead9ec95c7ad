"""What a model says about itself, without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from .catalogue import TORCHVISION, find_model, model_files


def model_metadata(name: str | None) -> Mapping[str, str]:
    """The metadata of a model file.

    Args:
        name: As for ``load_model``.

    Returns:
        Empty for torchvision's weights and for a file that cannot be read, which is told when it is loaded.

    Raises:
        ModelError: When there is no such model.
    """
    path: Path | None = next(model_files(), None) if name is None else None
    if name is not None and name not in TORCHVISION:
        path = find_model(name)
    if path is None:
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}
