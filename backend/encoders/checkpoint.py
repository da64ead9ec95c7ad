"""Encoders in safetensors files: weights under torchvision's names, the layout in the metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import ModelError
from .encoder import Encoder
from .layout import EncoderLayout


@dataclass(frozen=True)
class LoadedModel:
    """An encoder and where it came from.

    Attributes:
        encoder: In evaluation mode on the CPU.
        name: For people: the catalogue's name or the file's.
        sha256: Of the checkpoint file, "" for weights that are not from a file.
        metadata: Everything that the checkpoint says about itself.
    """

    encoder: Encoder
    name: str
    sha256: str
    metadata: Mapping[str, str]


def load_checkpoint(path: Path, layers: Sequence[int] | None = None) -> LoadedModel:
    """Load an encoder from a safetensors file.

    Args:
        path: The file.
        layers: Levels to use instead of those that the checkpoint names; only without projections.

    Raises:
        ModelError: When the file is missing or damaged, its metadata are not understood, or its tensors are not
            those of the architecture that it names. Weights are never left at random values.
    """
    if not path.is_file():
        raise ModelError(f"The model file {path} does not exist; check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The model file {path} is damaged ({error}); get it again.") from error
    try:
        layout = with_layers(EncoderLayout.from_metadata(metadata), layers)
        encoder = Encoder(layout)
        fill_encoder(encoder, tensors)
    except ModelError as error:
        raise ModelError(f"The model file {path} cannot be used: {error}") from error
    return LoadedModel(encoder.eval(), path.stem, file_sha256(path), metadata)


def save_checkpoint(encoder: Encoder, path: Path, metadata: Mapping[str, str], half: bool = False) -> None:
    """Write an encoder as a safetensors file that :func:`load_checkpoint` reads.

    Args:
        encoder: The encoder.
        path: Written as ``*.part`` first.
        metadata: More to say about it; the layout is added.
        half: Store floating-point weights in half precision.
    """
    tensors = {}
    for name, tensor in encoder.state_dict().items():
        name = name.removeprefix("backbone.")
        convert = half and tensor.is_floating_point()
        tensors[name] = (tensor.half() if convert else tensor).detach().cpu().contiguous()
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, {**metadata, **encoder.layout.to_metadata()})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def with_layers(layout: EncoderLayout, layers: Sequence[int] | None) -> EncoderLayout:
    """The layout with other levels.

    Raises:
        ModelError: When the layout has projections, which were trained for the levels that it names.
    """
    if not layers or tuple(layers) == layout.layers:
        return layout
    if layout.projections:
        raise ModelError(f"its projections were trained for the layers {layout.layers}; leave the layers as they are.")
    return replace(layout, layers=tuple(sorted(layers)), level_scales=())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fill_encoder(encoder: Encoder, tensors: Mapping[str, Tensor]) -> None:
    """Copy a checkpoint's tensors into an encoder; all that the encoder has must be there and fit."""
    target = encoder.state_dict()
    for name, parameter in target.items():
        source = tensors.get(name.removeprefix("backbone."))
        if source is None:
            if name.endswith("num_batches_tracked"):
                continue
            raise ModelError(f"the tensor {name.removeprefix('backbone.')} is missing.")
        if source.shape != parameter.shape:
            raise ModelError(f"the tensor {name} has the shape {tuple(source.shape)}, not {tuple(parameter.shape)}.")
        if not torch.isfinite(source).all():
            raise ModelError(f"the tensor {name} holds values that are not finite.")
        parameter.copy_(source)

