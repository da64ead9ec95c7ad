"""A batch of episodes: checked, encoded together, seen in augmented views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ..episodes.augmentation import augment
from ..episodes.episode import IGNORE, Episode, is_shared
from .folding import folded_norms
from .options import MethodError


def check_episodes(episodes: Sequence[Episode]) -> None:
    """Check that episodes can be encoded in one batch.

    Raises:
        MethodError: When there are none, sizes differ, or masks do not fit their images.
    """
    if not episodes:
        raise MethodError("The batch has no episode; give at least one.")
    sizes = set()
    for episode in episodes:
        way, shot = episode.support_images.shape[:2]
        size = tuple(episode.query_images.shape[-2:])
        sizes |= {size, tuple(episode.support_images.shape[-2:])}
        if tuple(episode.support_masks.shape) != (way, shot, *episode.support_images.shape[-2:]):
            raise MethodError(
                f"The support masks have the shape {tuple(episode.support_masks.shape)}, which does not fit images "
                f"of {tuple(episode.support_images.shape)}; give each support image a mask of its size."
            )
        if tuple(episode.query_labels.shape) != (len(episode.query_images), *size):
            raise MethodError(
                f"The query labels have the shape {tuple(episode.query_labels.shape)}, which does not fit images "
                f"of {tuple(episode.query_images.shape)}; give each query labels of its size."
            )
        if len(episode.classes) != way:
            raise MethodError(
                f"The episode names {len(episode.classes)} classes for {way} ways; name one for each."
            )
    if len(sizes) > 1:
        found = " and ".join(f"{height} x {width}" for height, width in sorted(sizes))
        raise MethodError(f"The batch mixes images of {found} pixels; resize them all to one size.")


def encode_together(encoder: nn.Module, images: Sequence[Tensor]) -> list[Tensor]:
    """Encode images in one batch; those that ways share are encoded once, and their features are shared as well.

    Args:
        encoder: From (batch_size, 3, height, width) to (batch_size, channels, height / 8, width / 8).
        images: Each with shape (..., 3, height, width).

    Returns:
        For each the features in single precision, shape (..., channels, height / 8, width / 8).
    """
    own = [one[:1] if is_shared(one) else one for one in images]
    with folded_norms(encoder):
        features = encoder(torch.cat([one.flatten(0, -4) for one in own]))
    parts = features.float().split([one.shape[:-3].numel() for one in own])
    return [
        part.view(*once.shape[:-3], *part.shape[1:]).expand(*one.shape[:-3], -1, -1, -1)
        for part, once, one in zip(parts, own, images, strict=True)
    ]


def draw_views(images: Tensor, labels: Tensor, redraws: int) -> tuple[Tensor, Tensor]:
    """An augmented view of each image, of the same shapes; see :func:`augment`.

    Args:
        images: Shape (..., 3, height, width).
        labels: Shape (..., height, width).
        redraws: How often a view without any object is drawn again.
    """
    pairs = zip(images.flatten(0, -4), labels.flatten(0, -3), strict=True)
    views, moved = zip(*(augment(image, one, redraws) for image, one in pairs), strict=True)
    return torch.stack(views).view_as(images), torch.stack(moved).view_as(labels)


def draw_support_views(episode: Episode, redraws: int) -> tuple[Tensor, Tensor]:
    """An augmented view of each support image with its masks, of the same shapes; see :func:`augment`.

    Ways that share their images share the views too.
    """
    if not is_shared(episode.support_images):
        return draw_views(episode.support_images, episode.support_masks, redraws)
    ways = torch.arange(1, episode.way + 1, device=episode.support_masks.device)[:, None, None, None]
    objects = (ways * (episode.support_masks == 1)).amax(dim=0)
    nothing = (episode.support_masks == 0).any(dim=0)
    labels = torch.where(objects > 0, objects, torch.where(nothing, 0, IGNORE)).to(torch.uint8)
    images, moved = draw_views(episode.support_images[0], labels, redraws)
    masks = torch.where(moved == ways, 1, torch.where(moved == 0, 0, IGNORE)).to(torch.uint8)
    return images.expand_as(episode.support_images), masks


@contextmanager
def random_numbers(*key: int) -> Iterator[None]:
    """Within, torch's generator of the CPU starts at a key; after, it is where it was."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(
            int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        )
        yield
