"""Verifying finds what loading would, and what it would not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backend.encoders.checkpoint import file_sha256
from backend.encoders.checksums import record_path, record_text
from backend.encoders.verification import checksum_state, verify_model
from backend.errors import ModelError


@pytest.fixture
def model(random_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(random_model, tmp_path / "m.safetensors"))


def test_a_fine_model(model: Path) -> None:
    verify_model(model)
    assert checksum_state(model) == "not recorded"
    record_path(model).write_text(record_text(model, file_sha256(model)), encoding="utf-8")
    verify_model(model)
    assert checksum_state(model) == "right"


def test_checksums(model: Path) -> None:
    record_path(model).write_text(record_text(model, "0" * 64), encoding="utf-8")
    assert checksum_state(model) == "wrong"
    with pytest.raises(ModelError, match="does not fit its checksum"):
        verify_model(model)
    record_path(model).write_text("nonsense", encoding="utf-8")
    assert checksum_state(model) == "not understood"
    with pytest.raises(ModelError, match="is not understood"):
        verify_model(model)
    record_path(model).write_text(record_text(model, "0" * 64), encoding="utf-8")
    model.unlink()
    assert checksum_state(model) == "not readable"


def test_damage(model: Path) -> None:
    os.truncate(model, model.stat().st_size - 1)
    with pytest.raises(ModelError, match="is damaged"):
        verify_model(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_values_that_labelling_leaves_out_are_looked_at(model: Path, dtype: torch.dtype) -> None:
    with safe_open(model, "pt") as file:
        metadata = file.metadata()
    tensors = {
        **load_file(model),
        "fc.bias": torch.tensor([1.0, 2.0], dtype=dtype),
        "fc.n": torch.tensor([7]),
    }
    save_file(tensors, model, metadata)
    verify_model(model)
    tensors["fc.bias"][1] = torch.inf
    save_file(tensors, model, metadata)
    with pytest.raises(ModelError, match=r"the tensor fc\.bias that are not finite; get it again"):
        verify_model(model)
