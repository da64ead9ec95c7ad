"""Prototypes of an episode's classes and of its background."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..episodes.episode import is_shared
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
    both = torch.stack([masks == 1, masks == 0], dim=2)
    pooled = pool_support(features, both)
    shots, backgrounds = pooled.unbind(dim=2)
    present = both[:, :, 0].flatten(2).any(dim=2)
    return SupportPrototypes(shots, present, shots.mean(dim=1), backgrounds.mean(dim=(0, 1)))


def pool_support(features: Tensor, masks: Tensor) -> Tensor:
    """Average each support image over its masks.

    Args:
        features: Shape (way, shot, channels, height, width); those that all ways share are read once.
        masks: Shape (way, shot, masks, mask height, mask width), bool.

    Returns:
        Shape (way, shot, masks, channels); 0 where a mask is empty.
    """
    way, shot = masks.shape[:2]
    if is_shared(features):
        of_image = masks.transpose(0, 1).flatten(1, 2)
        pooled = masked_average_pool(features[0], of_image)
        return pooled.view(shot, way, -1, pooled.shape[-1]).transpose(0, 1)
    pooled = masked_average_pool(features.flatten(0, 1), masks.flatten(0, 1))
    return pooled.view(way, shot, *pooled.shape[1:])


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
