"""Running an encoder fast on one device, and with smaller tiles when memory runs out."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import DeviceError, ProtolabelError
from .encoder import Encoder

_SMALLEST_SPLIT = 24  # cells; below this a tile is nearly all margin
_SPLIT_MARGIN = 8  # cells on both sides of a cut


class EncoderRunner:
    """An encoder on its device, with batch normalisation folded into the convolutions.

    On the CPU several tiles run side by side with one thread each, which uses the cores better than one tile with
    several threads.

    Attributes:
        device: Where the encoder runs.
        workers: How many tiles to encode at once.
    """

    def __init__(self, encoder: Encoder, device: torch.device, on_split: Callable[[int], None] | None = None) -> None:
        """Prepare an encoder.

        Args:
            encoder: It is copied.
            device: See :func:`choose_device`.
            on_split: Called with the new side in cells when tiles are halved for want of memory.
        """
        self.device = device
        self.stride, self.first_center, self.channels = encoder.stride, encoder.first_center, encoder.channels
        self.workers = 1 if device.type == "cuda" else cpu_count()
        self._encoder = fold_batch_norms(encoder).eval().to(device, memory_format=torch.channels_last)
        self._on_split = on_split
        self._limit: int | None = None

    def encode(self, image: Tensor, threads: int | None = None) -> Tensor:
        """Encode one image.

        Args:
            image: Values 0..255, shape (3, height, width), both multiples of 8.
            threads: CPU threads for this call; None leaves torch's setting.

        Returns:
            Features with shape (channels, height / 8, width / 8) on the device.

        Raises:
            ProtolabelError: When even the smallest tile does not fit into memory.
        """
        if threads is not None and self.device.type == "cpu" and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        side = max(image.shape[1:]) // self.stride
        if self._limit is None or side <= self._limit:
            try:
                return self._forward(image)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
        if side < 2 * _SMALLEST_SPLIT:
            raise ProtolabelError(
                f"Not enough memory on {self.device} even for tiles of {side * self.stride} pixels; close other "
                "programs, or choose another device with --device."
            )
        # The first failure lowers the limit for all tiles after it; further failures below it lower it again.
        if self._limit is None or side <= self._limit:
            self._limit = (side + 1) // 2 + _SPLIT_MARGIN
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            if self._on_split:
                self._on_split(self._limit)
        return self._encode_halves(image, threads)

    def _encode_halves(self, image: Tensor, threads: int | None) -> Tensor:
        axis = 1 if image.shape[1] >= image.shape[2] else 2
        cells = image.shape[axis] // self.stride
        middle, margin = cells // 2, _SPLIT_MARGIN
        first = self.encode(image.narrow(axis, 0, (middle + margin) * self.stride), threads)
        start = middle - margin
        second = self.encode(image.narrow(axis, start * self.stride, (cells - start) * self.stride), threads)
        return torch.cat([first.narrow(axis, 0, middle), second.narrow(axis, margin, cells - middle)], dim=axis)

    @torch.inference_mode()
    def _forward(self, image: Tensor) -> Tensor:
        batch = image[None].to(self.device).contiguous(memory_format=torch.channels_last)
        features: Tensor = self._encoder(batch)[0]
        return features


def fold_batch_norms(encoder: nn.Module) -> nn.Module:
    """A copy with each batch normalisation folded into the convolution before it; computes the same, faster."""
    folded = copy.deepcopy(encoder).eval()
    for module in folded.modules():
        children = dict(module.named_children())
        for index in (1, 2, 3):
            conv, norm = children.get(f"conv{index}"), children.get(f"bn{index}")
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, f"conv{index}", fuse_conv_bn_eval(conv, norm))
                setattr(module, f"bn{index}", nn.Identity())
        if isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], nn.BatchNorm2d):
            module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), nn.Identity()
    return folded


def choose_device(name: str) -> torch.device:
    """The device by name: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceError: When the name is wrong or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"Unknown device {name!r}; use auto, cpu, cuda or cuda:0.") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"Unknown device {name!r}; use auto, cpu, cuda or cuda:0.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("CUDA was asked for, but torch finds no CUDA device; use --device cpu or repair the driver.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"There is no {name}; the last CUDA device is cuda:{torch.cuda.device_count() - 1}.")
    return device


def cpu_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return any(part in text for part in ("can't allocate memory", "not enough memory", "out of memory"))
