"""What a checkpoint says about itself: architecture, layer strides, preprocessing, projections.

The description travels as the flat string metadata of a safetensors file, so that a person can read it with
any safetensors viewer::

    architecture: resnet50                        or vgg16, or dinov2_vits14 and the like
    layers:       2,3
    stride:       on conv2 (3x3)                  or: on conv1 (1x1) of layer2.0 and layer3.0
    bn_eps:       1e-5
    input:        RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)
    projections:  layer2:512,layer3:512           or absent
    level_scales: 1.0,1.0                         or absent
    compression:  256 channels, 3x3, dilation 1   or with ", relu" behind it, or absent
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from ..errors import ModelError
from .vision_transformer import TRANSFORMER_NAMES, TransformerSize

Architecture = Literal["resnet50", "vgg16", "dinov2"]
StrideOn = Literal["conv1", "conv2"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TRIPLE = rf"\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)"
_INPUT = re.compile(
    rf"^\s*(RGB|BGR)\s*,\s*0\.\.(255|1)\s*(?:,\s*minus\s*{_TRIPLE})?\s*(?:,\s*divided by\s*{_TRIPLE})?\s*$",
    re.IGNORECASE,
)
# What follows may name the other convolution ("not on conv2 as in torchvision").
_STRIDE = re.compile(r"^\s*(?:on\s+)?(conv1|conv2)\b", re.I)
_PROJECTION = re.compile(r"^\s*layer(\d+)\s*:\s*(\d+)\s*$", re.I)
_COMPRESSION = re.compile(
    r"^\s*(\d+)\s+channels\s*,\s*3\s*x\s*3\s*,\s*dilation\s+(\d+)\s*(,\s*relu)?\s*$", re.I
)
_WIDEST = 65_536  # channels; keeps a damaged number from filling the memory
_FARTHEST = 64  # cells; of a dilation


@dataclass(frozen=True)
class Preprocessing:
    """How an 8-bit image becomes the encoder's input: ``(image / 255 * high - mean) / std``.

    Attributes:
        order: "RGB" or "BGR", the channel order that the network was trained on; ``mean`` and ``std`` have
            that order.
        high: 1 or 255, the upper end of the value range before the mean is taken off.
        mean: Per channel, in the units of ``high``.
        std: Per channel, in the units of ``high``.
    """

    order: Literal["RGB", "BGR"] = "RGB"
    high: float = 1.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ModelError(
                f"The checkpoint's input has the mean {self.mean} and the deviation {self.std}; they must be "
                "finite, and the deviation above 0."
            )

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Read the ``input`` line of a checkpoint's metadata.

        Raises:
            ModelError: When the line is not understood.
        """
        found = _INPUT.match(text)
        if found is None:
            raise ModelError(
                f"The checkpoint's input description {text!r} is not understood; write it like "
                "'RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)'."
            )
        order, high, *numbers = found.groups()
        mean = cast("tuple[float, float, float]", tuple(float(n or 0) for n in numbers[:3]))
        std = cast("tuple[float, float, float]", tuple(float(n or 1) for n in numbers[3:]))
        return cls(cast('Literal["RGB", "BGR"]', order.upper()), float(high), mean, std)

    def __str__(self) -> str:
        mean, std = (", ".join(map(_exact, values)) for values in (self.mean, self.std))
        return f"{self.order}, 0..{self.high:g}, minus ({mean}), divided by ({std})"


