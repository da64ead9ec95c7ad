"""Models by name: the shipped one, the user's own folder, and torchvision's ImageNet weights."""

from __future__ import annotations

import http.client
import os
import pickle  # nosec B403 - for its exception
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from ..errors import ModelError
from .checkpoint import LoadedModel, fill_encoder, load_checkpoint, with_layers
from .encoder import Encoder
from .layout import Architecture, EncoderLayout

TORCHVISION = {"resnet50-imagenet": "resnet50", "vgg16-imagenet": "vgg16"}


def load_model(name: str | None = None, layers: Sequence[int] | None = None) -> LoadedModel:
    """Load a model by path or name.

    Args:
        name: A safetensors file, a model's name, or None for the default: the first model file that is found
            in the folders of :func:`model_folders`, else torchvision's ImageNet weights.
        layers: Levels to use instead of the checkpoint's.

    Raises:
        ModelError: When it is unknown, damaged, or cannot be downloaded.
    """
    if name is None:
        for path in model_files():
            return load_checkpoint(path, layers)
        return _from_torchvision("resnet50-imagenet", layers)
    if name in TORCHVISION:
        return _from_torchvision(name, layers)
    if name.endswith(".safetensors") or Path(name).is_file():
        return load_checkpoint(Path(name).expanduser(), layers)
    known: dict[str, Path] = {}
    for path in model_files():
        known.setdefault(path.stem, path)
    if name not in known:
        names = ", ".join([*known, *TORCHVISION])
        raise ModelError(f"Unknown model {name!r}; give a .safetensors file or one of: {names}.")
    return load_checkpoint(known[name], layers)


def model_folders() -> list[Path]:
    """Where model files are looked for, in this order.

    The folders of the variable ``PROTOLABEL_MODELS``, the shipped models, the user's own, and, in a
    developer's checkout, the ``weights`` folder of a ``shared`` folder beside it.
    """
    root = Path(__file__).resolve().parents[2]
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    if os.name == "nt":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    parts = os.environ.get("PROTOLABEL_MODELS", "").split(os.pathsep)
    given = [Path(part).expanduser() for part in parts if part]
    shipped, shared = root / "resources" / "models", root.parent / "shared" / "weights"
    return [*given, shipped, data / "protolabel" / "models", shared]


def model_files() -> Iterator[Path]:
    """The model files in these folders, in order."""
    for folder in model_folders():
        # Some systems put a hidden "._model.safetensors" beside a file; it is no model.
        visible = (path for path in folder.glob("*.safetensors") if not path.name.startswith("."))
        yield from sorted(path for path in visible if path.is_file())


def _from_torchvision(name: str, layers: Sequence[int] | None) -> LoadedModel:
    """Torchvision's ImageNet weights, downloaded on first use into torch's own cache."""
    import torchvision

    architecture: Architecture = "vgg16" if TORCHVISION[name] == "vgg16" else "resnet50"
    layout = with_layers(EncoderLayout(architecture=architecture), layers)
    if architecture == "vgg16":
        weights = torchvision.models.VGG16_Weights.IMAGENET1K_V1
    else:
        weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
    try:
        tensors: dict[str, Tensor] = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, http.client.HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"The weights of {name} could not be downloaded and read ({error}); connect to the internet "
            "once, or give a .safetensors file with --model, in a training with encoder.weights."
        ) from error
    encoder = Encoder(layout)
    fill_encoder(encoder, tensors)
    trained_on = "ImageNet-1k classification (torchvision IMAGENET1K_V1)"
    return LoadedModel(encoder.eval(), name, "", {**layout.to_metadata(), "trained_on": trained_on})
