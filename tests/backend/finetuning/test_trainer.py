"""The training step: what it changes, what it leaves, and that it can be stopped in the middle."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import pytest
import torch

from backend.encoders.checkpoint import load_checkpoint, save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.episodes.episode import Episode
from backend.errors import Cancelled, ProtolabelError
from backend.finetuning.episodes import SceneEpisodes
from backend.finetuning.hold_out import divide
from backend.finetuning.reading import read_material
from backend.finetuning.trainer import EpisodeTrainer, Losses, load_base, rate
from backend.progress import CancelToken

from .conftest import MakeOptions

CPU = torch.device("cpu")


@pytest.fixture
def episodes(make_options: MakeOptions) -> SceneEpisodes:
    material = read_material(make_options(), CancelToken())
    return SceneEpisodes(divide(material).training, material.classes, 1, 96)


def weights(trainer: EpisodeTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.encoder.state_dict().items()}


def changed(trainer: EpisodeTrainer, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in trainer.encoder.state_dict().items() if not value.equal(before[name])}


@pytest.mark.parametrize(("trained", "frozen"), [("all", ()), ("upper", ("conv1", "bn1", "layer1"))])
def test_a_step_changes_the_chosen_layers(
    make_options: MakeOptions, episodes: SceneEpisodes, trained: str, frozen: tuple[str, ...]
) -> None:
    options = make_options(trained=trained)
    trainer = EpisodeTrainer(load_base(options.base), options, CPU)
    before = weights(trainer)
    losses = trainer.step(episodes[0], 0.0, CancelToken())
    assert math.isfinite(losses.total) and losses.segmentation > 0
    moved = changed(trainer, before)
    assert any(".layer2." in name for name in moved)
    assert any(name.startswith("backbone.conv1") for name in moved) == (not frozen)
    assert not any(name.startswith(tuple(f"backbone.{part}." for part in frozen)) for name in moved if frozen)
    assert not any("running" in name for name in moved)  # batch normalisation stays


def test_the_last_stage_alone(make_options: MakeOptions, episodes: SceneEpisodes, tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    save_checkpoint(Encoder(EncoderLayout(layers=(2, 3))), path, {})
    options = make_options(trained="last")
    trainer = EpisodeTrainer(load_checkpoint(path), options, CPU)
    before = weights(trainer)
    trainer.step(episodes[0], 0.0, CancelToken())
    moved = changed(trainer, before)
    assert moved and all(name.startswith("backbone.layer3.") for name in moved)


def test_trials_teach_nothing(make_options: MakeOptions, episodes: SceneEpisodes) -> None:
    options = make_options()
    one, two = (EpisodeTrainer(load_base(options.base), options, CPU) for _ in range(2))
    one.choose_precision(96, CancelToken())
    assert one.precision in ("float32", "bfloat16")
    one.precision = "float32"
    assert one.try_step(episodes[0], CancelToken()) > 0
    losses = [trainer.step(episodes[0], 0.0, CancelToken()) for trainer in (one, two)]
    assert losses[0] == losses[1]
    assert not changed(one, weights(two))


def test_a_training_that_is_continued_takes_the_same_course(
    make_options: MakeOptions, episodes: SceneEpisodes
) -> None:
    options = make_options()
    whole, first, second = (EpisodeTrainer(load_base(options.base), options, CPU) for _ in range(3))
    for index in range(3):
        whole.step(episodes[index], index / 3, CancelToken())
    first.step(episodes[0], 0.0, CancelToken())
    second.load_state_dict(first.state_dict())
    assert second.iteration == 1
    for index in (1, 2):
        second.step(episodes[index], index / 3, CancelToken())
    assert not changed(whole, weights(second))


def test_a_step_is_stopped_in_the_middle(make_options: MakeOptions, episodes: SceneEpisodes) -> None:
    options = make_options(crop=512)
    trainer = EpisodeTrainer(load_base(options.base), options, CPU)
    large = episodes[0]
    wide = Episode(  # some seconds of work
        large.support_images[:1].repeat(1, 1, 1, 6, 6).expand(large.way, -1, -1, -1, -1),
        large.support_masks.repeat(1, 1, 6, 6),
        large.query_images.repeat(1, 1, 6, 6),
        large.query_labels.repeat(1, 6, 6),
        large.classes,
    )
    before, cancel = weights(trainer), CancelToken()
    timer = threading.Timer(0.4, cancel.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        trainer.step(wide, 0.0, cancel)
    stopped = time.monotonic()
    assert not changed(trainer, before) and trainer.iteration == 0
    assert all(parameter.grad is None for parameter in trainer.encoder.parameters())
    assert time.monotonic() - stopped < 3
    trainer.step(large, 0.0, CancelToken())  # nothing is left of the stop
    assert changed(trainer, before)


def test_what_is_no_number_any_more(make_options: MakeOptions, episodes: SceneEpisodes) -> None:
    options = make_options()
    trainer = EpisodeTrainer(load_base(options.base), options, CPU)
    before = weights(trainer)
    broken = episodes[0]
    broken.query_images[:] = torch.nan
    with pytest.raises(ProtolabelError, match="not finite at iteration 0; the best model so far is kept"):
        trainer.step(broken, 0.0, CancelToken())
    assert not changed(trainer, before)


def test_smaller_steps_for_a_base_that_was_trained_by_episodes(make_options: MakeOptions) -> None:
    plain, trained = {"architecture": "resnet50"}, {"architecture": "resnet50", "iterations": "1000"}
    for layers in ("upper", "last"):
        usual = make_options(trained=layers)
        assert usual.rate(trained) == pytest.approx(usual.rate(plain) / 5)
    given = make_options(learning_rate=1e-3)
    assert given.rate(plain) == given.rate(trained) == 1e-3


def test_rate() -> None:
    assert rate(0, 0.0) < rate(10, 0.0) < rate(50, 0.0) == pytest.approx(1.0)
    assert rate(50, 0.5) == pytest.approx(0.505)
    assert rate(50, 1.0) == rate(50, 7.0) == pytest.approx(0.01)


def test_mean_of_losses() -> None:
    assert Losses.mean([Losses(1, 2, 3, 4, 5), Losses(3, 2, 1, 0, 5)]) == Losses(2, 2, 2, 2, 5)


def test_nothing_left_to_train(make_options: MakeOptions) -> None:
    options = make_options(trained="last")
    base = load_base(options.base)
    base.encoder.requires_grad_(False)
    with pytest.raises(ProtolabelError, match="nothing to train"):
        EpisodeTrainer(base, options, CPU)