@dataclass(frozen=True)
class Compression:
    """The 3 x 3 convolution behind the concatenated levels of Jiang et al. ("another 3 x 3 convolution", Section II-C).

    The letter says nothing of an activation; none is the default, since a cosine needs both signs. CANet, whose network
    its description follows, has a dilation of 2 and a ReLU.

    Attributes:
        channels: That come out of it, 256 in the letter.
        dilation: Cells between the points of the kernel.
        relu: Whether a ReLU follows.
    """

    channels: int = 256
    dilation: int = 1
    relu: bool = False

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= _WIDEST and 1 <= self.dilation <= _FARTHEST):
            raise ModelError(
                f"The compression must have 1 to {_WIDEST} channels and a dilation of 1 to {_FARTHEST}, not "
                f"{self.channels} and {self.dilation}."
            )

    @classmethod
    def parse(cls, text: str) -> Compression:
        """Read the ``compression`` line of a checkpoint's metadata.

        Raises:
            ModelError: When the line is not understood.
        """
        found = _COMPRESSION.match(text)
        if found is None:
            raise ModelError(
                f"The checkpoint's compression {text!r} is not understood; write it like '{cls()}', with ', relu' "
                "behind it where a ReLU follows."
            )
        return cls(int(found[1]), int(found[2]), found[3] is not None)

    def __str__(self) -> str:
        return f"{self.channels} channels, 3x3, dilation {self.dilation}" + (", relu" if self.relu else "")


@dataclass(frozen=True)
class EncoderLayout:
    """Everything besides the weights that decides what an encoder computes.

    Attributes:
        architecture: "resnet50", "vgg16" or "dinov2".
        layers: The levels that are concatenated, any of 2, 3 and 4, ascending (DPCL, Table 4; Jiang et al.
            use 2 and 3); of a DINOv2 its last block alone.
        stride_on: Which convolution of a ResNet bottleneck carries the stride: the 3 x 3 (torchvision) or the
            first 1 x 1 (the original paper, Keras).
        bn_eps: Epsilon of the batch normalisation that the weights were trained with.
        preprocessing: From an 8-bit image to the network's input.
        projections: Output channels of the one-layer projection of each level (DPCL, Section 4.1), or empty.
        level_scales: A factor per level before concatenation, or empty for 1.
        compression: A convolution of the concatenated levels, or None.
        transformer: The sizes of a DINOv2, which its tensors tell; None for others.
    """

    architecture: Architecture = "resnet50"
    layers: tuple[int, ...] = (2, 3)
    stride_on: StrideOn = "conv2"
    bn_eps: float = 1e-5
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    projections: tuple[int, ...] = ()
    level_scales: tuple[float, ...] = ()
    compression: Compression | None = None
    transformer: TransformerSize | None = None

    def __post_init__(self) -> None:
        if self.architecture not in get_args(Architecture):
            raise ModelError(
                f"Unknown architecture {self.architecture!r}; known are resnet50, vgg16, "
                f"{', '.join(TRANSFORMER_NAMES)}."
            )
        if (self.architecture == "dinov2") != (self.transformer is not None):
            raise ModelError(
                "The checkpoint's tensors are not those of a DINOv2 by the names of transformers or timm."
            )
        if self.transformer is not None:
            self._check_transformer(self.transformer)
            return
        if not self.layers or any(level not in (2, 3, 4) for level in self.layers):
            raise ModelError(f"Layers must be some of 2, 3 and 4, not {self.layers}.")
        if list(self.layers) != sorted(set(self.layers)):
            raise ModelError(f"Layers must be ascending, each once, not {self.layers}.")
        if not (math.isfinite(self.bn_eps) and self.bn_eps > 0):
            raise ModelError(f"The checkpoint's bn_eps must be above 0, not {self.bn_eps}.")
        if any(not 1 <= size <= _WIDEST for size in self.projections):
            raise ModelError(f"Projections must have 1 to {_WIDEST} channels, not {self.projections}.")
        if not all(math.isfinite(scale) and scale > 0 for scale in self.level_scales):
            raise ModelError(f"The checkpoint's level_scales must be above 0, not {self.level_scales}.")
        for name, values in (("projections", self.projections), ("level_scales", self.level_scales)):
            if values and len(values) != len(self.layers):
                raise ModelError(f"The checkpoint names {len(values)} {name} for {len(self.layers)} layers.")

    def _check_transformer(self, size: TransformerSize) -> None:
        if self.layers != (size.depth,):
            raise ModelError(f"A DINOv2 has one output, layer {size.depth}, and not {self.layers}.")
        if self.projections or self.level_scales or self.compression:
            raise ModelError("A DINOv2 has no projections, level_scales and compression; leave them out.")

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, str], transformer: TransformerSize | None = None
    ) -> EncoderLayout:
        """Read the layout from a safetensors file's metadata.

        Args:
            metadata: The flat string metadata; ``architecture`` and ``input`` are required.
            transformer: The sizes of the DINOv2 whose tensors the file holds, or None.

        Raises:
            ModelError: When a required entry is missing or not understood.
        """
        missing = [key for key in ("architecture", "input") if key not in metadata]
        if missing:
            lacking = " and ".join(missing)
            raise ModelError(
                f"The checkpoint's metadata lacks {lacking}, which its tensors do not tell; add them as README.md "
                "says under Models."
            )
        words = metadata["architecture"].lower().split()
        architecture = _architecture(words[0] if words else "", transformer)
        size = transformer if architecture == "dinov2" else None
        compression = metadata.get("compression", "")
        try:
            layers = tuple(
                int(part) for part in _parts(metadata.get("layers", str(size.depth) if size else "2,3"))
            )
            return cls(
                architecture=architecture,
                layers=layers,
                stride_on=_stride_on(metadata.get("stride", "on conv2")),
                bn_eps=float(metadata.get("bn_eps", "1e-5")),
                preprocessing=Preprocessing.parse(metadata["input"]),
                projections=_projections(metadata.get("projections", ""), layers),
                level_scales=tuple(float(part) for part in _parts(metadata.get("level_scales", ""))),
                compression=Compression.parse(compression) if compression.strip() else None,
                transformer=size,
            )
        except ValueError as error:
            raise ModelError(f"The checkpoint's metadata is malformed ({error}).") from error

    def to_metadata(self) -> dict[str, str]:
        """The same as strings, for a safetensors file; ``from_metadata`` reads it back."""
        if self.transformer is not None:
            layer, own = str(self.transformer.depth), str(self.preprocessing)
            return {"architecture": self.transformer.name, "layers": layer, "input": own}
        metadata = {
            "architecture": self.architecture,
            "layers": ",".join(map(str, self.layers)),
            "stride": "on conv1 (1x1)" if self.stride_on == "conv1" else "on conv2 (3x3)",
            "bn_eps": _exact(self.bn_eps),
            "input": str(self.preprocessing),
        }
        if self.projections:
            pairs = zip(self.layers, self.projections, strict=True)
            metadata["projections"] = ",".join(f"layer{level}:{size}" for level, size in pairs)
        if self.level_scales:
            metadata["level_scales"] = ",".join(map(_exact, self.level_scales))
        if self.compression is not None:
            metadata["compression"] = str(self.compression)
        return metadata


