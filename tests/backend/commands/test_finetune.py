"""``finetune``: as a person and a program meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from backend.cli import run
from backend.finetuning import course
from backend.finetuning.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[3]
COLORS = np.array([[90, 90, 90], [60, 140, 50], [40, 60, 150]])
QUICK = ("--crop", "96", "--device", "cpu", "--threads", "1")


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two scenes with labels beside them, and an own folder of models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setattr(course, "_SHARE", 0.0)
    rows, cols = np.indices((96, 96))
    for number in range(2):
        labels = (((rows + cols + 8 * number) // 24) % 3).astype(np.uint8)
        noise = np.random.default_rng(number).normal(0, 14, (96, 96, 3))
        image = np.clip(COLORS[labels] + noise, 0, 255).astype(np.uint8).transpose(2, 0, 1)
        profile = {
            "driver": "GTiff", "height": 96, "width": 96, "dtype": "uint8", "crs": "EPSG:26917",
            "transform": Affine(0.6, 0, 400_000 + 1000 * number, 0, -0.6, 4_300_000),
        }  # fmt: skip
        with rasterio.open(tmp_path / f"scene{number}.tif", "w", count=3, **profile) as dst:
            dst.write(image)
        with rasterio.open(
            tmp_path / f"scene{number}_labels.tif", "w", count=1, nodata=255, **profile
        ) as dst:
            dst.write(labels, 1)
    return ["scene0.tif", "scene1.tif"]


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> tuple[str, str]:
    """Run the command; what it says on stdout and stderr."""
    assert run(["finetune", *arguments]) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_for_programs(
    scenes: list[str], random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        *scenes,
        "--labels",
        "scene0_labels.tif",
        "--labels",
        "scene1_labels.tif",
        "--base",
        str(random_model),
    ]
    out, _ = said(capsys, 0, *given, "--iterations", "2", "--name", "mine", "--keep-worse", "--json", *QUICK)
    found = lines(out)
    assert [one["type"] for one in found[:1] + found[-1:]] == ["progress", "result"]
    result = found[-1]
    saved = Path(result["saved"])
    assert result["name"] == "mine" and saved.name == "mine.safetensors" and saved.is_file()
    assert [one["name"] for one in result["classes"]] == ["class 0", "class 1", "class 2"]
    assert Path(result["folder"]) == Path("runs/mine")
    logs = " ".join(one["text"] for one in found if one["type"] == "log")
    assert "Held out: scene" in logs
    progress = [one for one in found if one["type"] == "progress"][-1]
    assert progress["iteration"] == 2 and progress["base"]["miou"] == result["base"]["miou"]
    # It is resumed by its folder alone.
    out, _ = said(capsys, 0, "--resume", "runs/mine", "--iterations", "3", "--device", "cpu", "--json")
    assert lines(out)[-1]["iterations"] == 3
    assert said(capsys, 2, *given, "--name", "mine")[1].count("Another model mine") == 1
    assert "Unknown model" not in said(capsys, 2, *given, "--run", "runs/mine")[1]


def test_people_see_what_is_found(
    scenes: list[str], random_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With a pattern, and with the label rasters among what a shell's pattern gives."""
    every = sorted(path.name for path in tmp_path.glob("*.tif"))
    assert len(every) == 4
    _, err = said(
        capsys, 0, *every, "--labels", "{stem}_labels.tif", "--base", str(random_model), "--dry-run", *QUICK
    )
    assert "scene0.tif" in err and "_labels.tif" not in err
    assert "Held out: scene" in err and "the run takes about" in err
    assert not (tmp_path / "runs").exists()


def test_people_see_the_verdict(
    scenes: list[str], random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (
        "--labels",
        "{stem}_labels.tif",
        "--base",
        str(random_model),
        "--iterations",
        "1",
        "--run",
        "r",
    )
    _, err = said(capsys, 0, *scenes, *options, *QUICK)
    text = " ".join(err.split())
    assert "Before training: mean IoU" in text and "The tuned model is" in text
    assert "class 2" in text and "best.safetensors" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "no labelled raster"),
        (("scene0.tif",), "Nothing is known of the raster scene0.tif"),
        (("scene0.tif", "scene1.tif", "--labels", "scene0_labels.tif"), "1 label rasters for 2 rasters"),
        (("scene0.tif", "--labels", "none.tif"), "none.tif do not exist"),
        (("scene0.tif", "--labels", "{stem}_labels.tif", "--base", "nothing"), "Unknown model 'nothing'"),
        (("scene0.tif", "--labels", "{stem}_labels.tif", "--ignore", "1,2"), "Only one class is labelled"),
        (("--resume", "nowhere"), "no fine-tuning in nowhere"),
        (("scene0.tif", "--polygons", "none.gpkg"), "none.gpkg does not exist"),
        (("scene0.tif", "--labels", "{stem}_labels.tif", "--device", "tpu"), "Unknown device"),
        (
            ("scene0.tif", "--labels", "{stem}_labels.tif", "--classes", "classes.csv"),
            "value 1, 2, which is none",
        ),
    ],
)
def test_what_cannot_serve(
    scenes: list[str],
    random_model: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    text: str,
) -> None:
    Path("classes.csv").write_text("id,name,color\n0,a,#000000\n", encoding="utf-8")
    own = () if "--base" in arguments else ("--base", str(random_model))
    _, err = said(capsys, 2, *arguments, *own, "--run", "r")
    assert text in err and err.startswith("Error: ") and len(err.strip().splitlines()) == 1


def test_a_run_needs_a_name_or_a_folder(scenes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--name" in said(capsys, 2, *scenes, "--labels", "{stem}_labels.tif")[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_tells_how_to_go_on(scenes: list[str], random_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend", "finetune", *(str(tmp_path / scene) for scene in scenes)]
    folder = tmp_path / "run"
    options = (
        "--labels",
        "{stem}_labels.tif",
        "--base",
        str(random_model),
        "--run",
        str(folder),
        "--minutes",
        "60",
    )
    child = subprocess.Popen(
        [*command, *options, *QUICK], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while (
        sum("losses" in one for one in RunFolder(folder).entries()) < 2
        and child.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    stopped = time.monotonic()
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and time.monotonic() - stopped < 5
    assert f"finetune --resume {folder}` goes on from the last checkpoint" in " ".join(err.split())
    assert (folder / "last.ckpt").is_file()
