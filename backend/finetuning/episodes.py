"""Episodes of the training scenes, as the labelling tool meets them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..encoders.backbones import STRIDE
from ..episodes.drawn import DrawnEpisodes, DrawnOptions
from ..episodes.episode import Episode
from ..episodes.errors import DatasetError
from ..rasters.support import ClassInfo
from .material import Scene, SceneImages
from .options import FinetuningError

_ZOOM = (0.7, 1.4)  # of the scale at which the tool labels the raster
_RADII = (0.5, 2.5)  # cells; semi-axes of the polygons
_LENGTH = 1 << 31  # an episode depends on its index alone; how many there will be need not be known


class SceneEpisodes:
    """Episodes within one scene each; scenes that are labelled at several scales take turns by chance."""

    def __init__(self, scenes: Sequence[Scene], classes: Sequence[ClassInfo], seed: int, crop: int) -> None:
        """Look through the scenes.

        Args:
            scenes: The training side of the division.
            classes: Of the material.
            seed: Of everything that is drawn.
            crop: Side of the windows in encoder input pixels.

        Raises:
            FinetuningError: When no episode can be drawn.
        """
        self._seed = seed
        self._parts: list[DrawnEpisodes] = []
        areas = []
        for cell in sorted({scene.cell for scene in scenes}):
            own = [scene for scene in scenes if scene.cell == cell]
            zoom = STRIDE / cell
            options = DrawnOptions(
                zoom=(_ZOOM[0] * zoom, _ZOOM[1] * zoom),
                radii=(_RADII[0] * cell, _RADII[1] * cell),
                color=0.35,
            )
            try:
                self._parts.append(DrawnEpisodes(SceneImages(own, classes), _LENGTH, seed, crop, options))
            except DatasetError:
                continue  # no scene of this scale has two classes
            areas.append(float(sum((scene.units > 0).sum() for scene in own)))
        if not self._parts:
            raise FinetuningError(
                "No part of a raster that is trained on has labels of two classes; label several classes in one place."
            )
        self._chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode, which depends on the seed and its index alone.

        Raises:
            FinetuningError: When none is found.
        """
        part = int(np.random.default_rng((self._seed, index, 1)).choice(len(self._parts), p=self._chances))
        try:
            return self._parts[part][index]
        except DatasetError as error:
            raise FinetuningError(
                "No episode with two classes was found in what is trained on; label more pixels of each class, close "
                "to one another."
            ) from error
