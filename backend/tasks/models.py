"""``models``: which models and devices there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..encoders.catalogue import TORCHVISION, model_files, model_folders
from ..encoders.model_card import model_card, torchvision_card
from ..encoders.runner import cpu_count
from ..errors import ModelError


def models() -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Models`."""
    # Without a path, it is downloaded on first use.
    found: list[dict[str, str | None]] = [
        {"name": path.stem, "path": str(path), "card": _card(path)} for path in model_files()
    ]
    found += [{"name": name, "path": None, "card": torchvision_card(name)} for name in TORCHVISION]
    devices = [{"name": "cpu", "title": f"{cpu_count()} cores"}]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            devices.append({"name": f"cuda:{index}", "title": torch.cuda.get_device_name(index)})
    return {"models": found, "folders": [str(folder) for folder in model_folders()], "devices": devices}


def _card(path: Path) -> str:
    """A model's card; of a file that cannot be read it tells that, since its name is offered all the same."""
    try:
        return model_card(path)
    except ModelError as error:
        return str(error)
