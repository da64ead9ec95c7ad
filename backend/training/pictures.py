"""An episode as a picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..episodes.episode import IGNORE, Episode

_SIDE = 256  # pixels of one picture of a preview
_COLORS = np.array(
    [[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [213, 94, 0], [204, 121, 167]], np.uint8
)


def preview(episode: Episode, predicted: torch.Tensor) -> Image.Image:
    """The first support image, the first query, its labels and what was predicted.

    Args:
        episode: The episode.
        predicted: Shape (queries, height, width).
    """
    support, query = episode.support_images[0, 0], episode.query_images[0]
    pictures = [
        _overlay(support, episode.support_masks[0, 0]),
        _picture(query),
        _overlay(query, episode.query_labels[0]),
        _overlay(query, predicted[0]),
    ]
    height, width = pictures[0].shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    sheet = Image.new("RGB", (size[0] * 4, size[1]))
    for place, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture).resize(size), (place * size[0], 0))
    return sheet


def _picture(image: torch.Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = image.detach().clamp(0, 255).byte().cpu().permute(1, 2, 0).numpy()
    return array


def _overlay(image: torch.Tensor, labels: torch.Tensor) -> NDArray[np.uint8]:
    array, classes = _picture(image), labels.cpu().numpy()
    colors = _COLORS[np.where(classes == IGNORE, 0, classes) % len(_COLORS)]
    mixed = (0.5 * array + 0.5 * colors).astype(np.uint8)
    shown: NDArray[np.uint8] = np.where((classes > 0)[..., None], mixed, array // 2)
    return shown
