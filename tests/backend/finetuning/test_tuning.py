"""A whole run: what it leaves, how it is stopped, resumed and kept."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from backend.encoders.checkpoint import load_checkpoint, save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.encoders.model_card import model_card
from backend.encoders.vision_transformer import TransformerSize
from backend.errors import Cancelled, ModelError, OutputError, ProtolabelError
from backend.finetuning import tuning as module
from backend.finetuning.keeping import keep_tuned
from backend.finetuning.news import TuningProgress
from backend.finetuning.result import FinetuneResult
from backend.finetuning.run_folder import RunFolder
from backend.finetuning.tuning import finetune, resumed_options
from backend.progress import RunControl

from .conftest import MakeOptions, Pair, place, stripes, write

ROOT = Path(__file__).resolve().parents[3]


def entries(folder: Path, key: str) -> list[int]:
    """The iterations of the journal's lines of a kind."""
    return [one["iteration"] for one in RunFolder(folder).entries() if key in one]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


class TestRun:
    @pytest.fixture(autouse=True)
    def done(self, make_options: MakeOptions, tmp_path: Path, own_folder: Path) -> None:
        self.folder, self.said, self.states = tmp_path / "run", list[str](), list[TuningProgress]()
        self.options = make_options(iterations=2)
        self.result = finetune(self.options, self.folder, report=self.states.append, say=self.said.append)

    def test_what_it_leaves(self, own_folder: Path) -> None:
        result, folder = self.result, self.folder
        assert result.stopped == "iterations" and result.iterations == 2
        assert result.base.iteration == 0 and result.best.iteration in (1, 2)
        assert entries(folder, "losses") == [1, 2] and entries(folder, "score") == [0, 1, 2]
        assert json.loads((folder / "result.json").read_text()) == result.to_json()
        assert result.hold_out.startswith("Held out: scene") and result.hold_out in self.said
        with Image.open(folder / "example.png") as picture:
            assert picture.size == (4 * 96, 96)
        assert not list(folder.glob("*.part"))
        model = load_checkpoint(result.model)
        assert {"temperature", "spectral_weight", "finetuned_from", "hold_out"} <= model.metadata.keys()
        assert model_card(result.model) == result.card
        before = load_checkpoint(Path(str(self.options.base))).encoder.state_dict()
        assert any(not value.equal(before[name]) for name, value in model.encoder.state_dict().items())

    def test_what_it_tells(self) -> None:
        stages = [state.stage for state in self.states]
        assert stages[0] == "reading" and set(stages) == {"reading", "measuring", "training"}
        last = self.states[-1]
        assert last.iteration == 2 and last.base is not None and last.score is not None
        assert [len(last.classes), last.iterations, last.seconds_left] == [3, 2, 0]

    def test_it_is_kept_under_a_name(self, own_folder: Path) -> None:
        if self.result.verdict == "worse":
            pytest.skip("worse by chance")
        saved = keep_tuned(self.folder, "mine")
        assert saved == own_folder / "mine.safetensors"
        assert model_card(saved).startswith("# mine\n")
        with pytest.raises(ModelError, match=r"Another model mine"):
            RunFolder(self.folder).best.write_bytes(self._other())
            keep_tuned(self.folder, "mine", keep_worse=True)
        assert keep_tuned(self.folder, "mine", replace=True, keep_worse=True) == saved

    def _other(self) -> bytes:
        path = self.folder / "other.safetensors"
        save_checkpoint(Encoder(EncoderLayout(layers=(2,))), path, {})
        return path.read_bytes()

    def test_a_worse_one_is_not_kept_silently(self, own_folder: Path) -> None:
        values = json.loads((self.folder / "result.json").read_text())
        (self.folder / "result.json").write_text(json.dumps({**values, "verdict": "worse"}))
        with pytest.raises(ProtolabelError, match="worse than the model it began from, so it is not saved"):
            keep_tuned(self.folder, "mine")
        assert not own_folder.exists() or not list(own_folder.iterdir())
        assert keep_tuned(self.folder, "mine", keep_worse=True).is_file()

    def test_the_default_model_is_kept_by_name(
        self, make_options: MakeOptions, random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another one may be the default when the run is resumed."""
        monkeypatch.setenv("PROTOLABEL_MODELS", str(random_model.parent))
        finetune(make_options(iterations=1, base=None), tmp_path / "default")
        assert resumed_options(tmp_path / "default").base == str(random_model)

    def test_it_is_resumed_for_more(self) -> None:
        more = finetune(replace(self.options, iterations=3), self.folder, resume=True)
        assert more.iterations == 3 and entries(self.folder, "losses") == [1, 2, 3]
        assert more.base.score.miou == self.result.base.score.miou

    def test_a_new_run_takes_another_folder(self) -> None:
        with pytest.raises(ProtolabelError, match="holds a fine-tuning already"):
            finetune(self.options, self.folder)

    def test_other_labels_are_another_run(self, pairs: tuple[Pair, Pair]) -> None:
        write(pairs[0].labels, stripes(3), place(0), nodata=255)
        with pytest.raises(ProtolabelError, match=r"labels are not those that the run in .* began with"):
            finetune(self.options, self.folder, resume=True)


def test_training_helps(make_options: MakeOptions, folder: Path) -> None:
    """Random weights learn to tell three colours of a raster that is held out."""
    options = make_options(iterations=14, trained="all", learning_rate=1e-3, measure_every=1e9)
    result = finetune(options, folder)
    assert result.verdict == "better"
    assert result.best.score.miou > result.base.score.miou + 0.02


def test_the_best_is_kept_and_no_better_ends_it(
    make_options: MakeOptions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, kept = iter([0.5, 0.3, 0.6, 0.5, 0.4]), []
    real = module.Measure.score

    def scripted(self: object, encoder: Encoder) -> object:
        found = real(self, encoder)  # type: ignore[arg-type]
        kept.append({name: value.clone() for name, value in encoder.state_dict().items()})
        return replace(found, draws=found.draws * 0 + next(scores))

    monkeypatch.setattr(module.Measure, "score", scripted)
    result = finetune(make_options(iterations=50, patience=2), folder)
    assert result.stopped == "early" and result.iterations == 4 and result.best.iteration == 2
    model = load_checkpoint(result.model).encoder.state_dict()
    assert all(value.equal(kept[2][name]) for name, value in model.items())


def interrupted(
    options_of: Callable[[], object], folder: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a run end in the middle of an iteration, as a kill would, without any clean-up of its own."""
    step = module.EpisodeTrainer.step

    def fall(self: module.EpisodeTrainer, *arguments: object) -> object:
        if self.iteration == after:
            raise KeyboardInterrupt
        return step(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(module.EpisodeTrainer, "step", fall)
        with pytest.raises(KeyboardInterrupt):
            finetune(options_of(), folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_resumed_run_takes_the_same_course(
    make_options: MakeOptions, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(
        module.EpisodeTrainer, "choose_precision", lambda self, crop, cancel: None
    )  # which is chosen by time
    options = make_options(iterations=4, measure_every=1e9, seed=5)
    whole = finetune(options, tmp_path / "whole")
    interrupted(lambda: options, folder, after, monkeypatch)
    assert resumed_options(folder) == options
    resumed = finetune(resumed_options(folder), folder, resume=True)
    one, two = (load_checkpoint(result.model).encoder.state_dict() for result in (whole, resumed))
    assert all(value.equal(two[name]) for name, value in one.items())
    assert entries(folder, "losses") == [1, 2, 3, 4] and entries(folder, "score") == [0, 4]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_it_goes_on_after_a_kill(make_options: MakeOptions, folder: Path, tmp_path: Path) -> None:
    options = make_options(iterations=1000)
    (tmp_path / "options.json").write_text(json.dumps(options.to_json()))
    code = (
        "import json, sys; from backend.finetuning.options import FinetuneOptions; "
        "from backend.finetuning.tuning import finetune; "
        "finetune(FinetuneOptions.from_json(json.load(open(sys.argv[1])), ''), sys.argv[2])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "options.json"), str(folder)], cwd=ROOT
    )
    try:
        deadline = time.monotonic() + 120
        while len(entries(folder, "losses")) < 3 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    finally:
        child.wait(30)
    assert child.returncode == -signal.SIGKILL
    done = torch.load(folder / "last.ckpt", weights_only=True)["course"]["iteration"]
    assert done >= 2
    result = finetune(replace(resumed_options(folder), iterations=done + 2), folder, resume=True)
    assert result.iterations == done + 2
    assert entries(folder, "losses") == list(range(1, done + 3))


class Watcher:
    """Runs a fine-tuning in a thread, as the worker does."""

    def __init__(self, options: object, folder: Path) -> None:
        self.control, self.states = RunControl(), list[TuningProgress]()
        self.outcome: FinetuneResult | BaseException | None = None
        self._call = lambda: finetune(options, folder, control=self.control, report=self.states.append)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._call()
        except BaseException as error:
            self.outcome = error

    def until(self, wanted: Callable[[TuningProgress], bool], timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while not any(map(wanted, list(self.states))):
            assert time.monotonic() < deadline and self.thread.is_alive(), self.outcome
            time.sleep(0.01)


def test_pause_and_resume(make_options: MakeOptions, folder: Path) -> None:
    run = Watcher(make_options(iterations=10_000, measure_every=1e9, save_every=1e9), folder)
    run.until(lambda state: state.iteration >= 1)
    run.control.pause()
    run.until(lambda state: state.stage == "paused")
    paused = entries(folder, "losses")
    kept = torch.load(folder / "last.ckpt", weights_only=True)["course"]
    assert kept["iteration"] == paused[-1]
    time.sleep(1)
    assert entries(folder, "losses") == paused
    run.control.resume()
    run.until(lambda state: state.iteration >= paused[-1] + 2)
    assert torch.load(folder / "last.ckpt", weights_only=True)["course"]["seconds"] == kept["seconds"]
    run.control.pause()
    run.control.cancel()  # also while it waits
    run.thread.join(3)
    assert isinstance(run.outcome, Cancelled)


@pytest.mark.parametrize("stage", ["measuring", "training"])
def test_cancel_takes_effect_within_seconds(make_options: MakeOptions, folder: Path, stage: str) -> None:
    options = make_options(iterations=10_000, crop=512, measure_every=1e9 if stage == "training" else 0.0)
    run = Watcher(options, folder)
    run.until(lambda state: state.stage == stage)
    time.sleep(0.2)
    started = time.monotonic()
    run.control.cancel()
    run.thread.join(30)
    assert isinstance(run.outcome, Cancelled) and time.monotonic() - started < 3
    with RunFolder(folder).alone():  # the folder is free again
        pass


def test_a_disk_that_fills_up_keeps_the_checkpoint_before(
    make_options: MakeOptions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = torch.save, []

    def full(checkpoint: object, file: object) -> None:
        calls.append(None)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(checkpoint, file)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OutputError, match="No space left on device"):
            finetune(make_options(iterations=50), folder)
    assert torch.load(folder / "last.ckpt", weights_only=True)["course"]["iteration"] == 1
    assert load_checkpoint(folder / "best.safetensors").metadata["iterations"] in ("1", "2")
    result = finetune(replace(resumed_options(folder), iterations=3), folder, resume=True)
    assert entries(folder, "losses") == [1, 2, 3] and result.iterations == 3


def test_models_that_cannot_be_tuned(make_options: MakeOptions, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    encoder = Encoder(EncoderLayout("vgg16", (2,)))
    save_checkpoint(encoder, path, {})
    with safe_open(path, "pt") as file:
        metadata = {**file.metadata(), "architecture": "resnet50"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    save_file(tensors, path, metadata)
    for base, text in (
        (path, "cannot be used: the tensor .* is missing"),
        (tmp_path / "no", "Unknown model"),
    ):
        with pytest.raises(ModelError, match=text):
            finetune(make_options(base=str(base)), folder)
        assert not folder.exists()  # nothing is begun


def test_a_vision_transformer_cannot_be_tuned(
    make_options: MakeOptions, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.safetensors"
    size = TransformerSize(width=64, depth=1, hidden=128, side=4)
    save_checkpoint(Encoder(EncoderLayout("dinov2", (1,), transformer=size)), path, {})
    with pytest.raises(ProtolabelError, match="small is a DINOv2, which cannot be fine-tuned"):
        finetune(make_options(base=str(path)), folder)
