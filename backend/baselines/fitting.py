"""Networks that are fitted on the support itself, by supervised training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..dpcl.options import MethodError
from ..episodes.episode import IGNORE


@dataclass(frozen=True)
class FittingOptions:
    """How a network is fitted; Jiang et al. say nothing of it for Table V.

    Attributes:
        iterations: Steps, each over one batch of support images.
        batch_size: Images of a batch, at most.
        learning_rate: Of SGD with a momentum of 0.9, falling to 0 along a half cosine.
        weight_decay: Of SGD.
        seed: Of the batches and flips.
    """

    iterations: int = 200
    batch_size: int = 4
    learning_rate: float = 1e-2
    weight_decay: float = 5e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.batch_size < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise MethodError(f"The fitting options {self} must be above 0 (weight_decay 0 or more).")


class SupervisedSegmenter:
    """Fits a new network on each support (Jiang et al., Table V: SegNet with K labelled patches).

    Args:
        build: Makes a network from the number of classes, background included: images (batch_size, 3, height, width),
            values 0..255, to scores (batch_size, classes, height, width). Its weights are those that it starts from.
        options: How it is fitted.
        device: Where.
    """

    def __init__(
        self,
        build: Callable[[int], nn.Module],
        options: FittingOptions | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.build, self.options, self.device = build, options or FittingOptions(), torch.device(device)
        self.network: nn.Module | None = None

    @torch.inference_mode(False)  # whoever evaluates has it on, but this trains
    @torch.enable_grad()
    def fit(self, support_images: Tensor, support_masks: Tensor) -> None:
        """Fit a new network on an episode's support.

        Args:
            support_images: Shape (way, shot, 3, height, width).
            support_masks: Shape (way, shot, height, width): 1 the way's class, 0 anything else, 255 ignore.

        Raises:
            MethodError: When no pixel of the support is labelled, or the loss is no longer finite.
        """
        images, labels = merge_support(support_images, support_masks)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.options.seed)
            network = self.build(len(support_images) + 1).to(self.device)
            fit_network(network, images.to(self.device), labels.to(self.device), self.options)
        self.network = network.eval()

    @torch.no_grad()
    def predict(self, query_images: Tensor) -> Tensor:
        """Score queries, shape (queries, way + 1, height, width).

        Raises:
            MethodError: Before :meth:`fit`.
        """
        if self.network is None:
            raise MethodError("The network is not fitted yet; call fit with the support first.")
        scores: Tensor = self.network(query_images.to(self.device))
        return scores


def merge_support(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """One label map for each different support image.

    Args:
        images: Shape (way, shot, 3, height, width); the same image may serve several ways.
        masks: Shape (way, shot, height, width).

    Returns:
        Images with shape (images, 3, height, width) and labels with shape (images, height, width): 0 background,
        1..way, 255 where an image is ignored for all its ways.
    """
    found: list[Tensor] = []
    labels: list[Tensor] = []
    for way, (own, own_masks) in enumerate(zip(images, masks, strict=True), start=1):
        for image, mask in zip(own, own_masks, strict=True):
            place = next((k for k, other in enumerate(found) if other.equal(image)), len(found))
            if place == len(found):
                found.append(image)
                labels.append(torch.full_like(mask, IGNORE, dtype=torch.int64))
            before = labels[place]
            nothing = (mask == 0) & (before == IGNORE)
            labels[place] = torch.where(mask == 1, way, torch.where(nothing, 0, before))
    return torch.stack(found), torch.stack(labels)


def fit_network(network: nn.Module, images: Tensor, labels: Tensor, options: FittingOptions) -> None:
    """Minimise the cross-entropy over the labelled pixels; random flips are the only augmentation."""
    if (labels == IGNORE).all():
        raise MethodError("No pixel of the support is labelled; give masks with some 0 or 1.")
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), options.learning_rate, momentum=0.9, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.iterations)
    for iteration in range(options.iterations):
        batch = torch.randperm(len(images))[: options.batch_size]
        flips = [axis for axis in (-2, -1) if torch.rand(()) < 0.5]
        target = labels[batch].flip(flips)
        losses = F.cross_entropy(
            network(images[batch].flip(flips)), target, ignore_index=IGNORE, reduction="sum"
        )
        loss: Tensor = losses / (target != IGNORE).sum().clamp_min(1)
        if not loss.isfinite():
            raise MethodError(f"The loss is {loss.item()} at iteration {iteration}; lower the learning rate.")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
