"""Prototypes of an episode's classes and of its background."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .options import Anchor
from .pooling import EPSILON, masked_average_pool


@dataclass(frozen=True)
class SupportPrototypes:
    """Prototypes pooled from an episode's support.

    Attributes:
        shots: Of each support image's object, shape (way, shot, channels); 0 where the mask is empty.
        present: Whether the mask has any pixel of the object, shape (way, shot), bool.
        classes: The mean over the shots, shape (way, channels).
        background: The mean over all support images, shape (channels,).
    """

    shots: Tensor
    present: Tensor
    classes: Tensor
    background: Tensor

    def stacked(self) -> Tensor:
        """Background first, then the ways; shape (1 + way, channels)."""
        return torch.cat([self.background[None], self.classes])

    def anchors(self, kind: Anchor) -> tuple[Tensor, Tensor]:
        """What the contrastive losses pull at for each support image.

        Args:
            kind: "class", the mean over the shots, for each of them, or "shot".

        Returns:
            Anchors with shape (way, shot, channels), and whether each is made of any pixel, shape (way, shot).
        """
        if kind == "shot":
            return self.shots, self.present
        return self.classes[:, None].expand_as(self.shots), self.present.any(dim=1, keepdim=True).expand_as(
            self.present
        )


def support_prototypes(features: Tensor, masks: Tensor) -> SupportPrototypes:
    """Pool the prototypes of an episode (DPCL, eq. 1; PANet's code for the background).

    An image whose mask is empty adds 0 to a mean: that changes the mean's length, which no cosine sees.

    Args:
        features: Of the support images, shape (way, shot, channels, height, width).
        masks: 1 the way's class, 0 background, anything else neither; shape (way, shot, mask height,
            mask width).
    """
    way, shot = features.shape[:2]
    both = torch.stack([masks == 1, masks == 0], dim=2)
    pooled = masked_average_pool(features.flatten(0, 1), both.flatten(0, 1)).view(way, shot, 2, -1)
    shots, backgrounds = pooled.unbind(dim=2)
    present = both[:, :, 0].flatten(2).any(dim=2)
    return SupportPrototypes(shots, present, shots.mean(dim=1), backgrounds.mean(dim=(0, 1)))


def query_prototypes(features: Tensor, labels: Tensor, way: int) -> tuple[Tensor, Tensor]:
    """Pool the prototypes of the queries for the alignment loss, over all queries at once.

    Args:
        features: Shape (queries, channels, height, width).
        labels: Of each feature, 0..way, others count for nothing; shape (queries, height, width).
        way: Classes of the episode.

    Returns:
        Prototypes with shape (1 + way, channels), background first, and how many features each is made of.
    """
    index = torch.arange(1 + way, device=labels.device)
    masks = (labels[:, None] == index[:, None, None]).to(features.dtype)
    counts = masks.sum(dim=(0, 2, 3))
    sums = torch.einsum("qdhw,qchw->cd", features, masks)
    return sums / (counts + EPSILON)[:, None], counts
