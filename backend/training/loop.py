"""A training from its configuration to its models; continues by itself where it was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from .. import __version__
from ..configuration_file import ConfigurationError
from ..errors import ProtolabelError
from .callbacks import EpisodePreviews, RunKeeper
from .checkpoint_io import AtomicCheckpointIO
from .checkpoints import checkpoint_path, git_revision, told_unwritable
from .configuration import Experiment
from .data import EpisodeData, names
from .interruption import alone_in, interruptions_told
from .module import EpisodicTraining
from .network import build_method

_ROOT = Path(__file__).resolve().parents[2]


def train(experiment: Experiment, progress: bool = True) -> Path:
    """Train, or go on with a training that was interrupted.

    Args:
        experiment: What to train.
        progress: Whether a progress bar is shown.

    Returns:
        The last model.

    Raises:
        ProtolabelError: When data, weights or machine cannot serve, the folder holds another experiment or cannot be
            written, or loss or weights are no numbers any more; the last checkpoint and its model are then kept.
        Cancelled: When it was stopped.
    """
    folder = experiment.folder
    data = EpisodeData(experiment)
    data.train_dataloader()  # tells of episodes that cannot be drawn before anything is written
    method = build_method(experiment)
    trainer = _trainer(experiment, data, progress)
    with told_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder, trainer), interruptions_told(folder, trainer):
        _claim(folder, experiment)
        last = checkpoint_path(folder)
        module = EpisodicTraining(method, experiment.optimizer, experiment.run.iterations)
        trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    return folder / "last.safetensors"


def _trainer(experiment: Experiment, data: EpisodeData, progress: bool) -> lightning.Trainer:
    """Lightning's loop; it writes nothing yet.

    Raises:
        ConfigurationError: When the machine has no such devices, or Lightning knows no such strategy.
    """
    folder, run = experiment.folder, experiment.run

    def card(step: int, metrics: dict[str, float]) -> dict[str, str]:
        return model_card(experiment, data, step, metrics)

    # Episodes within one scene have no background that could be told from a foreground.
    monitor = "validation/miou" if experiment.episodes.drawn else "validation/binary_iou"
    callbacks: list[lightning.Callback] = [
        EpisodePreviews(folder / "previews", run.preview_every),
        RunKeeper(folder, run.save_every, run.validate_every, monitor, card),
    ]
    if progress:
        callbacks.append(RichProgressBar())
    try:
        return lightning.Trainer(
            default_root_dir=folder,
            max_steps=run.iterations,
            max_epochs=-1,
            accelerator=run.accelerator,
            devices=run.devices,
            strategy=run.strategy,
            precision=run.precision,
            gradient_clip_val=experiment.optimizer.clip or None,
            callbacks=callbacks,
            logger=_loggers(folder),
            log_every_n_steps=run.log_every,
            val_check_interval=run.validate_every or None,
            limit_val_batches=1.0 if run.validate_every else 0,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            plugins=[AtomicCheckpointIO()],
        )
    except (ValueError, TypeError, MisconfigurationException) as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        raise ConfigurationError(
            f"The run cannot be set up ({reason}); check run.accelerator, run.devices and run.strategy."
        ) from error


def model_card(
    experiment: Experiment, data: EpisodeData, step: int, metrics: dict[str, float]
) -> dict[str, str]:
    """What a model tells about its training; travels inside of the model file."""
    return {
        "trained_on": f"{experiment.data.name}: {', '.join(names(data.images, data.classes))}",
        "configuration": experiment.model_dump_json(),
        "iterations": str(step),
        "metrics": json.dumps({name: round(value, 5) for name, value in sorted(metrics.items())}),
        "revision": git_revision(_ROOT),
        "version": __version__,
        "torch": torch.__version__,
    }


def _claim(folder: Path, experiment: Experiment) -> None:
    """Keep the configuration in the folder; a folder of another experiment is not gone on with."""
    kept = folder / "configuration.json"
    text = experiment.model_dump_json(
        indent=1, exclude={"run": {"workers", "devices", "accelerator", "strategy"}}
    )
    with told_unwritable(kept):
        if not kept.exists():
            part = kept.with_name(kept.name + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(kept)
        elif kept.read_text(encoding="utf-8") != text:
            raise ProtolabelError(
                f"{folder} holds a training with another configuration; choose another name, or remove the folder."
            )


def _loggers(folder: Path) -> list[Logger]:
    """A table for each time that the training is started, since Lightning's begins anew, and one TensorBoard log."""
    return [CSVLogger(folder, "log"), TensorBoardLogger(folder, "log", "")]
