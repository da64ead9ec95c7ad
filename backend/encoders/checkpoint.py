"""Encoders in safetensors files: weights under torchvision's names, the layout in the metadata.

A DINOv2 is taken as it is published as well: under other names, without metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from ..errors import ModelError
from .checksums import check_sha256
from .dinov2_files import dinov2_size, dinov2_tensors
from .encoder import Encoder
from .layout import EncoderLayout


@dataclass(frozen=True)
class LoadedModel:
    """An encoder and where it came from.

    Attributes:
        encoder: In evaluation mode on the CPU.
        name: For people: the catalogue's name or the file's.
        sha256: Of the checkpoint file, "" for weights that are not from a file.
        metadata: Everything that the checkpoint says about itself; of a DINOv2 also its layout.
    """

    encoder: Encoder
    name: str
    sha256: str
    metadata: Mapping[str, str]


def load_checkpoint(path: Path, layers: Sequence[int] | None = None) -> LoadedModel:
    """Load an encoder from a safetensors file.

    Args:
        path: The file.
        layers: Levels to use instead of those that the checkpoint names; only without projections and compression.

    Raises:
        ModelError: When the file is missing or damaged, does not fit the checksum recorded beside it, its metadata
            are not understood, or its tensors are not those of the architecture that it names. Weights are never
            left at random values.
    """
    if not path.is_file():
        raise ModelError(f"The model file {path} does not exist; check the path.")
    try:
        sha256 = file_sha256(path)
        check_sha256(path, sha256)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The model file {path} is damaged ({error}); get it again.") from error
    try:
        layout = with_layers(_layout(metadata, {name: tuple(t.shape) for name, t in tensors.items()}), layers)
        if layout.transformer is not None:
            tensors = dinov2_tensors(tensors)
            metadata = {**metadata, **layout.to_metadata()}
        encoder = Encoder(layout)
        fill_encoder(encoder, tensors)
    except ModelError as error:
        raise ModelError(f"The model file {path} cannot be used: {error}") from error
    return LoadedModel(encoder.eval(), path.stem, sha256, metadata)


def save_checkpoint(encoder: Encoder, path: Path, metadata: Mapping[str, str], half: bool = False) -> None:
    """Write an encoder as a safetensors file that :func:`load_checkpoint` reads.

    Args:
        encoder: The encoder.
        path: Written as ``*.part`` first.
        metadata: More to say about it; the layout is added.
        half: Store convolutions in half precision. Batch normalisation stays in single: its variances can be
            larger than half precision holds, and it is small.
    """
    tensors = {}
    for name, tensor in encoder.state_dict().items():
        name = name.removeprefix("backbone.")
        convert = half and tensor.ndim > 1
        tensors[name] = (tensor.half() if convert else tensor).detach().cpu().contiguous()
    part = path.with_name(path.name + ".part")
    try:
        # Not by safetensors' own function, whose files nobody else may read.
        part.write_bytes(save(tensors, {**metadata, **encoder.layout.to_metadata()}))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def with_layers(layout: EncoderLayout, layers: Sequence[int] | None) -> EncoderLayout:
    """The layout with other levels.

    Raises:
        ModelError: When the layout has projections or a compression, which were trained for the levels that it names,
            or is a DINOv2's.
    """
    if not layers or tuple(sorted(layers)) == layout.layers:
        return layout
    if layout.transformer is not None:
        raise ModelError("a DINOv2 has one output, that of its last block; leave the layers as they are.")
    if layout.projections or layout.compression:
        what = "projections were" if layout.projections else "compression was"
        raise ModelError(f"its {what} trained for the layers {layout.layers}; leave the layers as they are.")
    return replace(layout, layers=tuple(sorted(layers)), level_scales=())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fill_encoder(encoder: Encoder, tensors: Mapping[str, Tensor]) -> None:
    """Copy a checkpoint's tensors into an encoder.

    Tensors of parts that the encoder does not have, like a classifier or deeper levels, are left out.

    Args:
        encoder: All that it has must be there and fit.
        tensors: By torchvision's names.

    Raises:
        ModelError: When a tensor is missing or does not fit, or when the checkpoint has more of a part than
            the encoder: a deeper network runs as a shallower one, but computes wrongly.
    """
    target = {name.removeprefix("backbone."): tensor for name, tensor in encoder.state_dict().items()}
    for name, parameter in target.items():
        source = tensors.get(name)
        if source is None:
            if name.endswith("num_batches_tracked"):
                continue
            raise ModelError(f"the tensor {name} is missing; choose other layers or another model.")
        if source.shape != parameter.shape:
            shapes = f"{tuple(source.shape)}, not {tuple(parameter.shape)}"
            raise ModelError(f"the tensor {name} has the shape {shapes}; get the file again.")
        if source.is_floating_point() != parameter.is_floating_point():
            raise ModelError(f"the tensor {name} has the type {source.dtype}, not {parameter.dtype}.")
        parameter.copy_(source)
        if not torch.isfinite(parameter).all():
            raise ModelError(f"the tensor {name} holds values that are not finite.")
        if name.endswith("running_var") and (parameter < 0).any():
            raise ModelError(f"the tensor {name} holds negative variances.")
    # VGG's one list of features is cut at the deepest level, so there a surplus is right.
    parts = {"projections", "compression", *(_part(name) for name in target)} - {"features"}
    surplus = sorted(name for name in tensors if name not in target and _part(name) in parts)
    if surplus:
        raise ModelError(f"it has tensors that its architecture does not know, like {surplus[0]}.")


def read_layout(path: Path) -> EncoderLayout:
    """The layout of a safetensors file, of which only the header is read.

    Raises:
        ModelError: When the file is missing or damaged, or nothing tells what it computes.
    """
    if not path.is_file():
        raise ModelError(f"The model file {path} does not exist; check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The model file {path} is damaged ({error}); get it again.") from error
    try:
        return _layout(metadata, shapes)
    except ModelError as error:
        raise ModelError(f"The model file {path} cannot be used: {error}") from error


def _layout(metadata: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> EncoderLayout:
    """What the metadata tell, else the tensors where these are a DINOv2's, whose input is as torchvision's."""
    size = dinov2_size(shapes)
    if size is not None and not metadata.keys() & {"architecture", "input"}:
        return EncoderLayout("dinov2", (size.depth,), transformer=size)
    return EncoderLayout.from_metadata(metadata, size)


def _part(name: str) -> str:
    return name.partition(".")[0]
