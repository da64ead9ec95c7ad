"""The loop: what it leaves, and that a killed run takes the course of one that was never interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from backend.encoders.checkpoint import load_checkpoint
from backend.errors import ProtolabelError
from backend.training.configuration import ConfigurationError, read_experiment
from backend.training.loop import train
from backend.training.module import DivergedError

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).encoder.state_dict()


def same(first: Path, second: Path) -> bool:
    a, b = weights_of(first), weights_of(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_what_a_run_leaves(make_config: Callable[..., Path]) -> None:
    experiment = read_experiment(make_config())
    last = train(experiment, progress=False)
    loaded = load_checkpoint(last)
    assert loaded.encoder.layout.projections == (16,)
    assert loaded.metadata["trained_on"] == "geotiff: forest, water"
    assert json.loads(loaded.metadata["configuration"])["seed"] == 7
    assert loaded.metadata["iterations"] == "6" and "validation/binary_iou" in json.loads(
        loaded.metadata["metrics"]
    )
    assert (last.parent / "best.safetensors").is_file()
    with next(last.parent.rglob("metrics.csv")).open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss/total"]]
    assert len(rows) == 6
    for row in rows:
        parts = [
            float(row[f"loss/{name}"])
            for name in ("segmentation", "alignment", "class_specific", "class_agnostic")
        ]
        expected = parts[0] + parts[1] + 0.02 * parts[2] + 0.015 * parts[3]
        assert float(row["loss/total"]) == pytest.approx(expected, rel=1e-4)
    assert list(last.parent.rglob("events.out.tfevents.*"))
    pictures = sorted((last.parent / "previews").glob("*.png"))
    assert [path.name for path in pictures] == ["episode_000003.png", "episode_000006.png"]
    assert Image.open(pictures[0]).size == (192, 48)


def test_workers_change_nothing(make_config: Callable[..., Path]) -> None:
    run = {"iterations": 3, "validate_every": 0, "preview_every": 0}
    one = train(read_experiment(make_config(name="one", run=run)), progress=False)
    two = train(read_experiment(make_config(name="two", run={**run, "workers": 2})), progress=False)
    assert same(one, two)


@pytest.mark.parametrize("when", [1, 3])
def test_a_killed_run_goes_on_bit_for_bit(make_config: Callable[..., Path], when: int) -> None:
    whole = train(read_experiment(make_config(name="whole", run={"save_every": 1})), progress=False)
    path = make_config(name="killed", run={"save_every": 1})
    folder = path.parent / "runs" / "killed"
    child = subprocess.Popen(
        [sys.executable, "-m", "backend", "train", str(path), "--no-progress"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    last = folder / "checkpoints" / "last.ckpt"
    seen = 0
    stamp = 0
    while seen < when and time.monotonic() < deadline and child.poll() is None:
        if last.exists() and last.stat().st_mtime_ns != stamp:
            stamp, seen = last.stat().st_mtime_ns, seen + 1
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    errors = child.communicate()[1]
    assert seen == when, errors.decode()[-2000:]
    step = torch.load(last, weights_only=True)["global_step"]
    assert 0 < step < 6
    resumed = train(read_experiment(path), progress=False)
    assert same(whole, resumed)
    assert not list(folder.rglob("*.part"))


def test_another_configuration_in_the_same_folder(make_config: Callable[..., Path]) -> None:
    path = make_config(run={"iterations": 1, "validate_every": 0, "preview_every": 0})
    train(read_experiment(path), progress=False)
    with pytest.raises(ProtolabelError, match="another configuration"):
        train(read_experiment(path, ["optimizer.lr=0.5"]), progress=False)


def test_loss_that_is_no_number(make_config: Callable[..., Path]) -> None:
    path = make_config(optimizer={"lr": 1e30}, run={"save_every": 1, "validate_every": 0})
    with pytest.raises(DivergedError, match=r"at iteration [1-5]; the last checkpoint was kept"):
        train(read_experiment(path), progress=False)
    assert (path.parent / "runs" / "tiny" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["data.root=/nowhere"], "/nowhere"), (["data.name=mnist"], "There is no data set 'mnist'"),
        (["data.fold=9"], "from 0 to 3"), (["data.options={left_out: lava}"], "names no class 'lava'"),
        (["data.options={pitch: 3}"], "do not fit the data set"), (["encoder.weights=/gone.safetensors"], "gone"),
        (["encoder.layers=[2, 3]"], "layer3"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained(make_config: Callable[..., Path], changes: list[str], told: str) -> None:
    with pytest.raises((ProtolabelError, ConfigurationError), match=told) as caught:
        train(read_experiment(make_config(), changes), progress=False)
    assert "\n" not in str(caught.value)


def test_one_class_left_out(make_config: Callable[..., Path]) -> None:
    from backend.training.data import EpisodeData

    data = EpisodeData(read_experiment(make_config(), ["data.options.left_out=water"]))
    assert data.classes == (1,)
    assert {episode.classes for episode in next(iter(data.train_dataloader()))} == {(1,)}
