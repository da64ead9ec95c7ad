"""Keys in half precision: where the device has it, and close to those in single precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from backend.dpcl.key_precision import key_precision
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodError, MethodOptions
from backend.encoders.encoder import Encoder
from backend.episodes.episode import Episode

OPTIONS = MethodOptions(dictionary_size=32, dictionary_negatives=20, background_negatives=30, redraws=3)
CPU = torch.device("cpu")
HAS_HALF = any(
    getattr(torch.cpu, "get_capabilities", dict)().get(name) for name in ("avx512_bf16", "amx_bf16")
)


def test_single_precision_changes_nothing():
    conv, images = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    with key_precision(CPU, "single"):
        assert conv(images).equal(conv(images)) and conv(images).dtype == torch.float32


def test_half_precision_where_the_processor_has_it():
    with key_precision(CPU, "half"):
        found = torch.nn.Conv2d(3, 4, 3)(torch.rand(1, 3, 8, 8)).dtype
    assert found == (torch.bfloat16 if HAS_HALF else torch.float32)


def test_a_precision_within_another_is_kept():
    with torch.autocast("cpu", torch.bfloat16), key_precision(CPU, "single"):
        assert torch.nn.Linear(3, 4)(torch.rand(1, 3)).dtype == torch.bfloat16


def test_half_keys_are_those_in_single_precision_up_to_rounding(
    encoder: Encoder, make_episode: Callable[..., Episode]
):
    entries = {}
    for precision in ("half", "single"):
        method = DualPrototypicalContrast(encoder, replace(OPTIONS, key_precision=precision)).train()
        parts = method([make_episode()])
        assert method.dictionary is not None
        entries[precision] = method.dictionary.entries[method.dictionary.labels >= 0]
        assert entries[precision].dtype == torch.float32 and parts.class_specific > 0
    assert len(entries["half"]) > 0
    assert (F.cosine_similarity(entries["half"], entries["single"]) > 0.999).all()


def test_an_unknown_precision_is_refused():
    with pytest.raises(MethodError, match="key_precision must be half or single"):
        MethodOptions(key_precision="double")  # type: ignore[arg-type]
