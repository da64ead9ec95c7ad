"""The papers' figures: segmentation results side by side, and the t-SNE of prototypes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray
from torch import Tensor

from ..episodes.episode import IGNORE, Episode
from .report import Figure
from .segmenter import Segment

_COLORS = np.array(
    [[227, 26, 28], [31, 120, 180], [51, 160, 44], [255, 127, 0], [106, 61, 154], [177, 89, 40]]
)


def results_figure(
    episodes: Sequence[Episode],
    methods: Mapping[str, Segment],
    class_names: Mapping[int, str],
    name: str = "results",
    caption: str = "",
) -> Figure:
    """Support, query, each method's prediction and the truth, a row per episode (DPCL Figures 3, 5, 6, 7).

    Args:
        episodes: What to show; the first support image of each way and the first query.
        methods: What segments, by its name; columns in this order.
        class_names: By class id.
        name: Of the figure's file.
        caption: What it shows.
    """
    heads = ["support", "query", *methods, "ground truth"]
    canvas = Canvas(figsize=(2.1 * len(heads), 2.25 * len(episodes) + 0.2), layout="constrained")
    panels = canvas.subplots(len(episodes), len(heads), squeeze=False)
    for number, (line, episode) in enumerate(zip(panels, episodes, strict=True)):
        supports = [
            overlay(images[0], torch.where(masks[0] == 1, way, 0))
            for way, (images, masks) in enumerate(
                zip(episode.support_images, episode.support_masks, strict=True), start=1
            )
        ]
        query, truth = episode.query_images[0], episode.query_labels[0]
        with torch.inference_mode():
            predicted = [overlay(query, segment(episode)[0].argmax(0)) for segment in methods.values()]
        pictures = [np.concatenate(supports), _pixels(query), *predicted, overlay(query, truth)]
        for panel, head, picture in zip(line, heads, pictures, strict=True):
            panel.imshow(picture, interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if number == 0:
                panel.set_title(head, fontsize=9)
        line[0].set_ylabel(", ".join(class_names[c] for c in episode.classes), fontsize=9)
    return Figure(name, caption, _png(canvas), "png")


def overlay(image: Tensor, labels: Tensor, strength: float = 0.55) -> NDArray[np.uint8]:
    """An image with its labels in colour: background as it is, ignored pixels white.

    Args:
        image: Shape (3, height, width), 0 to 255.
        labels: Shape (height, width).
        strength: Of the colour, 0 to 1.

    Returns:
        Shape (height, width, 3).
    """
    pixels, marks = _pixels(image).astype(np.float64), labels.cpu().numpy()
    color = np.where((marks == IGNORE)[..., None], 255, _COLORS[(marks.astype(np.int64) - 1) % len(_COLORS)])
    mixed = (1 - strength) * pixels + strength * color
    return np.where((marks > 0)[..., None], mixed, pixels).round().astype(np.uint8)


def prototype_map(prototypes: NDArray[np.floating], seed: int = 0) -> NDArray[np.float32]:
    """Places of prototypes in the plane by t-SNE of their cosine distances, shape (prototypes, 2).

    Args:
        prototypes: Shape (prototypes, channels).
        seed: Of the optimisation's start.
    """
    from sklearn.manifold import TSNE

    perplexity = float(np.clip((len(prototypes) - 1) / 3, 1, 30))
    fitted = TSNE(perplexity=perplexity, metric="cosine", init="random", random_state=seed)
    places: NDArray[np.float32] = fitted.fit_transform(prototypes)
    return places


def prototypes_figure(
    prototypes: Mapping[str, NDArray[np.floating]],
    classes: Sequence[int],
    class_names: Mapping[int, str],
    name: str = "prototypes",
    caption: str = "t-SNE of the prototypes of unseen classes.",
) -> Figure:
    """The prototypes of novel classes in the plane, a panel per method (DPCL Figure 4).

    The title of each panel has the silhouette coefficient of the prototypes themselves (cosine distance, -1 to 1):
    how compact and separate the classes are, which the picture, whose distances mean little, does not tell.

    Args:
        prototypes: Shape (prototypes, channels), by method, of the same episodes.
        classes: Class id of each prototype.
        class_names: By class id.
        name: Of the figure's file.
        caption: What it shows.
    """
    from sklearn.metrics import silhouette_score

    canvas = Canvas(figsize=(4.2 * len(prototypes) + 1.2, 4.2), layout="constrained")
    panels = canvas.subplots(1, len(prototypes), squeeze=False)[0]
    ids = np.asarray(classes)
    for panel, (method, vectors) in zip(panels, prototypes.items(), strict=True):
        places = prototype_map(vectors)
        for number, class_id in enumerate(sorted(set(classes))):
            chosen = places[ids == class_id]
            panel.scatter(
                chosen[:, 0], chosen[:, 1], s=12, color=f"C{number % 10}", label=class_names[class_id]
            )
        separation = silhouette_score(vectors, ids, metric="cosine")
        panel.set_title(f"{method}, silhouette {separation:.2f}", fontsize=10)
        panel.set_xticks([])
        panel.set_yticks([])
    panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False)
    return Figure(name, caption, _png(canvas), "png")


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    return image.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _png(canvas: Canvas) -> bytes:
    file = io.BytesIO()
    canvas.savefig(file, format="png", dpi=110)
    return file.getvalue()
