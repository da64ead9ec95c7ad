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

from backend.dpcl.segmentation import segmentation_loss
from backend.encoders.checkpoint import load_checkpoint
from backend.encoders.layout import Compression
from backend.errors import ProtolabelError
from backend.training.configuration import OptimizerSection, read_experiment
from backend.training.loop import train
from backend.training.module import DivergedError, rate
from backend.training.network import build_method

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


@pytest.mark.parametrize(("algorithm", "when"), [("dpcl", 1), ("dpcl", 3), ("ppnet", 2)])
def test_a_killed_run_goes_on_bit_for_bit(
    make_config: Callable[..., Path], algorithm: str, when: int
) -> None:
    def config(name: str) -> Path:
        return make_config(name=name, algorithm=algorithm, run={"save_every": 1})

    whole = train(read_experiment(config("whole")), progress=False)
    path = config("killed")
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


@pytest.mark.parametrize("algorithm", ["panet", "jiang", "ppnet"])
@pytest.mark.parametrize("architecture", ["resnet50", "vgg16"])
def test_other_algorithms_train(
    make_config: Callable[..., Path], vgg_weights: Path, algorithm: str, architecture: str
) -> None:
    encoder: dict[str, object] = {"projection": 0, "architecture": architecture, "freeze": 0}
    if architecture == "vgg16":
        encoder["weights"] = str(vgg_weights)
    if algorithm == "jiang":
        encoder["compression"] = 32
    path = make_config(algorithm=algorithm, encoder=encoder, run={"iterations": 4, "validate_every": 2})
    experiment = read_experiment(path)
    before = build_method(experiment).encoder.state_dict()
    last = train(experiment, progress=False)
    loaded = load_checkpoint(last)
    layout = loaded.encoder.layout
    assert layout.architecture == architecture and layout.projections == ()
    assert layout.compression == (Compression(32) if algorithm == "jiang" else None)
    after = loaded.encoder.state_dict()
    assert before.keys() == after.keys()
    moved = [name for name in after if name.endswith("weight") and not torch.equal(before[name], after[name])]
    assert len(moved) > 5 and ("compression.0.weight" in moved) == (algorithm == "jiang")
    told = json.loads(loaded.metadata["configuration"])
    assert told["algorithm"] == algorithm and told["method"] == experiment.method
    assert "validation/binary_iou" in json.loads(loaded.metadata["metrics"])
    with next(last.parent.rglob("metrics.csv")).open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss/total"]]
    assert len(rows) == 4
    for row in rows:
        weighted = 0.0 if algorithm == "jiang" else float(row["loss/alignment"])
        assert float(row["loss/total"]) == pytest.approx(float(row["loss/segmentation"]) + weighted, rel=1e-4)
        assert float(row["loss/class_specific"]) == float(row["loss/class_agnostic"]) == 0


def test_training_goes_on_from_a_model_with_compression(make_config: Callable[..., Path]) -> None:
    run = {"iterations": 1, "validate_every": 0, "preview_every": 0}
    path = make_config(algorithm="jiang", encoder={"projection": 0, "compression": 8}, run=run)
    first = train(read_experiment(path), progress=False)
    changes = ["name=second", f"encoder.weights={first}", "encoder.compression=0"]
    encoder = build_method(read_experiment(path, changes)).encoder
    assert encoder.layout.compression == Compression(8)
    assert torch.equal(
        encoder.state_dict()["compression.0.weight"], weights_of(first)["compression.0.weight"]
    )


def test_another_configuration_in_the_same_folder(make_config: Callable[..., Path]) -> None:
    path = make_config(run={"iterations": 1, "validate_every": 0, "preview_every": 0})
    train(read_experiment(path), progress=False)
    with pytest.raises(ProtolabelError, match="another configuration"):
        train(read_experiment(path, ["optimizer.lr=0.5"]), progress=False)


def test_weights_that_a_step_made_useless_are_never_written(
    make_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss may be finite and its gradient not; the step after it then spoils the weights."""
    steps = 0

    def spoilt(scores: torch.Tensor, labels: torch.Tensor, balance: float) -> torch.Tensor:
        nonlocal steps
        steps += 1
        loss = segmentation_loss(scores, labels, balance)
        nothing = (scores - scores.detach()).abs().sum()
        return loss + nothing.sqrt() if steps == 3 else loss

    monkeypatch.setattr("backend.dpcl.method.segmentation_loss", spoilt)
    path = make_config(run={"batch": 1, "save_every": 1, "validate_every": 1})
    with pytest.raises(
        DivergedError, match=r"^The weights are not finite at iteration 2; .* is kept: lower optim"
    ):
        train(read_experiment(path), progress=False)
    folder = path.parent / "runs" / "tiny"
    kept = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 2
    for name in ("last", "best"):
        assert int(load_checkpoint(folder / f"{name}.safetensors").metadata["iterations"]) <= 2
    weights = weights_of(folder / "last.safetensors")
    assert all(torch.equal(kept["state_dict"][f"method.encoder.{name}"], weights[name]) for name in weights)
    assert not list(folder.rglob("*.part"))
    monkeypatch.undo()
    train(read_experiment(path), progress=False)
    logged = [row for log in sorted(folder.rglob("metrics.csv")) for row in csv.DictReader(log.open())]
    assert [row["step"] for row in logged if row["loss/total"]] == list("012345")


def test_one_class_left_out(make_config: Callable[..., Path]) -> None:
    from backend.training.data import EpisodeData

    data = EpisodeData(read_experiment(make_config(), ["data.options.left_out=water"]))
    assert data.classes == (1,)
    assert {episode.classes for episode in next(iter(data.train_dataloader()))} == {(1,)}


def test_trains_on_drawn_polygons_within_scenes(make_config) -> None:
    changes = [
        "episodes={size: 48, drawn: {windows: 2, queries: 1, zoom: [1.0, 1.5], polygons: 2}}",
        "optimizer={kind: adamw, lr: 0.001, schedule: cosine, warmup: 2, clip: 1.0}",
        "method.class_balance=0.5", "method.alignment_weight=0",
    ]  # fmt: skip
    experiment = read_experiment(make_config(name="drawn"), changes)
    last = train(experiment, progress=False)
    card = load_checkpoint(last).metadata
    metrics = json.loads(card["metrics"])
    assert 0 < metrics["validation/miou"] <= 1
    assert metrics["loss/segmentation"] > 0 and metrics["loss/class_specific"] > 0
    assert json.loads(card["configuration"])["episodes"]["drawn"]["windows"] == 2
    assert (experiment.folder / "best.safetensors").exists()


def test_rates() -> None:
    steps = OptimizerSection(milestones=(4, 6))
    assert [rate(steps, 8, step) for step in (0, 3, 4, 6)] == pytest.approx([1, 1, 0.1, 0.01])
    cosine = OptimizerSection(schedule="cosine", warmup=3)
    found = [rate(cosine, 100, step) for step in range(101)]
    assert found[0] == pytest.approx(0.25) and max(found) == found[3]
    assert found[-1] == pytest.approx(0.01) and found[50] == pytest.approx(0.505)
    assert found[3:] == sorted(found[3:], reverse=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("episodes.drawn={window: 2}", "episodes.drawn.window"),
        ("episodes.drawn={zoom: [2, 1]}", "zoom"),
        ("optimizer.kind=adam", "optimizer.kind"),
    ],
)
def test_wrong_drawn_options_are_told(make_config, change: str, said: str) -> None:
    with pytest.raises(ProtolabelError, match=said):
        read_experiment(make_config(), [change])
