"""Episodes of a training: the same for any number of workers and from any iteration, of the training classes alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from backend.cli import run
from backend.episodes.datasets.camvid import CLASSES
from backend.episodes.episode import Episode
from backend.episodes.opening import open_images
from backend.errors import ProtolabelError
from backend.evaluation.config import load_config
from backend.evaluation.protocols import protocol
from backend.evaluation.tasks import TaskSource
from backend.training.configuration import read_experiment
from backend.training.data import EpisodeData, FromHere


def episodes(data: EpisodeData, step: int = 0, world: int = 1, rank: int = 0) -> list[Episode]:
    """All episodes of a training that stands at a step."""
    data.trainer = SimpleNamespace(global_step=step, world_size=world, global_rank=rank)  # type: ignore[assignment]
    batches = [
        data.transfer_batch_to_device(batch, torch.device("cpu"), 0) for batch in data.train_dataloader()
    ]
    assert all(len(batch) == 2 for batch in batches)
    return [episode for batch in batches for episode in batch]


def same(one: Episode, other: Episode) -> bool:
    tensors = ("support_images", "support_masks", "query_images", "query_labels")
    return one.classes == other.classes and all(
        torch.equal(getattr(one, t), getattr(other, t)) for t in tensors
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_workers_from_any_iteration(make_config: Callable[..., Path], workers: int) -> None:
    path = make_config()
    whole = episodes(EpisodeData(read_experiment(path, ["run.workers=0"])))
    assert len(whole) == 6 * 2
    assert not all(same(whole[0], other) for other in whole[1:])
    data = EpisodeData(read_experiment(path, [f"run.workers={workers}"]))
    for step in (0, 1, 4):
        rest = episodes(data, step)
        assert len(rest) == len(whole) - 2 * step
        assert all(same(one, other) for one, other in zip(rest, whole[2 * step :], strict=True))


def test_processes_share_the_episodes(make_config: Callable[..., Path]) -> None:
    experiment = read_experiment(make_config())
    own = [episodes(EpisodeData(experiment), step=2, world=2, rank=rank) for rank in (0, 1)]
    alone = read_experiment(make_config(), ["run.iterations=12"])
    together = episodes(EpisodeData(alone), step=4)
    assert len(own[0]) == len(own[1]) == 8
    assert all(same(one, together[2 * i + rank]) for rank in (0, 1) for i, one in enumerate(own[rank]))


def test_indices_from_here() -> None:
    assert list(FromHere(10, 2, rank=1, world=2)) == [5, 7, 9] and len(FromHere(10, 2, 1, 2)) == 5


def test_validation_has_episodes_of_its_own(make_config: Callable[..., Path]) -> None:
    data = EpisodeData(read_experiment(make_config()))
    trained, held_out = episodes(data), [batch[0] for batch in data.val_dataloader()]
    assert len(held_out) == 2
    assert not any(same(one, other) for one in held_out for other in trained)


def test_unlabelled_pixels_are_what_the_experiment_says(
    make_config: Callable[..., Path], tmp_path: Path
) -> None:
    options = {"classes": {1: "forest"}, "ignored": [2], "cache": str(tmp_path / "cache"), "patch": 64}
    shown = {}
    for boundary in ("ignore", "background"):
        path = make_config(data={"options": options}, episodes={"boundary": boundary})
        shown[boundary] = torch.stack(
            [one.support_masks for one in episodes(EpisodeData(read_experiment(path)))]
        )
    assert (shown["ignore"] == 255).any()
    expected = torch.where(shown["ignore"] == 255, 0, shown["ignore"])
    assert torch.equal(shown["background"], expected)


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Six images with all classes in rows."""
    root = tmp_path / "camvid"
    for split in ("train", "test"):
        for folder in ("images", "labels"):
            (root / split / folder).mkdir(parents=True)
        for index in range(6):
            labels = Image.new("L", (24, 24))
            labels.putdata([row // 2 for row in range(24) for _ in range(24)])
            labels.save(root / split / "labels" / f"{index}.png")
            Image.new("RGB", (24, 24), (40 * index, 90, 90)).save(root / split / "images" / f"{index}.png")
    return root


@pytest.mark.parametrize("fold", range(4))
def test_classes_that_are_tested_are_never_trained(
    make_config: Callable[..., Path], camvid: Path, tmp_path: Path, fold: int
) -> None:
    options = {"cache": str(tmp_path / "cache")}
    path = make_config(data={"name": "camvid", "root": str(camvid), "fold": fold, "options": options})
    data = EpisodeData(read_experiment(path))
    trained = {number for episode in episodes(data) for number in episode.classes}
    assert trained and trained <= set(data.classes)

    config = tmp_path / "evaluation.yaml"
    config.write_text(
        f"{{dataset: camvid, root: {camvid}, checkpoint: none, folds: [{fold}], shots: [1], size: 24, output: out,"
        f" options: {{cache: {tmp_path / 'cache'}}}}}"
    )
    loaded = load_config(config)
    task = TaskSource(loaded.data, protocol("panet"), loaded.size)(loaded.settings()[0])
    drawn = task.episodes_of(1234)
    tested = {number for index in range(20) for number in drawn[index].classes}
    assert tested and tested <= set(task.classes)
    assert not set(task.classes) & set(data.classes)
    assert sorted((*task.classes, *data.classes)) == list(range(1, len(CLASSES) + 1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_ends_the_command_with_one_sentence(
    make_config: Callable[..., Path], camvid: Path, tmp_path: Path, workers: int, capsys
) -> None:
    path = make_config(
        data={"name": "camvid", "root": str(camvid), "options": {"cache": str(tmp_path / "cache")}},
        run={"workers": workers, "validate_every": 0, "preview_every": 0},
    )
    EpisodeData(read_experiment(path))  # keeps what classes the images show
    for image in (camvid / "train/images").iterdir():
        image.write_bytes(b"no image")
    assert run(["train", str(path), "--no-progress"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("Error: The image ") and last.endswith("fetch them again.")


def test_a_class_that_is_left_out_with_a_fold(make_config: Callable[..., Path]) -> None:
    path = make_config(data={"fold": 0})
    with pytest.raises(ProtolabelError, match="choose one of them"):
        EpisodeData(read_experiment(path, ["data.options.left_out=water"]))


def test_held_out_classes_are_background_or_ignored(make_config: Callable[..., Path]) -> None:
    changes = ["data.options.left_out=water", "run.workers=0"]
    path = make_config()
    as_background = episodes(EpisodeData(read_experiment(path, changes)))
    ignored = episodes(EpisodeData(read_experiment(path, [*changes, "episodes.held_out=ignore"])))
    assert {episode.classes for episode in (*as_background, *ignored)} == {(1,)}
    for one, other in zip(as_background, ignored, strict=True):
        assert torch.equal(one.query_images, other.query_images)
        changed = one.query_labels != other.query_labels
        assert changed.any()
        assert (one.query_labels[changed] == 0).all() and (other.query_labels[changed] == 255).all()
        assert torch.equal(one.query_labels == 1, other.query_labels == 1)


def test_several_data_sets_are_one(make_config: Callable[..., Path], pairs: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    parts = [
        {"name": "geotiff", "root": pairs.name, "options": {"images": "scene[0-2].tif", "cache": cache}},
        {"name": "geotiff", "root": pairs.name, "options": {
            "images": "scene[3-5].tif", "classes": {1: "forest", 2: "sea"}, "cache": cache,
        }},
    ]  # fmt: skip
    path = make_config(data={"name": "collection", "root": str(pairs.parent), "options": {"parts": parts}})
    data = EpisodeData(read_experiment(path))
    assert data.images.classes == ("forest", "water", "sea")
    assert {episode.classes for episode in episodes(data)} <= {(1,), (2,), (3,)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs the option parts"),
        ({"parts": [{"root": "x"}]}, "needs the option parts"),
        ({"parts": [{"name": "geotiff"}], "patch": 5}, "nothing else"),
        ({"parts": [{"name": "geotiff", "folder": "x"}]}, "no 'folder'"),
        ({"parts": [{"name": "geotif"}]}, "no data set 'geotif'"),
        ({"parts": [{"name": "geotiff", "root": "nowhere"}]}, "does not exist"),
    ],
)
def test_wrong_collections_are_told(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(ProtolabelError, match=said):
        open_images("collection", tmp_path, None, 64, options)
