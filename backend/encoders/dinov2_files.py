"""DINOv2 files as they are published: recognised by the names and shapes of their tensors.

They come under the names of transformers, which splits queries, keys and values, or under those of DINOv2's own code,
which timm keeps. Neither has metadata that say what it is. What other networks have too is not enough to be taken for
a DINOv2: all tensors must be there, fit, and be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ..errors import ModelError
from .vision_transformer import PATCH, TransformerSize, VisionTransformer

Shape = tuple[int, ...]

_BLOCK = re.compile(r"(encoder\.layer|blocks)\.(\d{1,4})\.")
_MARK = re.compile(r"encoder\.layer\.\d+\.layer_scale[12]\.lambda1|blocks\.\d+\.ls[12]\.gamma")
_REGISTERS = ("embeddings.register_tokens", "register_tokens", "reg_token")
_UNUSED = ("embeddings.mask_token", "mask_token")  # of the training
_RENAMED = {
    "cls_token": "embeddings.cls_token",  # nosec B105 # the name of a tensor
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "blocks.": "encoder.layer.",
    "attn.proj.": "attention.output.dense.",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}


def dinov2_size(shapes: Mapping[str, Shape]) -> TransformerSize | None:
    """The sizes of the DINOv2 whose tensors these are, or None when they are those of something else.

    Args:
        shapes: Of all tensors of a file, by name.

    Raises:
        ModelError: When they nearly are a DINOv2's: a tensor is missing, does not fit, or is one too many.
    """
    if not any(_MARK.fullmatch(name) for name in shapes):
        return None
    if any(name in shapes for name in _REGISTERS):
        raise ModelError("it is a DINOv2 with register tokens; take one without.")
    size = _measured(shapes)
    expected = _expected(size, _is_transformers(shapes))
    for name, shape in expected.items():
        if _shape(shapes, name) != shape:
            raise ModelError(
                f"the tensor {name} has the shape {shapes[name]}, not {shape} as in a DINOv2; get the file again."
            )
    surplus = sorted(shapes.keys() - expected.keys() - set(_UNUSED))
    if surplus:
        raise ModelError(f"it has tensors that a DINOv2 has not, like {surplus[0]}.")
    return size


def dinov2_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file under the names of :class:`VisionTransformer`.

    Args:
        tensors: That :func:`dinov2_size` has found to be a DINOv2's.

    Raises:
        ModelError: When they are no floating-point numbers.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ModelError(f"the tensor {name} has the type {tensor.dtype}, not a floating-point one.")
    if not _is_transformers(tensors):
        return {name: tensor for name, tensor in tensors.items() if name not in _UNUSED}
    depth = len(_blocks(tensors))
    # Sizes beside the depth change no name.
    names = _network_shapes(TransformerSize(64, depth, 1, 1))
    return {name: torch.cat([tensors[part] for part in _in_transformers(name)]) for name in names}


def _measured(shapes: Mapping[str, Shape]) -> TransformerSize:
    """The sizes, each from a tensor that shows it."""
    transformers = _is_transformers(shapes)
    patch, positions, hidden = (
        _shape(shapes, _in_transformers(name)[0] if transformers else name)
        for name in ("patch_embed.proj.weight", "pos_embed", "blocks.0.mlp.fc1.weight")
    )
    if len(patch) != 4 or patch[1:] != (3, PATCH, PATCH):
        raise ModelError(f"its patch embedding has the shape {patch}, not (..., 3, {PATCH}, {PATCH}).")
    count = positions[1] - 1 if len(positions) == 3 else -1
    side = round(max(count, 0) ** 0.5)
    if side < 1 or side**2 != count:
        raise ModelError(
            f"its position embeddings have the shape {positions}; a DINOv2 has one for each patch of a square and "
            "one for its class token."
        )
    return TransformerSize(patch[0], len(_blocks(shapes)), hidden[0] if hidden else 0, side)


def _expected(size: TransformerSize, transformers: bool) -> dict[str, Shape]:
    """Name and shape of each tensor of a file."""
    shapes = _network_shapes(size)
    if not transformers:
        return shapes
    expected = {}
    for name, (first, *rest) in shapes.items():
        parts = _in_transformers(name)
        expected.update(dict.fromkeys(parts, (first // len(parts), *rest)))
    return expected


def _network_shapes(size: TransformerSize) -> dict[str, Shape]:
    """Name and shape of each parameter of the network; it takes no memory."""
    with torch.device("meta"):
        network = VisionTransformer(size, PATCH)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _in_transformers(name: str) -> Sequence[str]:
    """What a parameter of the network is called in transformers; three names for one that is split there."""
    for ours, theirs in _RENAMED.items():
        name = name.replace(ours, theirs)
    if name.startswith("norm."):
        name = "layer" + name
    if "attn.qkv." in name:
        return [
            name.replace("attn.qkv.", f"attention.attention.{part}.") for part in ("query", "key", "value")
        ]
    return [name]


def _is_transformers(names: Iterable[str]) -> bool:
    return any(name.startswith("encoder.layer.") for name in names)


def _blocks(names: Iterable[str]) -> set[int]:
    """The numbers of the blocks that names belong to."""
    return {int(found[2]) for name in names if (found := _BLOCK.match(name))}


def _shape(shapes: Mapping[str, Shape], name: str) -> Shape:
    if name not in shapes:
        raise ModelError(f"the tensor {name} of a DINOv2 is missing; get the file again, or another one.")
    return shapes[name]
