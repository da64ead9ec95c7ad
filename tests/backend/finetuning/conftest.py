"""Small labelled scenes of three colours, and what a tiny fine-tuning on them needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from backend.finetuning import course
from backend.finetuning.options import FinetuneOptions, LabeledRaster

COLORS = np.array([[90, 90, 90], [60, 140, 50], [40, 60, 150]])
SIZE = 128  # pixels


@dataclass(frozen=True)
class Pair:
    """A raster and its label raster."""

    raster: Path
    labels: Path


WritePair = Callable[..., Pair]
MakeOptions = Callable[..., FinetuneOptions]


def stripes(shift: int = 0) -> NDArray[np.uint8]:
    """Three classes, 0 to 2, in diagonal stripes that every part of a scene shows."""
    rows, cols = np.indices((SIZE, SIZE))
    labels: NDArray[np.uint8] = (((rows + cols + shift) // 24) % 3).astype(np.uint8)
    return labels


def colored(labels: NDArray[np.generic], seed: int = 0) -> NDArray[np.uint8]:
    """An image (3, height, width) in which each class has its colour."""
    noise = np.random.default_rng(seed).normal(0, 14, (*labels.shape, 3))
    image: NDArray[np.uint8] = np.clip(COLORS[labels % 3] + noise, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    return image


def place(number: int) -> Affine:
    """Pixels of 0.6 m; every number lies elsewhere."""
    return Affine(0.6, 0.0, 400_000.0 + 1000 * number, 0.0, -0.6, 4_300_000.0)


def write(path: Path, array: NDArray[np.generic], transform: Affine, **profile: Any) -> Path:
    bands = array if array.ndim == 3 else array[None]
    profile = {"crs": "EPSG:26917", **profile}
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype,
        transform=transform, **profile,
    ) as dst:  # fmt: skip
        dst.write(bands)
    return path


@pytest.fixture
def write_pair(tmp_path: Path) -> WritePair:
    """Writes a scene: ``write_pair(number, labels=..., image=...)``."""

    def make(
        number: int = 0,
        labels: NDArray[np.generic] | None = None,
        image: NDArray[np.uint8] | None = None,
        **profile: Any,
    ) -> Pair:
        labels = stripes(8 * number) if labels is None else labels
        image = colored(np.where(labels > 2, 0, labels), number) if image is None else image
        raster = write(tmp_path / f"scene{number}.tif", image, place(number))
        target = write(
            tmp_path / f"scene{number}_labels.tif", labels, place(number), **{"nodata": 255, **profile}
        )
        return Pair(raster, target)

    return make


@pytest.fixture
def pairs(write_pair: WritePair) -> tuple[Pair, Pair]:
    """Two scenes in different places."""
    return write_pair(0), write_pair(1)


def labeled(*pairs: Pair) -> tuple[LabeledRaster, ...]:
    """Pairs as the options name them."""
    return tuple(LabeledRaster(str(pair.raster), str(pair.labels)) for pair in pairs)


@pytest.fixture
def make_options(
    pairs: tuple[Pair, Pair], random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> MakeOptions:
    """Options of a run of seconds, which is measured after each iteration: ``make_options(iterations=3)``."""
    monkeypatch.setattr(course, "_SHARE", 0.0)

    def make(**changes: Any) -> FinetuneOptions:
        values: dict[str, Any] = {
            "data": labeled(*pairs), "base": str(random_model), "iterations": 3, "crop": 96, "device": "cpu",
            "threads": 1, "measure_every": 0.0, "save_every": 0.0, "picture_every": 0.0,
        }  # fmt: skip
        return FinetuneOptions(**{**values, **changes})

    return make


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own models, of this test alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.delenv("PROTOLABEL_MODELS", raising=False)
    return tmp_path / "data" / "protolabel" / "models"
