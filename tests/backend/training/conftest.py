"""A tiny folder of GeoTIFF pairs, a model of random weights, and an experiment on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from rasterio.transform import Affine

from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of two classes of texture beside a background."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff", "width": 64, "height": 64, "crs": "EPSG:32633", "transform": Affine(1, 0, 0, 0, -1, 0),
    }  # fmt: skip
    for number in range(6):
        labels = np.zeros((64, 64), np.uint8)
        labels[8:40, 8:40], labels[30:60, 36:60] = 1, 2
        colors = np.array([[90, 90, 90], [60, 140, 50], [40, 60, 150]])[np.roll(labels, 3 * number, 1)]
        image = np.clip(colors + rng.normal(0, 12, colors.shape), 0, 255).astype(np.uint8).transpose(2, 0, 1)
        with rasterio.open(folder / f"scene{number}.tif", "w", count=3, dtype="uint8", **profile) as dst:
            dst.write(image)
        with rasterio.open(
            folder / f"scene{number}_labels.tif", "w", count=1, dtype="uint8", **profile
        ) as dst:
            dst.write(np.roll(labels, 3 * number, 1), 1)
    (folder / "classes.csv").write_text(
        "id,name,color\n1,forest,#008000\n2,water,#0000ff\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50 up to level 2 with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_checkpoint(Encoder(EncoderLayout(layers=(2,))), path, {"trained_on": "nothing"})
    return path


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-16 up to level 2 with random weights, which has no batch normalisation: they keep the signal's size."""
    torch.manual_seed(0)
    encoder = Encoder(EncoderLayout("vgg16", (2,)))
    for module in encoder.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("weights") / "vgg.safetensors"
    save_checkpoint(encoder, path, {"trained_on": "nothing"})
    return path


@pytest.fixture
def make_config(tmp_path: Path, pairs: Path, weights: Path) -> Callable[..., Path]:
    """Writes the configuration of a run that takes seconds: ``make_config(name="x", run={"iterations": 3})``."""

    def make(**changes: object) -> Path:
        values: dict[str, object] = {
            "name": "tiny",
            "seed": 7,
            "data": {"name": "geotiff", "root": str(pairs), "options": {"patch": 64, "cache": str(tmp_path / "cache")}},
            "episodes": {"size": 48},
            "encoder": {"weights": str(weights), "layers": [2], "projection": 16},
            "method": {"dictionary_size": 32, "dictionary_negatives": 24, "background_negatives": 8},
            "optimizer": {"lr": 0.01, "milestones": [4]},
            "run": {
                "iterations": 6, "batch": 2, "workers": 0, "accelerator": "cpu", "log_every": 1, "save_every": 2,
                "validate_every": 3, "validation_episodes": 2, "preview_every": 3,
            },
        }  # fmt: skip
        if changes.get("algorithm", "dpcl") != "dpcl":
            values["method"] = {}
        for name, change in changes.items():
            known = values.get(name)
            values[name] = (
                {**known, **change} if isinstance(known, dict) and isinstance(change, dict) else change
            )
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return make
