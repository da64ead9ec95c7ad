"""All that a run needs of the labels, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from .draws import HeldScene, held_scenes
from .episodes import SceneEpisodes
from .hold_out import Division, divide
from .material import Material
from .options import FinetuneOptions


@dataclass(frozen=True)
class Preparation:
    """What is trained on and what is measured on.

    Attributes:
        division: Of the labels.
        held: The windows and supports of the hold-out.
        episodes: Of the training side.
    """

    division: Division
    held: tuple[HeldScene, ...]
    episodes: SceneEpisodes


def prepare(material: Material, options: FinetuneOptions) -> Preparation:
    """Divide the labels, and see that both sides can serve.

    Args:
        material: What was read.
        options: Hold-out, crop and seed.

    Raises:
        FinetuningError: When one of them cannot.
    """
    division = divide(material, options.hold_out)
    held = held_scenes(division.held, material.units, options.seed)
    episodes = SceneEpisodes(division.training, material.classes, options.seed, options.crop)
    return Preparation(division, held, episodes)
