"""Fine-tuning in a real QGIS: on real rasters from the polygons to the model in use, and over QGIS's closing."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"

_MODEL = """
import pathlib, sys, torch
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
torch.manual_seed(0)
save_checkpoint(Encoder(EncoderLayout(layers=(2,))), pathlib.Path(sys.argv[1]), {"trained_on": "nothing"})
"""


@pytest.fixture
def work(tmp_path: Path, backend_python: str) -> Path:
    """A folder with a small model of random weights, which is quick."""
    folder = tmp_path / "work"
    folder.mkdir()
    subprocess.run(
        [backend_python, "-c", _MODEL, str(folder / "random.safetensors")],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_from_polygons_to_the_model_in_use(
    qgis: Callable[..., dict[str, Any]], work: Path, tmp_path: Path
) -> None:
    data = SHARED / "data" / "naip"
    if not data.is_dir():
        pytest.skip(f"needs the scenes in {data}")
    for name, scene in (("first", "scene01"), ("second", "scene02")):
        shutil.copy(data / f"{scene}.tif", work / f"{name}.tif")
    variables = {
        "PROTOLABEL_SUPPORT_FIRST": str(data / "scene01_support_k5_s0.geojson"),
        "PROTOLABEL_SUPPORT_SECOND": str(data / "scene02_support_k5_s0.geojson"),
        "PROTOLABEL_MODEL": str(work / "random.safetensors"),
        "PROTOLABEL_MINUTES": "1",
        "XDG_DATA_HOME": str(tmp_path / "home"),
    }
    report = qgis("finetuning_scenario.py", variables, seconds=600)
    values = report["values"]
    assert report["errors"] == [] and values.get("finished"), report["errors"]
    assert values["button"] == "Fine-Tune a Model…" and values["button_running"].startswith("Fine-Tuning…")
    assert len(values["found"]) == 6 and all(len(row) == 4 for row in values["found"]), values["found"]
    assert "About" in values["estimate"]
    assert values["goes_on"] and values["came_back"]
    assert "killed" in values["reason"] and "resume" in values["reason"]
    assert values["phase"] == "done", values["trouble"]
    assert values["asked"] == (2 if values["worse"] else 0), "a model that is worse is asked about each time"
    assert Path(values["used"]) == next((tmp_path / "home").rglob("local.safetensors"))
    assert values["undone"]
    # Drawing the plots takes the GUI thread some 80 ms, and several times that on a machine with other work.
    assert values["blocks"][-2] < 800.0, values["blocks"]


def test_closing_in_the_middle_and_going_on(
    qgis: Callable[..., dict[str, Any]], work: Path, backend_python: str, alive: Callable[[int], bool]
) -> None:
    sample = [backend_python, "-m", "backend", "sample", str(work), "--width", "320", "--height", "240"]
    subprocess.run(sample, cwd=ROOT, check=True, capture_output=True)
    variables = {
        "PROTOLABEL_RASTER": str(work / "orthophoto.tif"),
        "PROTOLABEL_SUPPORT": str(work / "support.gpkg"),
        "PROTOLABEL_MODEL": str(work / "random.safetensors"),
    }
    begun = time.monotonic()
    report = qgis("finetuning_closing_scenario.py", variables, seconds=400, name="begin")
    assert report["errors"] == []
    assert report["exit_code"] == 0, report["stderr"][-3000:]
    deadline = time.monotonic() + 5
    while alive(report["values"]["worker"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(report["values"]["worker"])
    reached = report["values"]["reached"]
    assert time.monotonic() - begun < 400
    later = qgis(
        "finetuning_closing_scenario.py",
        {**variables, "PROTOLABEL_REACHED": str(reached)},
        seconds=400,
        name="later",
    )
    values = later["values"]
    assert later["errors"] == [] and values.get("finished"), later["errors"]
    assert "was interrupted" in values["offer"] and "was interrupted" in values["offer_of_dialog"]
    assert values["first"] >= reached, "it goes on where it was"
