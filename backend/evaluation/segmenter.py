"""What can be evaluated: anything that segments the query images of an episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ..episodes.episode import Episode

Segment = Callable[[Episode], Tensor]
"""Scores of an episode's query images, shape (queries, way + 1, height, width), the background first."""


class Segmenter(Protocol):
    """A method that is fitted on support images and then labels query images."""

    def fit(self, support_images: Tensor, support_masks: Tensor) -> None:
        """Take the support set.

        Args:
            support_images: Shape (way, shot, 3, height, width), 0 to 255, RGB.
            support_masks: Shape (way, shot, height, width): 1 the class of the way, 0 anything else, 255 ignored.
        """

    def predict(self, query_images: Tensor) -> Tensor:
        """Score query images.

        Args:
            query_images: Shape (queries, 3, height, width), 0 to 255, RGB.

        Returns:
            Shape (queries, way + 1, height, width), the background first; the highest score wins.
        """


def fitting(segmenter: Segmenter) -> Segment:
    """Fit on the support of each episode, anew only where it is another than that of the episode before.

    Jiang et al. have one support for thousands of queries: what was fitted on it is kept.
    """
    support: tuple[Tensor, Tensor] | None = None

    def segment(episode: Episode) -> Tensor:
        nonlocal support
        own = (episode.support_images, episode.support_masks)
        if support is None or not all(map(_same, own, support)):
            support = None  # until the fit has succeeded
            segmenter.fit(*own)
            support = own
        return segmenter.predict(episode.query_images)

    return segment


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.device == other.device and one.equal(other))
