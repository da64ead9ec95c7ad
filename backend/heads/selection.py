"""Chooses a head by leaving out one polygon after the other, and tells how well it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .density import DensityHead
from .parts import part_prototypes
from .prototype import PrototypeHead
from .ridge import RidgeHead
from .samples import support_samples
from .spectral import SpectralModel
from .support import SupportFeatures

USUAL = "prototype"
"""The head that is kept unless another one is clearly better."""


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
        return float(np.nanmean(self.iou)) if not np.isnan(self.iou).all() else float("nan")


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
    """Fit the head that a name of ``HEADS`` stands for."""
    return head_fits()[USUAL if name == "auto" else name](support)


def choose_head(
    support: SupportFeatures, spectral: bool, temperature: float, spectral_weight: float
) -> tuple[str, HeadEstimate | None]:
    """The head for a support set.

    Another head than the usual one is taken where its polygons are clearly better labelled: by more than the standard
    error of the difference. With one polygon in each class there is nothing to choose by.

    Args:
        support: The support.
        spectral: Whether the spectral model is added.
        temperature: See :class:`ScoreWeights`.
        spectral_weight: As well.

    Returns:
        Its name, and what is to be expected of it, None where that is not known.
    """
    if not repeated(support).any():
        return USUAL, None
    found = {
        name: estimate_head(support, name, fit, spectral, temperature, spectral_weight)
        for name, fit in head_fits().items()
    }
    usual = found[USUAL]
    best = usual
    for one in found.values():
        gain = _right(one, support) - _right(usual, support)
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        if gain.mean() > error and _right(one, support).mean() > _right(best, support).mean():
            best = one
    return best.head, best


def repeated(support: SupportFeatures) -> NDArray[np.bool_]:
    """Which polygons are not the only one of their class, shape (P,)."""
    counts = np.bincount(support.labels, minlength=support.classes)
    several: NDArray[np.bool_] = counts[support.labels] > 1
    return several


def estimate_head(
    support: SupportFeatures,
    name: str,
    fit: Callable[[SupportFeatures], Head],
    spectral: bool,
    temperature: float,
    spectral_weight: float,
) -> HeadEstimate:
    """Label each polygon by a head that was fitted on the others; see :func:`choose_head`."""
    samples = support_samples(support)
    shares = np.full((len(support.labels), support.classes), np.nan)
    for polygon in np.flatnonzero(repeated(support)).tolist():
        others = support.without(polygon)
        rows = samples.rows[samples.polygons == polygon]
        logits = fit(others).scores(rows.T[:, :, None])[..., 0].double().numpy() / temperature
        if spectral:
            # Pixels of a polygon are not matched with its cells: all together speak for each of them.
            pixels = support.pixels[support.pixel_polygon == polygon].T[:, :, None]
            share = min(1.0, support.pixels.shape[1] / 3)
            logits += share * spectral_weight * SpectralModel(others).log_likelihood(pixels).mean(axis=1)
        weights = samples.weights[samples.polygons == polygon].double().numpy()
        shares[polygon] = np.bincount(logits.argmax(axis=0), weights, support.classes) / weights.sum()
    iou, f1 = scores_of_classes(shares, support.labels, support.classes)
    return HeadEstimate(name, shares, iou, f1)


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
