"""The images and episodes of an experiment, in an order that an interrupted run can pick up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from ..episodes import opening
from ..episodes.drawn import DrawnEpisodes
from ..episodes.episode import Episode, EpisodeDataset, LabeledImages
from ..episodes.held_out import HeldOutIgnored
from ..episodes.loading import Telling, told
from ..episodes.sampling import PanetSampler
from ..errors import ProtolabelError
from .configuration import Experiment

_VALIDATION_SEED = 1_000_000  # added to the seed: other episodes than those of the training

Loader = DataLoader[Episode | ProtolabelError]


class EpisodeData(lightning.LightningDataModule):
    """Episodes of the training classes, and of the same classes' held-out episodes for the validation."""

    def __init__(self, experiment: Experiment) -> None:
        """Open the images.

        Raises:
            ProtolabelError: When the data are not there, or classes and folds do not fit.
        """
        super().__init__()
        self._experiment = experiment
        self.images: LabeledImages = open_images(experiment)
        self.classes = training_classes(experiment, self.images)
        if experiment.episodes.held_out == "ignore":
            self.images = HeldOutIgnored(self.images, self.classes)

    def train_dataloader(self) -> Loader:
        """Episodes from where the run stands; Lightning calls this."""
        run = self._experiment.run
        trainer = self.trainer
        world, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        done = trainer.global_step if trainer else 0
        length = run.iterations * run.batch * world
        sampler = FromHere(length, done * run.batch, rank, world)
        return self._loader(self._episodes(length, self._experiment.seed, True), run.batch, sampler)

    def val_dataloader(self) -> Loader | list[Any]:
        """The same episodes at every validation; Lightning calls this."""
        run = self._experiment.run
        if not run.validate_every:
            return []
        seed = self._experiment.seed + _VALIDATION_SEED
        return self._loader(self._episodes(run.validation_episodes, seed, False), 1, None)

    def transfer_batch_to_device(
        self, batch: Sequence[Episode | ProtolabelError], device: torch.device, dataloader_idx: int
    ) -> list[Episode]:
        """Episodes are no tensors, so Lightning has to be told how they move.

        Raises:
            ProtolabelError: When one could not be drawn, be it in another process.
        """
        return [told(episode).to(device) for episode in batch]

    def _episodes(self, length: int, seed: int, training: bool) -> EpisodeDataset | DrawnEpisodes:
        section = self._experiment.episodes
        if section.drawn is not None:
            return DrawnEpisodes(self.images, length, seed, section.size, section.drawn)
        sampler = PanetSampler(self.images, self.classes, section.way, section.shot, section.queries)
        return EpisodeDataset(
            self.images,
            sampler,
            length,
            seed,
            section.size,
            section.boundary,
            training and section.mirror,
        )

    def _loader(
        self, episodes: EpisodeDataset | DrawnEpisodes, batch: int, sampler: Sampler[int] | None
    ) -> Loader:
        workers = self._experiment.run.workers
        return DataLoader(
            Telling(episodes),
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
    """The classes that are trained on: all, or those outside of the test fold.

    Raises:
        ProtolabelError: When there is no such fold, or no class that is left out.
    """
    sides = opening.class_sides(images, experiment.data.fold, experiment.data.options)
    return tuple(range(1, len(images.classes) + 1)) if sides is None else sides.train


def open_images(experiment: Experiment) -> LabeledImages:
    """Open the data of an experiment.

    Raises:
        ProtolabelError: When the name is unknown, or the data are not there or malformed.
    """
    data, section = experiment.data, experiment.episodes
    size = None if section.drawn else section.size  # episodes within a scene need all of it
    return opening.open_images(data.name, data.root, data.split, size, data.options)


def names(images: LabeledImages, classes: Sequence[int]) -> tuple[str, ...]:
    """Names of some classes."""
    return tuple(images.classes[id - 1] for id in classes)
