"""Running an encoder fast on one device, and with smaller tiles when memory runs out."""

from __future__ import annotations

import copy
import os
import re
import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import DeviceError, ProtolabelError
from .encoder import Encoder
from .fused import fuse

_SMALLEST_SPLIT = 24  # cells; below this a tile is nearly all margin
_SPLIT_MARGIN = 8  # cells on both sides of a cut
_TRIAL = 256  # pixels per side of the image that two precisions are timed with
_WORTH = 0.75  # of the time, from which on a lower precision is worth it
# Of torch's allocators on Linux and Windows, CUDA, cuDNN and cuBLAS, and the C++ library.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed", "bad_alloc")


class EncoderRunner:
    """An encoder on its device, with batch normalisation folded into the convolutions.

    A rough one may compute in bfloat16, where the CPU is much faster so; what comes out then depends on the machine.

    On the CPU several tiles run side by side with one thread each, which uses the cores better than one tile
    with several threads.

    Attributes:
        device: Where the encoder runs.
        workers: How many tiles to encode at once.
    """

    def __init__(
        self,
        encoder: Encoder,
        device: torch.device,
        on_split: Callable[[int], None] | None = None,
        rough: bool = False,
    ) -> None:
        """Prepare an encoder.

        Args:
            encoder: It is copied.
            device: See :func:`choose_device`.
            on_split: Called with the new side in cells when tiles are halved for want of memory.
            rough: Whether features may be a little off: cosines by some 1e-4.
        """
        self.device = device
        self.stride, self.first_center, self.channels = encoder.stride, encoder.first_center, encoder.channels
        self.workers = 1 if device.type == "cuda" else cpu_count()
        self._encoder = fold_batch_norms(encoder).to(device).to(memory_format=torch.channels_last)
        if device.type == "cpu":
            self._encoder = fuse(self._encoder)
            if rough:
                self._encoder = faster(self._encoder)
        self._on_split = on_split
        self._limit: int | None = None
        self._lock = threading.Lock()  # several threads may run out of memory at the same time

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
        if self._fits(side):
            try:
                return self._forward(image)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Only here, when the exception is gone, is the memory that it held free.
            if side <= _SMALLEST_SPLIT:
                raise ProtolabelError(
                    f"Not enough memory on {self.device} even for tiles of {side * self.stride} pixels; "
                    "close other programs, or choose another device with --device."
                )
            self._lower_limit(side)
        return self._encode_halves(image, threads)

    def _fits(self, side: int) -> bool:
        return self._limit is None or side <= self._limit

    def _lower_limit(self, side: int) -> None:
        """Have all later tiles halved from this side on, unless another thread has done so by now."""
        with self._lock:
            if not self._fits(side):
                return
            self._limit = limit = (side + 1) // 2 + _SPLIT_MARGIN
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._on_split:
            self._on_split(limit)

    def _encode_halves(self, image: Tensor, threads: int | None) -> Tensor:
        axis = 1 if image.shape[1] >= image.shape[2] else 2
        cells = image.shape[axis] // self.stride
        middle, margin = cells // 2, _SPLIT_MARGIN
        first = self.encode(image.narrow(axis, 0, (middle + margin) * self.stride), threads)
        start = middle - margin
        second = self.encode(image.narrow(axis, start * self.stride, (cells - start) * self.stride), threads)
        halves = first.narrow(axis, 0, middle), second.narrow(axis, margin, cells - middle)
        return torch.cat(halves, dim=axis)

    @torch.inference_mode()
    def _forward(self, image: Tensor) -> Tensor:
        batch = image[None].to(self.device).contiguous(memory_format=torch.channels_last)
        features: Tensor = self._encoder(batch)[0]
        return features


def fold_batch_norms(encoder: nn.Module) -> nn.Module:
    """A copy with each batch normalisation folded into the convolution before it, which is faster."""
    folded = copy.deepcopy(encoder).eval()
    for module in folded.modules():
        children = dict(module.named_children())
        for index in (1, 2, 3):
            conv, norm = children.get(f"conv{index}"), children.get(f"bn{index}")
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, f"conv{index}", fuse_conv_bn_eval(conv, norm))
                setattr(module, f"bn{index}", nn.Identity())
        if isinstance(module, nn.Sequential) and len(module) == 2:
            conv, norm = module
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


class HalfPrecision(nn.Module):
    """A backbone in bfloat16 between a preprocessing and projections in full precision."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).to(torch.bfloat16)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the levels."""
        return [level.float() for level in self.backbone(x.to(torch.bfloat16))]


def faster(encoder: nn.Module) -> nn.Module:
    """The encoder, or a copy in bfloat16 where that takes much less time on this CPU.

    Times tell; that a CPU knows the instructions does not say how fast it is with them.
    """
    half = copy.copy(encoder)
    half._modules = dict(encoder._modules)
    half.backbone = HalfPrecision(encoder.get_submodule("backbone"))
    try:
        return half if _seconds(half) < _WORTH * _seconds(encoder) else encoder
    except RuntimeError:  # not on this machine
        return encoder


@torch.inference_mode()
def _seconds(encoder: nn.Module) -> float:
    """For a small image, at best."""
    image = torch.full((1, 3, _TRIAL, _TRIAL), 100.0).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(3):  # the first one also prepares
        started = time.perf_counter()
        encoder(image)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def choose_device(name: str) -> torch.device:
    """The device by name: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceError: When the name is wrong or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Torch takes more names than it has devices, and wraps large indices around: cuda:256 would be cuda:0.
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise DeviceError(f"Unknown device {name!r}; use auto, cpu, cuda or cuda:0.")
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(
            "CUDA was asked for, but torch finds no CUDA device; use --device cpu or repair the driver."
        )
    if int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"There is no {name}; the last CUDA device is cuda:{torch.cuda.device_count() - 1}."
        )
    return torch.device(name)


def cpu_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return any(part in text for part in _OUT_OF_MEMORY)
