"""Keys of all processes, where several GPUs train together."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor


def process_index() -> int:
    """Index of this process among those that train together, 0 where there is one."""
    return torch.distributed.get_rank() if _several() else 0


def gather_keys(keys: Tensor, labels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The valid keys of all processes, in the same order in each, so that their dictionaries stay the same.

    Args:
        keys: Shape (keys, channels); every process has as many.
        labels: Class id of each, shape (keys,).
        valid: Which to keep, shape (keys,), bool.

    Returns:
        Keys and labels; of this process alone where there is one.
    """
    if _several():
        keys, labels, valid = map(_gather, (keys.detach(), labels, valid))
    return keys[valid], labels[valid]


def _gather(tensor: Tensor) -> Tensor:
    parts = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
