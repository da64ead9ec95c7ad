"""The precision of the keys: half where that is faster, since no gradient flows through them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch

from .options import KeyPrecision


def key_precision(device: torch.device, precision: KeyPrecision) -> AbstractContextManager[object]:
    """Within, networks run in bfloat16 where that is asked for and the device computes in it, else as before.

    The device's instructions decide, not a trial: a run that is resumed must take the same course.
    """
    if precision == "half" and _computes_in_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch
    return device.type == "cpu" and any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))
