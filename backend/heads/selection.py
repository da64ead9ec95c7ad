"""Chooses a head by leaving out one polygon after the other, and tells how well it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..refine.weights import ScoreWeights
from .density import DensityHead
from .leave_one_out import LeftOut
from .parts import part_prototypes
from .prototype import PrototypeHead
from .ridge import RidgeHead
from .spectral import PolygonMoments, SpectralModel
from .support import SupportFeatures

USUAL = "prototype"
"""Kept unless another one is clearly better: the papers' head, which encoders are trained for."""

CANDIDATES = (USUAL, "polygons", "density")
"""What is chosen from: heads that can be left a polygon without fitting them anew, so that previews need not wait."""

_WORTH = 0.05  # share of the polygons that another head must label right beyond the usual one: few polygons tell little


class Head(Protocol):
    """Scores features.

    Attributes:
        classes: C.
    """

    classes: int

    def scores(self, features: Tensor) -> Tensor:
        """From features (D, height, width) to scores (C, height, width)."""


@dataclass(frozen=True)
class HeadEstimate:
    """How well a head labels polygons that it was not fitted on.

    Every polygon counts the same within its class, and every class the same: how large the classes are in the raster
    is not known yet.

    Attributes:
        head: Its name.
        shares: Share of each polygon's cells by label, shape (P, C); NaN for polygons that are the only one of their
            class, which cannot be left out.
        iou: Of each class, NaN where none of its polygons could be left out, shape (C,).
        f1: As well.
    """

    head: str
    shares: NDArray[np.float64]
    iou: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def mean_iou(self) -> float:
        """Over the classes that are known; NaN where none is."""
        return _mean(self.iou)

    @property
    def mean_f1(self) -> float:
        """As well."""
        return _mean(self.f1)


def head_fits() -> Mapping[str, Callable[[SupportFeatures], Head]]:
    """How each head is fitted, by its name."""
    return {
        "prototype": PrototypeHead.per_class,
        "polygons": PrototypeHead.per_polygon,
        "parts": part_prototypes,
        "ridge": RidgeHead.fit,
        "density": DensityHead.fit,
    }


def fit_head(support: SupportFeatures, name: str) -> Head:
    """Fit the head of a name of :func:`head_fits`."""
    return head_fits()[name](support)


def choose_head(
    support: SupportFeatures, name: str, spectral: bool, weights: ScoreWeights
) -> tuple[str, HeadEstimate | None]:
    """The head for a support set.

    Another head than the usual one is taken where polygons are clearly better labelled by it: by 5 percent of their
    area and by more than the standard error of the difference. With one polygon in each class there is nothing to
    choose by.

    Args:
        support: The support.
        name: One of ``HEADS``; all but "auto" are taken as they are.
        spectral: Whether the spectral model is added.
        weights: Temperature and spectral weight.

    Returns:
        Its name, and what is to be expected of it, None where that is not known.
    """
    names = CANDIDATES if name == "auto" else (name,)
    if not repeated(support).any():
        return names[0], None
    found = estimate_heads(support, names, spectral, weights)
    usual = best = found[0]
    for one in found[1:]:
        gain = _right(one, support) - _right(usual, support)
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        if gain.mean() > max(error, _WORTH) and _right(one, support).mean() > _right(best, support).mean():
            best = one
    return best.head, best


def repeated(support: SupportFeatures) -> NDArray[np.bool_]:
    """Which polygons are not the only one of their class, shape (P,)."""
    counts = np.bincount(support.labels, minlength=support.classes)
    several: NDArray[np.bool_] = counts[support.labels] > 1
    return several


def estimate_heads(
    support: SupportFeatures, names: Sequence[str], spectral: bool, weights: ScoreWeights
) -> list[HeadEstimate]:
    """Label each polygon by heads that were fitted on the others; see :func:`choose_head`.

    Args:
        support: The support, in which a class has several polygons.
        names: Of :func:`head_fits`.
        spectral: As there.
        weights: As there.
    """
    left_out = LeftOut(support)
    samples = left_out.samples
    pixel_values = dict(_left_out_pixels(support, weights)) if spectral else {}
    found = []
    for name in names:
        shares = np.full((len(support.labels), support.classes), np.nan)
        for polygon in np.flatnonzero(repeated(support)).tolist():
            if name in CANDIDATES:
                scores = left_out.scores(name, polygon)
            else:
                rows = samples.rows[samples.polygons == polygon]
                scores = fit_head(support.without(polygon), name).scores(rows.T[:, :, None])[..., 0]
            logits = scores.double().numpy() / weights.temperature
            if spectral:
                logits = logits + pixel_values[polygon]
            own = samples.weights[samples.polygons == polygon].double().numpy()
            shares[polygon] = np.bincount(logits.argmax(axis=0), own, support.classes) / own.sum()
        iou, f1 = scores_of_classes(shares, support.labels, support.classes)
        found.append(HeadEstimate(name, shares, iou, f1))
    return found


def _left_out_pixels(
    support: SupportFeatures, weights: ScoreWeights
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """What the pixel values of each polygon add to its scores, shape (C, 1).

    Pixels of a polygon are not matched with its cells: all together speak for each of them.
    """
    moments = PolygonMoments.of(support)
    share = min(1.0, support.pixels.shape[1] / 3) * weights.spectral
    for polygon in np.flatnonzero(repeated(support)).tolist():
        pixels = support.pixels[support.pixel_polygon == polygon].T[:, :, None]
        log_likelihood = SpectralModel(moments.without(polygon)).log_likelihood(pixels)
        yield polygon, share * log_likelihood.mean(axis=1)


def scores_of_classes(
    shares: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """IoU and F1 of each class, as if all classes were equally large.

    Args:
        shares: See :class:`HeadEstimate`.
        labels: Class index of each polygon.
        classes: C.
    """
    confusion = np.zeros((classes, classes))
    for label in range(classes):
        own = shares[(labels == label) & ~np.isnan(shares[:, 0])]
        if len(own):
            confusion[label] = own.mean(axis=0)
    hits, truth, labelled = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    known = truth > 0
    iou, f1 = np.full(classes, np.nan), np.full(classes, np.nan)
    iou[known] = (hits / np.maximum(truth + labelled - hits, 1e-12))[known]
    f1[known] = (2 * hits / np.maximum(truth + labelled, 1e-12))[known]
    return iou, f1


def _right(estimate: HeadEstimate, support: SupportFeatures) -> NDArray[np.float64]:
    """The share of each polygon that is labelled right, of those that could be left out."""
    right = estimate.shares[np.arange(len(support.labels)), support.labels]
    return right[~np.isnan(right)]


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
