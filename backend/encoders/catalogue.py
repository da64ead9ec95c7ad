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
DEFAULT = "resnet50-imagenet"
"""Where no model file is found."""

_ROOT = Path(__file__).resolve().parents[2]


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
        return _from_torchvision(DEFAULT, layers)
    if name in TORCHVISION:
        return _from_torchvision(name, layers)
    return load_checkpoint(find_model(name), layers)


def find_model(name: str) -> Path:
    """The file of a model by path or name; of two with the same name the first one.

    Raises:
        ModelError: When it is unknown. A path to a .safetensors file is not looked at.
    """
    if name.endswith(".safetensors") or Path(name).is_file():
        return Path(name).expanduser()
    known: dict[str, Path] = {}
    for path in model_files():
        known.setdefault(path.stem, path)
    if name not in known:
        names = ", ".join([*known, *TORCHVISION])
        raise ModelError(f"Unknown model {name!r}; give a .safetensors file or one of: {names}.")
    return known[name]


def model_folders() -> list[Path]:
    """Where model files are looked for, in this order.

    The folders of the variable ``PROTOLABEL_MODELS``, the shipped models, the user's own, and, in a
    developer's checkout, the ``weights`` folder of a ``shared`` folder beside it.
    """
    parts = os.environ.get("PROTOLABEL_MODELS", "").split(os.pathsep)
    given = [Path(part).expanduser() for part in parts if part]
    return [*given, shipped_folder(), user_folder(), _ROOT.parent / "shared" / "weights"]


def shipped_folder() -> Path:
    """The folder of the models that come with the tool."""
    return _ROOT / "resources" / "models"


def user_folder() -> Path:
    """The folder of the user's own models; it need not be there yet."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    if os.name == "nt":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return data / "protolabel" / "models"


def model_files() -> Iterator[Path]:
    """The model files in these folders, in order."""
    for folder in model_folders():
        # Some systems put a hidden "._model.safetensors" beside a file; it is no model.
        visible = (path for path in folder.glob("*.safetensors") if not path.name.startswith("."))
        yield from sorted(path for path in visible if path.is_file())


def torchvision_layout(name: str) -> EncoderLayout:
    """The layout of torchvision's ImageNet weights, by the model's name."""
    architecture: Architecture = "vgg16" if TORCHVISION[name] == "vgg16" else "resnet50"
    return EncoderLayout(architecture=architecture)


def torchvision_metadata(layout: EncoderLayout) -> dict[str, str]:
    """What a file with torchvision's ImageNet weights would say about itself."""
    return {**layout.to_metadata(), "trained_on": "ImageNet-1k classification (torchvision IMAGENET1K_V1)"}


def _from_torchvision(name: str, layers: Sequence[int] | None) -> LoadedModel:
    """Torchvision's ImageNet weights, downloaded on first use into torch's own cache."""
    import torchvision

    layout = with_layers(torchvision_layout(name), layers)
    if layout.architecture == "vgg16":
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
    return LoadedModel(encoder.eval(), name, "", torchvision_metadata(layout))
