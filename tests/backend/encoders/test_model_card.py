"""Cards that somebody wrote, and those that are made of what a file says about itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from backend.card_text import first_paragraph
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import Compression, EncoderLayout
from backend.encoders.model_card import card_path, compose_card, model_card, torchvision_card
from backend.errors import ModelError

TRAINED = {
    "trained_on": "geotiff: bare land, forest",
    "iterations": "12000",
    "metrics": json.dumps({"loss/segmentation": 0.25, "validation/binary_iou": 0.71234, "validation/miou": 1.0}),
    "configuration": json.dumps(
        {
            "name": "aerial_1",
            "algorithm": "dpcl",
            "seed": 1,
            "encoder": {"weights": "/home/somebody/secret/imagenet.safetensors", "layers": [2, 3]},
            "optimizer": {"kind": "adamw", "lr": 0.0001},
        }
    ),
    "revision": "0123456789ab+",
    "version": "0.1.0",
    "torch": "2.14.0",
    "remarks": json.dumps({"pixel_size": [0.3, 0.6], "note": "x"}),
}  # fmt: skip


@pytest.fixture
def model(random_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(random_model, tmp_path / "v1.5 random.safetensors"))


def test_written_card(model: Path) -> None:
    assert card_path(model).name == "v1.5 random.md"
    card_path(model).write_text("# Random\n\nFor nothing: größer.\n", encoding="utf-8")
    assert model_card(model) == "# Random\n\nFor nothing: größer.\n"
    os.truncate(model, 100)
    assert "größer" in model_card(model), "the file is not looked at"


def test_block_of_keys_before_a_written_card_is_left_out(model: Path) -> None:
    card_path(model).write_text("---\nlicense: mit\ntags:\n- a\n---\n\n# Random\n", encoding="utf-8")
    assert model_card(model) == "# Random\n"
    card_path(model).write_text("---\n\nNo keys.\n", encoding="utf-8")
    assert model_card(model) == "---\n\nNo keys.\n"


def test_a_card_of_any_size_and_coding_is_read(model: Path) -> None:
    card_path(model).write_bytes(b"\xff" + b"a" * 100_000)
    assert model_card(model).startswith("\ufffdaaa")
    assert len(model_card(model)) <= 20_001
    card_path(model).write_bytes(b" \n")
    assert "random weights" in model_card(model), "an empty one does not count"
    card_path(model).unlink()
    card_path(model).mkdir()
    assert "random weights" in model_card(model)


def test_composed_card(tmp_path: Path) -> None:
    layout = EncoderLayout(
        layers=(2,), projections=(16,), level_scales=(0.5,), compression=Compression(24, relu=True)
    )
    path = tmp_path / "aerial.safetensors"
    save_checkpoint(Encoder(layout), path, TRAINED)
    assert model_card(path).splitlines() == [
        "# aerial",
        "",
        "Trained on geotiff: bare land, forest.",
        "",
        "## Training",
        "",
        "- Experiment: aerial_1",
        "- Method: DPCL",
        "- Begun from: imagenet",
        "- Optimiser: AdamW, learning rate 0.0001",
        "- Iterations: 12,000",
        "",
        "## Measured",
        "",
        "- Loss: segmentation: 0.25",
        "- Validation: binary IoU: 0.712",
        "- Validation: mean IoU: 1",
        "",
        "## Encoder",
        "",
        "- Architecture: ResNet-50",
        "- Levels: 2",
        "- Input: RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)",
        "- Stride: on conv2 (3x3)",
        "- Epsilon of the batch normalisation: 1e-05",
        "- Projections: level 2 to 16 channels",
        "- Factors of the levels: 0.5",
        "- Compression: 24 channels, 3x3, dilation 1, relu",
        "",
        "## Further",
        "",
        "- Remarks: Pixel size 0.3, 0.6; Note x",
        "",
        "## Made with",
        "",
        "- Protolabel: 0.1.0",
        "- Revision: 0123456789ab+",
        "- PyTorch: 2.14.0",
    ]
    assert first_paragraph(model_card(path)) == "Trained on geotiff: bare land, forest."


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"configuration": "not JSON", "metrics": "[1, 2]", "iterations": "many", "layers": ""},
        {"configuration": "[]", "metrics": '{"a": NaN, "b": null, "c": {"d": [{"e": {}}]}}'},
        {"configuration": '{"name": 5, "optimizer": 3, "encoder": null, "algorithm": []}'},
        {"configuration": '{"optimizer": {"kind": "x", "lr": "fast"}, "encoder": {"weights": 1}}'},
        {"remarks": "[" * 100_000, "metrics": "[" * 100_000},
        {"trained_on": "x" * 100_000, **{f"key{number}": "y" * 1000 for number in range(100)}},
    ],
)  # fmt: skip
def test_malformed_metadata_make_a_card_too(metadata: dict[str, str]) -> None:
    card = compose_card("m", metadata)
    assert card.startswith("# m\n\n")
    assert len(card) <= 20_001
    assert len(first_paragraph(card)) > 10


def test_what_a_file_says_is_no_markup() -> None:
    card = compose_card("a*b", {"trained_on": "<img src=x>\n\n# _all_ of [x](http://y) `z`."})
    assert card == "# a\\*b\n\nTrained on \\<img src=x\\> # \\_all\\_ of \\[x\\](http://y) \\`z\\`.\n"
    assert first_paragraph(card) == "Trained on <img src=x> # _all_ of [x](http://y) `z`."


def test_a_file_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    assert model_card(path) == "# bare\n\nNothing is said of what it was trained on.\n"


def test_torchvisions() -> None:
    assert "ImageNet-1k" in first_paragraph(torchvision_card("vgg16-imagenet"))
    assert "VGG-16" in torchvision_card("vgg16-imagenet")


def test_damaged_and_missing(model: Path) -> None:
    os.truncate(model, 1000)
    with pytest.raises(ModelError, match=r"random\.safetensors is damaged \(.+\); get it again"):
        model_card(model)
    model.unlink()
    with pytest.raises(ModelError, match=r"random\.safetensors does not exist"):
        model_card(model)


def test_no_tensor_is_read(model: Path) -> None:
    content = model.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    with model.open("r+b") as file:
        file.seek(header)
        file.write(b"\xff" * (len(content) - header))  # not finite
    assert "random weights" in model_card(model)
