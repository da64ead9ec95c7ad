"""Tasks: which images and classes a setting is tested on, and that each pixel of the test tiles counts once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.transform import Affine

from backend.configuration_file import ConfigurationError
from backend.episodes.datasets import potsdam, vaihingen
from backend.episodes.datasets.isprs import decode_colors
from backend.errors import ProtolabelError
from backend.evaluation.config import EvaluationConfig, load_config
from backend.evaluation.experiment import Task
from backend.evaluation.journal import Journal
from backend.evaluation.options import differences
from backend.evaluation.protocols import protocol
from backend.evaluation.runner import evaluate
from backend.evaluation.tasks import TaskSource, usual_boundary

COLORS = np.array(
    [(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0), (0, 0, 0)],
    np.uint8,
)
HEIGHT, WIDTH = 30, 44
CLASSES = {1: "road", 2: "roof", 3: "tree", 4: "water"}


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _tile(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image and the colours of its labels, in blobs of 4 x 4 pixels."""
    blobs = rng.integers(0, 7, (HEIGHT // 4 + 1, WIDTH // 4 + 1))
    labels = blobs.repeat(4, 0).repeat(4, 1)[:HEIGHT, :WIDTH]
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), COLORS[labels]


@pytest.fixture(scope="module")
def isprs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vaihingen with full and eroded labels for all tiles, and Potsdam with eroded ones for the test."""
    root = tmp_path_factory.mktemp("isprs")
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for number in vaihingen.TILES["official", part]:
            image, colors = _tile(rng)
            _save(root / "top" / f"top_mosaic_09cm_area{number}.tif", image)
            _save(root / "gts_for_participants" / f"top_mosaic_09cm_area{number}.tif", colors)
            eroded = f"top_mosaic_09cm_area{number}_noBoundary.tif"
            _save(root / "gts_eroded_for_participants" / eroded, colors)
    for tile in (*potsdam.TILES["train"], *potsdam.TILES["test"]):
        image, colors = _tile(rng)
        _save(root / "2_Ortho_RGB" / f"top_potsdam_{tile}_RGB.tif", image)
        _save(root / "3_Ortho_IRRG" / f"top_potsdam_{tile}_IRRG.tif", image[..., ::-1])
        _save(root / "5_Labels_all" / f"top_potsdam_{tile}_label.tif", colors)
        _save(root / "5_Labels_all_noBoundary" / f"top_potsdam_{tile}_label_noBoundary.tif", colors)
    return root


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rasters in which 250 is unlabelled, the first three for the support."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(1)
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "dtype": "uint8", "crs": "EPSG:32633"}
    for number in range(6):
        blobs = rng.choice(np.array([0, 1, 2, 3, 4, 250], np.uint8), (HEIGHT // 6 + 1, WIDTH // 6 + 1))
        labels = blobs.repeat(6, 0).repeat(6, 1)[:HEIGHT, :WIDTH]
        stem = f"{'train' if number < 3 else 'test'}{number}"
        for name, bands in (
            (f"{stem}.tif", rng.integers(0, 256, (3, HEIGHT, WIDTH))),
            (f"{stem}_labels.tif", labels[None]),
        ):
            with rasterio.open(
                root / name, "w", count=len(bands), transform=Affine(1, 0, 0, 0, -1, 0), **profile
            ) as file:
                file.write(bands.astype(np.uint8))
    (root / "classes.csv").write_text(
        "id,name,color\n1,road,#808080\n2,roof,#ff0000\n3,tree,#008000\n4,water,#0000ff\n"
    )
    return root


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., EvaluationConfig]:
    """A configuration from a file: ``configure(dataset=..., root=..., ...)``."""

    def make(**values: Any) -> EvaluationConfig:
        import yaml

        known = {
            "checkpoint": "x",
            "shots": [2],
            "size": 12,
            "output": "out",
            "root": str(values.pop("root")),
        }
        options = {"cache": str(tmp_path / "cache"), **values.pop("options", {})}
        path = tmp_path / "evaluation.yaml"
        path.write_text(yaml.safe_dump({**known, "options": options, **values}))
        return load_config(path)

    return make


def task_of(config: EvaluationConfig) -> Task:
    source = TaskSource(config.data, protocol(config.protocol), config.size, config.boundary, config.support)
    (setting,) = config.settings()
    return source(setting)


def counted(task: Task, path: Path, workers: int = 0) -> np.ndarray:
    """The confusion matrix of a method that calls everything background."""

    def segment(episode):
        queries, height, width = episode.query_labels.shape
        scores = torch.zeros(queries, episode.way + 1, height, width)
        scores[:, 0] = 1
        return scores

    chosen = protocol("patches").shortened(runs=1)
    journal = Journal(path, {}, len(task.classes) + 1)
    (counts,) = evaluate(segment, task.episodes_of, task.classes, chosen, journal, workers=workers)
    return counts.confusion


class TestEachPixelCountsOnce:
    @pytest.mark.parametrize("size", [12, 16, 30])
    @pytest.mark.parametrize("workers", [0, 2])
    def test_vaihingen(self, isprs: Path, configure, tmp_path: Path, size: int, workers: int) -> None:
        task = task_of(configure(dataset="vaihingen", root=isprs, protocol="patches", size=size))
        assert task.identity["pixels counted"] == "once"
        found = counted(task, tmp_path / "journal", workers).sum(axis=1)
        labels = np.zeros(256, int)
        for number in vaihingen.TILES["official", "test"]:
            path = isprs / "gts_eroded_for_participants" / f"top_mosaic_09cm_area{number}_noBoundary.tif"
            colors = np.asarray(Image.open(path)).transpose(2, 0, 1)
            labels += np.bincount(decode_colors(colors).ravel(), minlength=256)
        assert found[1:].tolist() == labels[1:6].tolist()
        assert found[0] == labels[6]  # clutter is background
        assert found.sum() == labels[:255].sum() < 17 * HEIGHT * WIDTH

    def test_own_pairs(self, pairs: Path, configure, tmp_path: Path) -> None:
        config = configure(
            dataset="geotiff-pairs",
            root=pairs,
            protocol="patches",
            options={"images": "test*.tif", "ignored": [250], "stride": 5},
            support_options={"images": "train*.tif"},
        )
        assert config.way == 4
        task = task_of(config)
        assert task.names == tuple(CLASSES.values())
        labels = np.zeros(256, int)
        for number in (3, 4, 5):
            with rasterio.open(pairs / f"test{number}_labels.tif") as file:
                labels += np.bincount(file.read(1).ravel(), minlength=256)
        assert counted(task, tmp_path / "journal").sum(axis=1).tolist() == labels[:5].tolist()


class TestIsprsOptions:
    def test_what_the_paper_has(self, isprs: Path, configure) -> None:
        config = configure(dataset="vaihingen", root=isprs, protocol="patches")
        task = task_of(config)
        assert config.way == 5 and task.names[-1] == "car"
        assert (task.identity["test split"], task.identity["test labels"]) == ("official", "eroded")
        used = {"protocol": "patches", "size": 417, **task.identity}
        assert not [one for one in differences(config.settings()[0], used) if one.option.startswith("test")]

    @pytest.mark.parametrize(
        ("options", "split", "expected"),
        [
            ({"split": "four-tile"}, None, {"test split": ("official", "four-tile")}),
            ({"labels": "full"}, None, {"test labels": ("eroded", "full")}),
            ({"split": "four-tile", "labels": "full"}, None, {"test split": ("official", "four-tile")}),
        ],
    )
    def test_what_differs_is_told(self, isprs: Path, configure, options, split, expected) -> None:
        config = configure(dataset="vaihingen", root=isprs, protocol="patches", options=options)
        task = task_of(config)
        found = {
            one.option: (one.paper, one.used)
            for one in differences(
                config.settings()[0], {"protocol": "patches", "size": 417, **task.identity}
            )
        }
        assert found.items() >= expected.items()
        assert task.identity["images"] == 4 * 12 if "split" in options else 17 * 12

    def test_bands_of_potsdam(self, isprs: Path, configure) -> None:
        tasks = {
            bands: task_of(
                configure(dataset="potsdam", root=isprs, protocol="patches", options={"bands": bands})
            )
            for bands in ("rgb", "irrg")
        }
        rgb, irrg = (tasks[bands].episodes_of(0)[0] for bands in ("rgb", "irrg"))
        assert torch.equal(rgb.query_images.flip(1), irrg.query_images)
        assert torch.equal(rgb.query_labels, irrg.query_labels)
        assert [tasks[bands].identity["bands"] for bands in tasks] == ["rgb", "irrg"]

    def test_one_class_is_tested_alone(self, isprs: Path, configure) -> None:
        config = configure(
            dataset="vaihingen", root=isprs, protocol="patches", options={"left_out": "building"}
        )
        (setting,) = config.settings()
        assert setting.test_class == "building" and setting.way == 1
        task = task_of(config)
        assert (task.classes, task.names) == ((2,), ("building",))
        assert set(task.episodes_of(0)[0].query_labels.unique().tolist()) <= {0, 1, 255}

    def test_the_same_tiles_on_both_sides(self, isprs: Path, configure) -> None:
        config = configure(dataset="vaihingen", root=isprs, protocol="patches", options={"tiles": [1, 3]})
        with pytest.raises(ProtolabelError, match=r"both from .*area\d.tif; choose other files"):
            task_of(config)
        config = configure(
            dataset="vaihingen",
            root=isprs,
            protocol="patches",
            options={"tiles": [1, 3]},
            support_options={"tiles": [5, 7]},
        )
        assert task_of(config).identity["test split"] == "tiles 1, 3"


class TestOwnPairs:
    def test_folds_of_episodes(self, pairs: Path, configure) -> None:
        config = configure(
            dataset="geotiff-pairs", root=pairs, shots=[1], options={"ignored": [250], "patch": 12}
        )
        names = [TaskSource(config.data, protocol("panet"), 12)(one).names for one in config.settings()]
        assert names == [("road",), ("roof",), ("tree",), ("water",)]
        task = task_of(config.model_copy(update={"folds": ()}))
        assert task.names == tuple(CLASSES.values())

    @pytest.mark.parametrize("name", ["panet", "hsnet"])
    def test_one_class_left_out(self, pairs: Path, configure, name: str) -> None:
        config = configure(
            dataset="geotiff",
            root=pairs,
            protocol=name,
            options={"ignored": [250], "patch": 12, "left_out": "tree"},
        )
        task = task_of(config)
        assert task.names == ("tree",) and task.identity["options.left_out"] == "tree"
        assert task.identity["boundary"] == "ignore"
        drawn = task.episodes_of(3)
        assert {drawn[index].classes for index in range(10)} == {(3,)}
        assert "options.cache" not in task.identity

    def test_unlabelled_pixels(self) -> None:
        assert usual_boundary("geotiff") == usual_boundary("geotiff-pairs") == "ignore"
        assert usual_boundary("pascal") == "background"

    def test_support_and_queries_are_other_rasters(self, pairs: Path, configure) -> None:
        config = configure(dataset="geotiff", root=pairs, protocol="patches", options={"ignored": [250]})
        with pytest.raises(ProtolabelError, match=r"support_options: \{images: train_\*.tif\}"):
            task_of(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"options": {"left_out": "tree"}, "folds": [1]}, "tested alone; leave out folds and way"),
        ({"options": {"left_out": "tree"}, "way": 2}, "tested alone; leave out folds and way"),
        ({"options": {"left_out": ["tree"]}}, "must be the name of a class"),
        ({"protocol": "patches", "folds": [1]}, "leave out folds"),
        ({"folds": [-1]}, "folds.0"),
    ],
)
def test_configurations_that_contradict_themselves(pairs: Path, configure, values, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configure(dataset="geotiff", root=pairs, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"options": {"left_out": "lava"}}, "no class 'lava'; there are road"),
        (
            {"options": {"left_out": "lava"}, "protocol": "patches", "support_options": {"images": "train*"}},
            "both from",
        ),
        ({"options": {"pitch": 3}}, "no 'pitch'; there are classes"),
        ({"support_options": {"images": "train*.tif"}}, "leave out support_options"),
        ({"protocol": "hsnet", "way": 2}, "episodes of 1 way"),
        ({"split": "test"}, "no split 'test'"),
        ({"way": 3}, "use fewer ways"),
        (
            {
                "protocol": "patches",
                "way": 5,
                "options": {"images": "test*.tif"},
                "support_options": {"images": "train*.tif"},
            },
            "5 ways cannot be tested with the 4 classes",
        ),
    ],
)
def test_tasks_that_cannot_be(pairs: Path, configure, values, message: str) -> None:
    options = {"ignored": [250], **values.pop("options", {})}
    folds = {} if "left_out" in options or values.get("protocol") == "patches" else {"folds": [0]}
    config = configure(dataset="geotiff", root=pairs, options=options, **folds, **values)
    with pytest.raises(ProtolabelError, match=message) as caught:
        task_of(config)
    assert "\n" not in str(caught.value)


def test_no_data_set_of_tiles(configure, tmp_path: Path) -> None:
    config = configure(dataset="camvid", root=tmp_path, protocol="patches", way=1)
    with pytest.raises(ProtolabelError, match="for aerial tiles, not for camvid"):
        task_of(config)
    config = configure(dataset="vaihingen", root=tmp_path, folds=[0])
    with pytest.raises(ProtolabelError, match="no folds of vaihingen"):
        task_of(config)
    with pytest.raises(ProtolabelError, match="no data set 'ade'"):
        configure(dataset="ade", root=tmp_path, protocol="patches")
