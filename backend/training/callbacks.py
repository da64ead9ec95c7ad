"""What happens beside the steps: pictures of an episode, models and checkpoints that are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from .checkpoints import checkpoint_path, write_model
from .module import EpisodicTraining
from .pictures import preview


class EpisodePreviews(lightning.Callback):
    """Now and then, one episode as a picture: support, query, truth and prediction from left to right."""

    def __init__(self, folder: Path, every: int) -> None:
        self._folder, self._every = folder, every

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        """Draw the picture; Lightning calls this."""
        step = trainer.global_step
        if self._every and step % self._every == 0 and trainer.is_global_zero:
            assert isinstance(module, EpisodicTraining)  # nosec B101 # for the type checker
            module.eval()
            scores = module.method.segment(batch[0])
            module.train()
            self._folder.mkdir(parents=True, exist_ok=True)
            preview(batch[0], scores.argmax(dim=1)).save(self._folder / f"episode_{step:06d}.png")


class RunKeeper(Checkpoint):
    """Writes the last model with the checkpoint that a run is continued from, and the best model by the validation.

    After the validation of the same step, where there is one: Lightning's own callback writes checkpoints before, and a
    run that is continued from there has neither that validation nor its best model. What is a ``Checkpoint`` is called
    after all other callbacks.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        validate_every: int,
        monitor: str,
        card: Callable[[int, dict[str, float]], dict[str, str]],
    ) -> None:
        """Prepare.

        Args:
            folder: Of the run.
            every: Steps between checkpoints; there is one at the end as well.
            validate_every: Steps between validations, 0 for none.
            monitor: Name of the metric by which the best model is known; the larger the better.
            card: Makes a model's card from the step and the metrics.
        """
        self._folder, self._every, self._validate_every, self._card = folder, every, validate_every, card
        self._monitor = monitor
        self._best = -1.0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        """Keep the last one where no validation follows; Lightning calls this."""
        if not self._validate_every or trainer.global_step % self._validate_every:
            self._keep_last(trainer, module)

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Keep the best one, and the last one; Lightning calls this."""
        score = float(trainer.callback_metrics[self._monitor])
        if score > self._best:
            self._best = score
            self._write_model(trainer, module, "best")
        self._keep_last(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an interrupted run knew."""
        self._best = state_dict["best"]

    def _keep_last(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        step = trainer.global_step
        if step % self._every == 0 or step == trainer.max_steps:
            self._write_model(trainer, module, "last")
            trainer.save_checkpoint(checkpoint_path(self._folder))

    def _write_model(self, trainer: lightning.Trainer, module: lightning.LightningModule, name: str) -> None:
        if trainer.is_global_zero:
            assert isinstance(module, EpisodicTraining)  # nosec B101 # for the type checker
            metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
            write_model(
                module.method.encoder,
                self._folder / f"{name}.safetensors",
                self._card(trainer.global_step, metrics),
            )
