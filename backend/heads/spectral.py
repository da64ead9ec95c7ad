"""A Gaussian of each class's pixel values: what colour and further bands say beside the embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .support import SupportFeatures

_OWN = 0.8  # share of a class's own covariance; the rest is the pooled one
_FLOOR = 25.0  # added variance, (5 grey levels)^2: sensor noise and what a few pixels cannot show


class SpectralModel:
    """Quadratic discriminant analysis with covariances shrunk towards the pooled one (Friedman 1989, eq. 12).

    Every polygon counts the same within its class and every class the same, whatever their sizes. A single
    pixel is enough for a class.
    """

    def __init__(self, support: SupportFeatures) -> None:
        bands = support.pixels.shape[1]
        per_polygon = np.bincount(support.pixel_polygon, minlength=len(support.labels))
        label = support.labels[support.pixel_polygon]
        weight = 1.0 / per_polygon[support.pixel_polygon]
        weight /= np.bincount(label, weight, minlength=support.classes)[label]
        means = np.zeros((support.classes, bands))
        np.add.at(means, label, support.pixels * weight[:, None])
        centred = support.pixels - means[label]
        own = np.zeros((support.classes, bands, bands))
        order = np.argsort(label, kind="stable")
        starts = np.searchsorted(label[order], np.arange(1, support.classes))
        for index, rows in enumerate(np.split(order, starts)):
            own[index] = (centred[rows] * weight[rows, None]).T @ centred[rows]
        covariance = _OWN * own + (1.0 - _OWN) * own.mean(axis=0) + _FLOOR * np.eye(bands)
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
