"""The method in Lightning's loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import lightning
import torch
from torch import Tensor
from torchmetrics import JaccardIndex

from ..dpcl.method import LossParts
from ..encoders.encoder import Encoder
from ..episodes.episode import IGNORE, Episode
from ..errors import ProtolabelError
from .configuration import OptimizerSection


class DivergedError(ProtolabelError):
    """Loss or weights are no numbers any more."""


class EpisodicMethod(Protocol):
    """What can be trained: a module with an encoder and losses.

    Attributes:
        encoder: What is trained, and what a model file keeps.
    """

    encoder: Encoder

    def __call__(self, episodes: Sequence[Episode]) -> LossParts:
        """The losses of a batch."""

    def segment(self, episode: Episode) -> Tensor:
        """Score an episode's queries, shape (queries, 1 + way, height, width), the background first."""

    def update_momentum_encoder(self) -> None:
        """What follows the optimiser's step."""


class EpisodicTraining(lightning.LightningModule):
    """Trains a method by episodes.

    The method keeps all that its random numbers depend on in its state, so a run that is continued from a checkpoint
    takes the same course as one that was never interrupted.
    """

    def __init__(self, method: EpisodicMethod, optimizer: OptimizerSection, iterations: int) -> None:
        """Prepare.

        Args:
            method: The network with its losses.
            optimizer: Steps and their sizes.
            iterations: Of the whole run.
        """
        super().__init__()
        self.method, self._optimizer, self._iterations = method, optimizer, iterations
        self.binary_iou = JaccardIndex(task="binary", ignore_index=IGNORE)
        self.miou = JaccardIndex(task="multiclass", num_classes=IGNORE + 1, ignore_index=IGNORE)

    def training_step(self, batch: Sequence[Episode], index: int) -> Tensor:
        """One step on a batch of episodes.

        Raises:
            DivergedError: When the loss is not finite.
        """
        parts = self.method(list(batch))
        total: Tensor = parts.total
        if not torch.isfinite(total):
            raise self._diverged("The loss is")
        for name in ("segmentation", "alignment", "class_specific", "class_agnostic", "total"):
            value = getattr(parts, name)
            self.log(f"loss/{name}", value, prog_bar=name != "total", batch_size=len(batch))
        return total

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Step, and let the momentum encoder follow; before any checkpoint is written.

        Raises:
            DivergedError: When the step made the weights useless, as a gradient does that is not finite. Checkpoints
                and models are written after this, so none of them ever holds such weights.
        """
        super().optimizer_step(*arguments, **options)
        if not torch.isfinite(torch.nn.utils.get_total_norm(self.method.encoder.parameters())):
            raise self._diverged("The weights are")
        self.method.update_momentum_encoder()

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"{what} not finite at iteration {self.global_step}; what was saved before is kept: lower optimizer.lr or "
            "the weights of the losses, and train under another name."
        )

    def validation_step(self, batch: Sequence[Episode], index: int) -> None:
        """Count how well the queries of held-out episodes are segmented: foreground, and classes by their ids."""
        for episode in batch:
            predicted = self.method.segment(episode).argmax(dim=1)
            labels = episode.query_labels.long()
            known = labels != IGNORE
            self.binary_iou.update((predicted > 0).long(), torch.where(known, (labels > 0).long(), IGNORE))
            numbers = torch.tensor([0, *episode.classes], device=labels.device)
            self.miou.update(numbers[predicted], torch.where(known, numbers[labels * known], IGNORE))
        self.log("validation/binary_iou", self.binary_iou, batch_size=len(batch), prog_bar=True)
        self.log("validation/miou", self.miou, batch_size=len(batch), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """The optimiser with its schedule; Lightning calls this."""
        section = self._optimizer
        trained = [parameter for parameter in self.method.encoder.parameters() if parameter.requires_grad]
        optimizer: torch.optim.Optimizer
        if section.kind == "adamw":
            optimizer = torch.optim.AdamW(trained, lr=section.lr, weight_decay=section.weight_decay)
        else:
            optimizer = torch.optim.SGD(
                trained, lr=section.lr, momentum=section.momentum, weight_decay=section.weight_decay
            )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate, section, self._iterations))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate(section: OptimizerSection, iterations: int, step: int) -> float:
    """The learning rate of a step as a share of ``lr``.

    Args:
        section: How it goes.
        iterations: Of the whole run.
        step: From 0.
    """
    warm = min(1.0, (step + 1) / (section.warmup + 1))
    if section.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / iterations, 1.0))))
    return float(warm * section.gamma ** sum(step >= milestone for milestone in section.milestones))