def _architecture(word: str, transformer: TransformerSize | None) -> Architecture:
    """The architecture by the name in the metadata, which for a DINOv2 may tell its size."""
    if word.startswith("dinov2_") and transformer is not None and word != transformer.name:
        raise ModelError(
            f"The checkpoint's metadata name a {word}, but its tensors are those of "
            f"{transformer.depth} blocks of {transformer.width} channels."
        )
    return cast("Architecture", "dinov2" if word in TRANSFORMER_NAMES else word)


def _stride_on(text: str) -> StrideOn:
    found = _STRIDE.match(text)
    if found is None:
        raise ModelError(f"The stride {text!r} is not understood; write 'on conv1' or 'on conv2'.")
    return cast("StrideOn", found[1].lower())


def _projections(text: str, layers: tuple[int, ...]) -> tuple[int, ...]:
    found = [_PROJECTION.match(part) for part in _parts(text)]
    sizes = {int(match[1]): int(match[2]) for match in found if match}
    if len(sizes) != len(found) or (sizes and set(sizes) != set(layers)):
        raise ModelError(
            f"The checkpoint's projections {text!r} do not fit its layers {layers}; write one for each, like "
            "'layer2:512,layer3:512'."
        )
    return tuple(sizes[level] for level in layers) if sizes else ()


def _exact(value: float) -> str:
    """The shortest text that reads back as the same number, without a needless ".0"."""
    return repr(float(value)).removesuffix(".0")


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part.strip()]
