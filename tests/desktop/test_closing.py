"""Closing QGIS in the middle of a run leaves nothing behind, and two QGIS do not get in each other's way."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]

_SCENE = """
import sys
from pathlib import Path
import numpy as np, rasterio, torch
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
folder = Path(sys.argv[1])
save_checkpoint(Encoder(EncoderLayout(layers=(2,))), folder / "random.safetensors", {"trained_on": "nothing"})
with rasterio.open(folder / "orthophoto.tif") as small:
    values, profile = small.read(), small.profile
profile.update(width=6000, height=6000, tiled=True, blockxsize=256, blockysize=256)
with rasterio.open(folder / "large.tif", "w", **profile) as large:
    large.write(np.tile(values, (1, 25, 20))[:, :6000, :6000])
"""


@pytest.fixture
def scene(tmp_path: Path, backend_python: str) -> Path:
    """A folder with an orthophoto, a large one made of it, support polygons and a model of random weights."""
    folder = tmp_path / "work"
    sample = [backend_python, "-m", "backend", "sample", str(folder), "--width", "320", "--height", "240"]
    subprocess.run(sample, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([backend_python, "-c", _SCENE, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


def variables(folder: Path, raster: str) -> dict[str, str]:
    return {
        "PROTOLABEL_RASTER": str(folder / raster),
        "PROTOLABEL_SUPPORT": str(folder / "support.gpkg"),
        "PROTOLABEL_MODEL": str(folder / "random.safetensors"),
    }


def test_closing_during_a_run(
    qgis: Callable[..., dict[str, Any]], scene: Path, tmp_path: Path, alive: Callable[[int], bool]
) -> None:
    report = qgis("closing_scenario.py", variables(scene, "large.tif"))
    assert report["errors"] == []
    assert report["exit_code"] == 0, report["stderr"][-3000:]
    deadline = time.monotonic() + 5
    while alive(report["values"]["worker"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(report["values"]["worker"])
    assert [name for name in os.listdir(scene) if "part" in name or "map" in name] == []
    assert [name for name in os.listdir(tmp_path / "tmp") if name.startswith("protolabel")] == []


def test_two_at_the_same_time(qgis: Callable[..., dict[str, Any]], scene: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        runs = [
            both.submit(qgis, "preview_scenario.py", variables(scene, "orthophoto.tif"), name=name)
            for name in ("first", "second")
        ]
        reports = [run.result() for run in runs]
    for report in reports:
        assert report["errors"] == [] and report["values"]["finished"]
    for name in ("worker", "support", "log"):
        assert reports[0]["values"][name] != reports[1]["values"][name], name
