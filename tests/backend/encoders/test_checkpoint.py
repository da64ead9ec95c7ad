"""Weights come back as they were saved, and files that would compute wrongly are refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from backend.encoders.checkpoint import load_checkpoint, save_checkpoint, with_layers
from backend.encoders.encoder import Encoder
from backend.encoders.layout import Compression, EncoderLayout
from backend.errors import ModelError

MakeEncoder = Callable[[EncoderLayout], Encoder]
RESNET = EncoderLayout(layers=(2,), stride_on="conv1", bn_eps=1.001e-5)
VGG = EncoderLayout("vgg16", (2,), projections=(16,), level_scales=(0.7,))
JIANG = EncoderLayout(layers=(2, 3), compression=Compression(24))
CANET = EncoderLayout("vgg16", (2, 3), compression=Compression(24, 2, relu=True))


@pytest.fixture(scope="module")
def resnet(make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(RESNET)


@pytest.fixture
def saved(resnet: Encoder, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(resnet, path, {"trained_on": "nothing"})
    return path


@pytest.fixture
def change(saved: Path) -> Callable[..., Path]:
    """Writes the saved file again with other tensors or metadata."""

    def write(
        tensors: dict[str, Tensor | None] | None = None, metadata: dict[str, str] | None = None
    ) -> Path:
        with safe_open(saved, "pt") as file:
            kept = file.metadata()
        merged = {**load_file(saved), **(tensors or {})}
        present = {name: tensor for name, tensor in merged.items() if tensor is not None}
        path = saved.with_name("changed.safetensors")
        save_file(present, path, kept if metadata is None else metadata)
        return path

    return write


def _image(side: int = 64) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(3)) * 255.0


@pytest.mark.parametrize(
    "layout", [RESNET, VGG, JIANG, CANET], ids=["resnet50", "vgg16", "compression", "compression with ReLU"]
)
def test_round_trip(layout: EncoderLayout, make_encoder: MakeEncoder, tmp_path: Path) -> None:
    encoder, path = make_encoder(layout), tmp_path / "a model.safetensors"
    save_checkpoint(encoder, path, {"trained_on": "nothing", "layers": "wrong"})
    model = load_checkpoint(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert model.name == "a model"
    assert model.metadata == {"trained_on": "nothing", **layout.to_metadata()}
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.encoder.layout == layout
    assert not model.encoder.training
    with torch.no_grad():
        torch.testing.assert_close(model.encoder(_image()), encoder(_image()), rtol=0, atol=0)


def test_names_are_torchvisions(saved: Path) -> None:
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight"} <= set(load_file(saved))


def test_half_precision_keeps_large_variances(make_encoder: MakeEncoder, tmp_path: Path) -> None:
    encoder, path = make_encoder(RESNET), tmp_path / "half.safetensors"
    # Of images with values 0..255, the first layer's are like that; half precision ends at 65,504.
    variance = encoder.get_buffer("backbone.bn1.running_var")
    variance.mul_(90_000.0)
    save_checkpoint(encoder, path, {}, half=True)
    assert load_file(path)["conv1.weight"].dtype == torch.float16
    model = load_checkpoint(path)
    torch.testing.assert_close(model.encoder.get_buffer("backbone.bn1.running_var"), variance, rtol=0, atol=0)
    with torch.no_grad():
        ours, expected = model.encoder(_image()), encoder(_image())
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"layer1.1.conv2.weight": None}, r"layer1\.1\.conv2\.weight is missing"),
        ({"layer1.1.bn2.running_mean": None}, r"layer1\.1\.bn2\.running_mean is missing"),
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, r"conv1\.weight has the shape \(64, 3, 3, 3\)"),
        ({"bn1.bias": torch.full((64,), torch.nan)}, r"bn1\.bias holds values that are not finite"),
        ({"bn1.bias": torch.full((64,), 1e300, dtype=torch.float64)}, "not finite"),
        ({"bn1.running_var": torch.full((64,), -1.0)}, "negative variances"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int8)}, "type"),
        ({"layer2.4.conv1.weight": torch.zeros(128, 512, 1, 1)}, r"does not know, like layer2\.4\.conv1"),
        ({"conv1.bias": torch.zeros(64)}, r"does not know, like conv1\.bias"),
        ({"projections.layer2.weight": torch.zeros(8, 512, 1, 1)}, r"does not know, like projections\."),
        ({"compression.0.weight": torch.zeros(8, 512, 3, 3)}, r"does not know, like compression\."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tensors_that_do_not_fit(
    tensors: dict[str, Tensor | None], message: str, change: Callable[..., Path]
) -> None:
    with pytest.raises(ModelError, match=r"changed\.safetensors cannot be used: .*" + message):
        load_checkpoint(change(tensors))


def test_other_parts_are_left_out(change: Callable[..., Path], resnet: Encoder) -> None:
    extra = {
        "fc.weight": torch.zeros(10, 2048),
        "layer3.0.conv1.weight": torch.zeros(1),
        "queue": torch.zeros(3),
    }
    model = load_checkpoint(change(extra))
    with torch.no_grad():
        torch.testing.assert_close(model.encoder(_image()), resnet(_image()), rtol=0, atol=0)


def test_counters_may_be_missing(change: Callable[..., Path], saved: Path) -> None:
    counters = [name for name in load_file(saved) if name.endswith("num_batches_tracked")]
    assert counters
    load_checkpoint(change(dict.fromkeys(counters)))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "lacks architecture and input"),
        ({"architecture": "vgg16", "layers": "2", "input": "RGB, 0..1"}, r"features\.0\.weight is missing"),
        ({"architecture": "resnet18", "layers": "2", "input": "RGB, 0..1"}, "resnet18"),
        ({"architecture": "resnet50", "layers": "2,3", "input": "RGB, 0..1"}, r"layer3\S+ is missing"),
        ({"architecture": "resnet50", "layers": "2", "input": "RGB"}, "not understood"),
        (
            {**RESNET.to_metadata(), "compression": "8 channels, 3x3, dilation 1"},
            r"compression\.0\.weight is missing",
        ),
        ({**RESNET.to_metadata(), "compression": "eight"}, "compression 'eight' is not understood"),
    ],
)
def test_metadata_that_do_not_fit(
    metadata: dict[str, str], message: str, change: Callable[..., Path]
) -> None:
    with pytest.raises(ModelError, match=r"changed\.safetensors cannot be used: .*" + message):
        load_checkpoint(change(metadata=metadata))


def test_no_metadata_at_all(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="lacks architecture"):
        load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize("size", [0, 4, 30, 20_000, -1])
def test_truncated_file(size: int, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><title>404</title>", b"\0" * 4096, b"PK\3\4" + b"\1" * 99]
)
def test_files_of_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged"):
        load_checkpoint(path)


def test_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "m.safetensors", tmp_path):
        with pytest.raises(ModelError, match="does not exist"):
            load_checkpoint(path)


def test_a_failed_save_leaves_the_old_file(
    saved: Path, resnet: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(path: Path, content: bytes) -> None:
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(resnet, saved, {})
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_other_layers() -> None:
    layout = EncoderLayout(layers=(2, 3), level_scales=(1.0, 0.5))
    assert with_layers(layout, None) == layout
    assert with_layers(layout, ()) == layout
    assert with_layers(layout, (3, 2)) == layout
    assert with_layers(layout, (4, 2)) == EncoderLayout(layers=(2, 4))
    for wrong in [(2, 2), (1,), (5,)]:
        with pytest.raises(ModelError, match="Layers"):
            with_layers(layout, wrong)


def test_projections_fix_the_layers() -> None:
    layout = EncoderLayout(layers=(2, 3), projections=(8, 8))
    assert with_layers(layout, (3, 2)) == layout
    with pytest.raises(ModelError, match="trained for the layers"):
        with_layers(layout, (2,))


def test_a_compression_fixes_the_layers() -> None:
    assert with_layers(JIANG, (3, 2)) == JIANG
    with pytest.raises(ModelError, match=r"its compression was trained for the layers \(2, 3\)"):
        with_layers(JIANG, (2,))


def test_layers_beyond_the_file(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"layer3\S+ is missing; choose other layers"):
        load_checkpoint(saved, (2, 3))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_a_model_as_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    save_checkpoint(
        Encoder(EncoderLayout(architecture="vgg16", layers=(2,))), tmp_path / "model.safetensors", {}
    )
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
