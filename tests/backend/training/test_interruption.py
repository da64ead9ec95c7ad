"""A training that ends early: one sentence, and the same command goes on with the same course."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch.utils.data import DataLoader, Dataset

from backend.encoders.checkpoint import load_checkpoint
from backend.errors import Cancelled, OutputError, ProtolabelError
from backend.training.checkpoint_io import AtomicCheckpointIO
from backend.training.checkpoints import checkpoint_path
from backend.training.configuration import read_experiment
from backend.training.interruption import interruptions_told
from backend.training.loop import train

ROOT = Path(__file__).resolve().parents[3]
MakeConfig = Callable[..., Path]


def start(path: Path, *changes: str) -> subprocess.Popen[str]:
    """A training in a process of its own, which Ctrl+C reaches also where the tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "train", str(path), *changes, "--no-progress"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def metrics(folder: Path) -> list[tuple[str, str]]:
    """Step and score of each validation of a run."""
    rows = [row for log in sorted(folder.rglob("metrics.csv")) for row in csv.DictReader(log.open())]
    return [(row["step"], row["validation/binary_iou"]) for row in rows if row.get("validation/binary_iou")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "workers"), [("SIGINT", 0), ("SIGINT", 2), ("SIGTERM", 2)])
def test_ctrl_c_is_one_sentence(make_config: MakeConfig, number: str, workers: int) -> None:
    path = make_config(run={"iterations": 100_000, "save_every": 1, "validate_every": 0, "workers": workers})
    folder = path.parent / "runs" / "tiny"
    child = start(path)
    deadline = time.monotonic() + 120
    while not checkpoint_path(folder).exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, getattr(signal, number))
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and out == ""
    assert err.strip().startswith("Stopped; the same command goes on") and len(err.strip().splitlines()) == 1
    assert torch.load(checkpoint_path(folder), weights_only=True)["global_step"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("every", "stops"), [(3, (1,)), (2, (1, 2)), (1, (3, 1))])
def test_a_run_that_is_continued_validates_as_one_that_was_not(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, every: int, stops: tuple[int, ...]
) -> None:
    def run(name: str) -> Path:
        return train(
            read_experiment(make_config(name=name, run={"save_every": every})), progress=False
        ).parent

    def save_and_stop_after(count: int) -> Callable[..., None]:
        left = iter(range(count - 1, -1, -1))

        def save_and_stop(self: AtomicCheckpointIO, *arguments: Any, **options: Any) -> None:
            save(self, *arguments, **options)
            if not next(left):
                raise KeyboardInterrupt

        return save_and_stop

    whole = run("whole")
    save = AtomicCheckpointIO.save_checkpoint
    handler = signal.getsignal(signal.SIGINT)
    for stop in stops:
        with monkeypatch.context() as patched:
            patched.setattr(AtomicCheckpointIO, "save_checkpoint", save_and_stop_after(stop))
            with pytest.raises(Cancelled, match="the same command goes on"):
                run("stopped")
        assert signal.getsignal(signal.SIGINT) is handler
    stopped = run("stopped")
    for name in ("last.safetensors", "best.safetensors"):
        one, two = load_checkpoint(whole / name), load_checkpoint(stopped / name)
        assert one.metadata["iterations"] == two.metadata["iterations"]
        pairs = zip(one.encoder.state_dict().values(), two.encoder.state_dict().values(), strict=True)
        assert all(a.equal(b) for a, b in pairs)
    assert metrics(stopped)[-1] == metrics(whole)[-1]
    assert len(metrics(whole)) == 2


@pytest.mark.slow
def test_the_end_is_a_checkpoint_too(make_config: MakeConfig) -> None:
    path = make_config(run={"iterations": 3, "save_every": 2, "validate_every": 0, "preview_every": 0})
    last = train(read_experiment(path), progress=False)
    assert torch.load(checkpoint_path(last.parent), weights_only=True)["global_step"] == 3
    stamp = last.stat().st_mtime_ns
    assert train(read_experiment(path), progress=False).stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_checkpoint_before(make_config: MakeConfig) -> None:
    resource = pytest.importorskip("resource")
    path = make_config(run={"save_every": 1, "validate_every": 0, "preview_every": 0})
    train(read_experiment(path, ["name=first", "run.iterations=1"]), progress=False)
    checkpoint = checkpoint_path(path.parent / "runs" / "tiny")
    size = checkpoint_path(path.parent / "runs" / "first").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    saved = AtomicCheckpointIO.save_checkpoint

    def fill(self: AtomicCheckpointIO, *arguments: Any, **options: Any) -> None:
        if checkpoint.exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
        saved(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AtomicCheckpointIO, "save_checkpoint", fill)
        try:
            with pytest.raises(
                OutputError, match=r"last\.ckpt cannot be written \(File too large\); what was saved"
            ):
                train(read_experiment(path), progress=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 1
    assert not list(path.parent.rglob("*.part"))
    assert load_checkpoint(train(read_experiment(path), progress=False)).metadata["iterations"] == "6"


@pytest.mark.slow
def test_what_keeps_a_run_from_its_folder(make_config: MakeConfig) -> None:
    path = make_config(run={"iterations": 1, "validate_every": 0, "preview_every": 0})
    folder = train(read_experiment(path), progress=False).parent
    (folder / "file").touch()
    with pytest.raises(OutputError, match=r"tiny cannot be written \(Not a directory\)"):
        train(read_experiment(path, [f"output={folder / 'file'}"]), progress=False)
    with FileLock(folder / "lock"), pytest.raises(ProtolabelError, match="Another process is training in"):
        train(read_experiment(path), progress=False)
    os.truncate(checkpoint_path(folder), 5000)
    with pytest.raises(ProtolabelError, match=r"last\.ckpt is damaged \(.+\); remove it"):
        train(read_experiment(path), progress=False)


class Killed(Dataset[int]):
    """Kills the process that reads it."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("stopped", "kind", "told"),
    [(False, ProtolabelError, r"killed \(.*\); lower run\.workers"), (True, Cancelled, "^Stopped")],
)
def test_a_killed_loader(tmp_path: Path, stopped: bool, kind: type[Exception], told: str) -> None:
    trainer: Any = SimpleNamespace(received_sigterm=stopped)
    with pytest.raises(kind, match=told), interruptions_told(tmp_path, trainer):
        next(iter(DataLoader(Killed(), num_workers=1)))
    with pytest.raises(RuntimeError, match="another"), interruptions_told(tmp_path, trainer):
        raise RuntimeError("another")


def test_ctrl_c_while_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which torch makes an error of its own."""

    class Interrupted(io.BytesIO):
        def write(self, data: Any) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "open", lambda *arguments: Interrupted())
    trainer: Any = SimpleNamespace(received_sigterm=False)
    with pytest.raises(Cancelled, match=r"^Stopped"), interruptions_told(tmp_path, trainer):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(10)}, tmp_path / "last.ckpt")
