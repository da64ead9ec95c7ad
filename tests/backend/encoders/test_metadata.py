"""What a model says about itself, without loading it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.encoders.metadata import model_metadata
from backend.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROTOLABEL_MODELS", str(tmp_path))
    encoder = Encoder(EncoderLayout(architecture="vgg16", layers=(2,)))
    save_checkpoint(encoder, tmp_path / "tiny.safetensors", {"temperature": "1.5"})
    return tmp_path


def test_by_name_path_and_default(folder: Path) -> None:
    for name in ("tiny", str(folder / "tiny.safetensors"), None):
        assert model_metadata(name)["temperature"] == "1.5"


def test_nothing_is_said_of_torchvisions_and_of_damaged_files(folder: Path) -> None:
    assert model_metadata("resnet50-imagenet") == {}
    (folder / "bad.safetensors").write_bytes(b"no model")
    assert model_metadata("bad") == {}
    assert model_metadata(str(folder / "absent.safetensors")) == {}


def test_unknown(folder: Path) -> None:
    with pytest.raises(ModelError, match="Unknown model 'other'"):
        model_metadata("other")
