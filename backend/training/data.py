"""The images and episodes of an experiment, in an order that an interrupted run can pick up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from ..episodes.episode import Episode, EpisodeDataset, LabeledImages
from ..episodes.folds import fold
from ..episodes.sampling import PanetSampler
from .configuration import ConfigurationError, Experiment

_FOLDS = 4
_VALIDATION_SEED = 1_000_000  # added to the seed: other episodes than those of the training


class EpisodeData(lightning.LightningDataModule):
    """Episodes of the training classes, and of the same classes' held-out episodes for the validation."""

    def __init__(self, experiment: Experiment) -> None:
        """Open the images.

        Raises:
            ProtolabelError: When the data are not there, or classes and folds do not fit.
        """
        super().__init__()
        self._experiment = experiment
        self.images = open_images(experiment)
        self.classes = training_classes(experiment, self.images)

    def train_dataloader(self) -> DataLoader[Episode]:
        """Episodes from where the run stands; Lightning calls this."""
        run = self._experiment.run
        trainer = self.trainer
        world, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        done = trainer.global_step if trainer else 0
        length = run.iterations * run.batch * world
        sampler = FromHere(length, done * run.batch, rank, world)
        return self._loader(self._episodes(length, self._experiment.seed, True), run.batch, sampler)

    def val_dataloader(self) -> DataLoader[Episode] | list[Any]:
        """The same episodes at every validation; Lightning calls this."""
        run = self._experiment.run
        if not run.validate_every:
            return []
        seed = self._experiment.seed + _VALIDATION_SEED
        return self._loader(self._episodes(run.validation_episodes, seed, False), 1, None)

    def transfer_batch_to_device(
        self, batch: Sequence[Episode], device: torch.device, dataloader_idx: int
    ) -> list[Episode]:
        """Episodes are no tensors, so Lightning has to be told how they move."""
        return [episode.to(device) for episode in batch]

    def _episodes(self, length: int, seed: int, training: bool) -> EpisodeDataset:
        section = self._experiment.episodes
        sampler = PanetSampler(self.images, self.classes, section.way, section.shot, section.queries)
        return EpisodeDataset(
            self.images, sampler, length, seed, section.size, mirror=training and section.mirror
        )

    def _loader(
        self, episodes: EpisodeDataset, batch: int, sampler: Sampler[int] | None
    ) -> DataLoader[Episode]:
        workers = self._experiment.run.workers
        return DataLoader(
            episodes,
            batch_size=batch,
            sampler=sampler,
            num_workers=workers,
            collate_fn=list,
            persistent_workers=workers > 0,
            drop_last=sampler is not None,
        )


class FromHere(Sampler[int]):
    """Indices of one process, from where an interrupted run stands; its length stays that of the whole run."""

    def __init__(self, length: int, done: int, rank: int = 0, world: int = 1) -> None:
        """Count.

        Args:
            length: Indices of all processes.
            done: Indices that this process has had.
            rank: This process.
            world: Processes.
        """
        self._length, self._done, self._rank, self._world = length, done, rank, world

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._rank + self._done * self._world, self._length, self._world))

    def __len__(self) -> int:
        return self._length // self._world


def training_classes(experiment: Experiment, images: LabeledImages) -> tuple[int, ...]:
    """The classes that are trained on: all, or those outside of the test fold."""
    count = len(images.classes)
    held_out = experiment.data.fold
    left_out = experiment.data.options.get("left_out")
    if left_out is not None:
        if left_out not in images.classes:
            raise ConfigurationError(
                f"data.options.left_out names no class {left_out!r}; there are {', '.join(images.classes)}."
            )
        return tuple(i for i in range(1, count + 1) if images.classes[i - 1] != left_out)
    if held_out is None:
        return tuple(range(1, count + 1))
    if held_out >= _FOLDS:
        raise ConfigurationError(f"data.fold must be from 0 to {_FOLDS - 1}, not {held_out}.")
    return fold(count, _FOLDS, held_out, experiment.data.options.get("folds", "contiguous")).train


def open_images(experiment: Experiment) -> LabeledImages:
    """Open the data of an experiment; what a data set needs is imported by itself.

    Raises:
        ProtolabelError: When the name is unknown or the data are not there.
    """
    data, size = experiment.data, experiment.episodes.size
    options = {name: value for name, value in data.options.items() if name not in ("left_out", "folds")}
    if "cache" in options:
        options["cache"] = Path(options["cache"])
    if data.name == "pascal":
        from ..episodes.datasets.pascal import pascal_images

        return _open(pascal_images, data.root, data.split or "trainaug", **options)
    if data.name == "coco":
        from ..episodes.datasets.coco import CocoImages

        return _open(CocoImages, data.root, data.split or "train2014", **options)
    if data.name == "camvid":
        from ..episodes.datasets.camvid import camvid_images

        return _open(camvid_images, data.root, data.split or "train", **options)
    if data.name == "vaihingen":
        from ..episodes.datasets.vaihingen import vaihingen_patches

        return _open(vaihingen_patches, data.root, data.split or "train", **{"patch": size, **options})
    if data.name == "potsdam":
        from ..episodes.datasets.potsdam import potsdam_patches

        return _open(potsdam_patches, data.root, data.split or "train", **{"patch": size, **options})
    if data.name == "geotiff":
        from ..episodes.datasets.geotiff_pairs import geotiff_pairs

        return _open(geotiff_pairs, data.root, **{"patch": size, **options})
    raise ConfigurationError(
        f"There is no data set {data.name!r}; choose pascal, coco, camvid, vaihingen, potsdam or geotiff."
    )


def _open(dataset: Callable[..., LabeledImages], *arguments: Any, **options: Any) -> LabeledImages:
    try:
        inspect.signature(dataset).bind(*arguments, **options)
    except TypeError as error:
        raise ConfigurationError(f"data.options do not fit the data set: {error}.") from error
    return dataset(*arguments, **options)


def names(images: LabeledImages, classes: Sequence[int]) -> tuple[str, ...]:
    """Names of some classes."""
    return tuple(images.classes[id - 1] for id in classes)
