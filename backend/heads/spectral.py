"""A Gaussian of each class's pixel values: what colour and further bands say beside the embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .support import SupportFeatures

_OWN = 0.8  # share of a class's own covariance; the rest is the pooled one
_FLOOR = 25.0  # added variance, (5 grey levels)^2: sensor noise and what a few pixels cannot show
_UNSEEN = 0.2  # of the variance between classes: what a class is taken to vary from place to place beside one polygon


@dataclass(frozen=True)
class PolygonMoments:
    """Pixel values of P polygons, as far as the model needs them.

    Attributes:
        labels: Class index of each polygon, shape (P,).
        means: Shape (P, bands).
        squares: Mean products of the bands, shape (P, bands, bands).
        classes: C.
    """

    labels: NDArray[np.int64]
    means: NDArray[np.float64]
    squares: NDArray[np.float64]
    classes: int

    @classmethod
    def of(cls, support: SupportFeatures) -> PolygonMoments:
        """Those of the support's pixels."""
        count, bands = len(support.labels), support.pixels.shape[1]
        pixels = support.pixels.astype(np.float64)
        means, squares = np.zeros((count, bands)), np.zeros((count, bands, bands))
        order = np.argsort(support.pixel_polygon, kind="stable")
        starts = np.searchsorted(support.pixel_polygon[order], np.arange(1, count))
        for polygon, rows in enumerate(np.split(order, starts)):
            own = pixels[rows]
            means[polygon] = own.mean(axis=0)
            squares[polygon] = own.T @ own / len(own)
        return cls(support.labels, means, squares, support.classes)

    def without(self, polygon: int) -> PolygonMoments:
        """The same without one polygon, which its class must have another of."""
        kept = np.arange(len(self.labels)) != polygon
        return PolygonMoments(self.labels[kept], self.means[kept], self.squares[kept], self.classes)


class SpectralModel:
    """Quadratic discriminant analysis with covariances shrunk towards the pooled one (Friedman 1989, eq. 12).

    Every polygon counts the same within its class and every class the same, whatever their sizes. A single
    pixel is enough for a class. The fewer polygons a class has, the wider is its Gaussian: one polygon shows how its
    own pixels vary, but not how the class does.
    """

    def __init__(self, support: SupportFeatures | PolygonMoments) -> None:
        moments = support if isinstance(support, PolygonMoments) else PolygonMoments.of(support)
        share = np.zeros((moments.classes, len(moments.labels)))
        share[moments.labels, np.arange(len(moments.labels))] = 1.0
        share /= share.sum(axis=1, keepdims=True)
        means = share @ moments.means
        own = np.einsum("cp,pij->cij", share, moments.squares) - means[:, :, None] * means[:, None]
        counts = np.bincount(moments.labels, minlength=moments.classes)
        added = _FLOOR + (_UNSEEN / counts**2)[:, None] * means.var(axis=0)
        covariance = _OWN * own + (1.0 - _OWN) * own.mean(axis=0)
        covariance = covariance + added[:, :, None] * np.eye(means.shape[1])
        self.means = means.astype(np.float32)
        self.whitening = np.linalg.inv(np.linalg.cholesky(covariance)).astype(np.float32)
        self.offset = (-0.5 * np.linalg.slogdet(covariance)[1]).astype(np.float32)

    def log_likelihood(self, spectral: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log density of each class, up to a constant common to all.

        Args:
            spectral: Values 0..255 with shape (bands, height, width).

        Returns:
            Shape (C, height, width).
        """
        bands, height, width = spectral.shape
        flat = spectral.reshape(bands, -1)
        result = np.empty((len(self.means), height * width), np.float32)
        for index, (mean, whitening) in enumerate(zip(self.means, self.whitening, strict=True)):
            distance = whitening @ (flat - mean[:, None])
            result[index] = self.offset[index] - 0.5 * np.einsum("bn,bn->n", distance, distance)
        return result.reshape(-1, height, width)
