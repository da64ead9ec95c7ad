"""The Gaussians of pixel values against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from backend.heads.spectral import SpectralModel
from backend.heads.support import SupportFeatures

Polygons = list[tuple[int, NDArray[np.float64]]]


def _support(polygons: Polygons) -> SupportFeatures:
    """From the class and the pixels, shape (n, bands), of each polygon."""
    sizes = [len(pixels) for _, pixels in polygons]
    return SupportFeatures(
        labels=np.array([label for label, _ in polygons], np.int64),
        prototypes=np.zeros((len(polygons), 1), np.float32),
        pixels=np.concatenate([pixels for _, pixels in polygons]).astype(np.float32),
        pixel_polygon=np.repeat(np.arange(len(polygons)), sizes),
        classes=max(label for label, _ in polygons) + 1,
    )


def _polygons(bands: int, labels: tuple[int, ...] = (0, 1, 1, 2), seed: int = 0) -> Polygons:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, bands, bands))
    return [
        (label, np.clip(40.0 + 60.0 * label + 8.0 * rng.normal(size=(n, bands)) @ mixing[label], 0, 255))
        for label, n in zip(labels, (50, 20, 90, 5), strict=True)
    ]


def _gaussians(polygons: Polygons) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Mean and covariance of each class: moments of polygons averaged, then shrunk and floored."""
    means, own = [], []
    for label in range(max(label for label, _ in polygons) + 1):
        parts = [pixels for own_label, pixels in polygons if own_label == label]
        mean = np.mean([pixels.mean(axis=0) for pixels in parts], axis=0)
        moments = [((pixels - mean).T @ (pixels - mean)) / len(pixels) for pixels in parts]
        means.append(mean)
        own.append(np.mean(moments, axis=0))
    pooled, eye = np.mean(own, axis=0), np.eye(len(means[0]))
    counts = np.bincount([label for label, _ in polygons])
    floors = [25.0 + 0.2 * np.var(means, axis=0) / count**2 for count in counts]
    return [
        (mean, 0.8 * cov + 0.2 * pooled + floor * eye)
        for mean, cov, floor in zip(means, own, floors, strict=True)
    ]


def _assert_up_to_a_constant(ours: NDArray[np.float32], theirs: NDArray[np.float64]) -> None:
    difference = ours - theirs
    np.testing.assert_allclose(difference, np.full_like(difference, difference.flat[0]), rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 11])
def test_log_likelihood(bands: int) -> None:
    polygons = _polygons(bands)
    spectral = np.random.default_rng(1).uniform(0, 255, (bands, 6, 7)).astype(np.float32)
    ours = SpectralModel(_support(polygons)).log_likelihood(spectral)
    assert ours.shape == (3, 6, 7)
    assert ours.dtype == np.float32
    points = spectral.reshape(bands, -1).T
    theirs = [multivariate_normal(mean, cov).logpdf(points) for mean, cov in _gaussians(polygons)]
    _assert_up_to_a_constant(ours, np.reshape(theirs, (3, 6, 7)))


def test_polygons_count_the_same_whatever_their_size() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(100, 5, (10, 3)), rng.normal(160, 9, (5000, 3))
    other = rng.normal(30, 4, (40, 3))
    model = SpectralModel(_support([(0, small), (0, large), (1, other)]))
    expected = (small.mean(axis=0) + large.mean(axis=0)) / 2
    np.testing.assert_allclose(model.means[0], expected, rtol=1e-5)


def test_order_of_polygons_and_repetition_of_pixels_do_not_matter() -> None:
    polygons = _polygons(4)
    spectral = np.random.default_rng(1).uniform(0, 255, (4, 3, 3)).astype(np.float32)
    expected = SpectralModel(_support(polygons)).log_likelihood(spectral)
    thrice = [(label, np.concatenate([pixels] * 3)) for label, pixels in polygons]
    for changed in (polygons[::-1], thrice):
        likelihood = SpectralModel(_support(changed)).log_likelihood(spectral)
        np.testing.assert_allclose(likelihood, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("bands", [1, 3, 11])
def test_single_pixels(bands: int) -> None:
    model = SpectralModel(_support([(0, np.full((1, bands), 50.0)), (1, np.full((1, bands), 200.0))]))
    spectral = np.stack([np.full((bands,), v) for v in (45.0, 215.0)], axis=1)[:, None].astype(np.float32)
    likelihood = model.log_likelihood(spectral)
    assert np.isfinite(likelihood).all()
    assert likelihood.argmax(axis=0).tolist() == [[0, 1]]
    # Nothing is known but the floor, 5 grey levels, and a fifth of the variance between the classes, 75 grey levels.
    expected = -0.5 * bands * 5**2 / (5**2 + 75**2 / 5)
    np.testing.assert_allclose(likelihood[0, 0, 0] - model.offset[0], expected, rtol=1e-5)


def test_one_polygon_makes_a_wider_gaussian_than_several() -> None:
    rng = np.random.default_rng(0)
    other, pixels = (1, rng.normal(180, 6, (50, 3))), rng.normal(60, 6, (50, 3))
    one = SpectralModel(_support([(0, pixels), other]))
    several = SpectralModel(_support([(0, pixels)] * 5 + [other]))
    np.testing.assert_allclose(one.means, several.means, rtol=1e-6)
    assert np.linalg.det(one.whitening[0]) < 0.5 * np.linalg.det(several.whitening[0])
    np.testing.assert_allclose(one.whitening[1], several.whitening[1], rtol=1e-5)


def test_constant_bands() -> None:
    polygons = _polygons(3)
    for _, pixels in polygons:
        pixels[:, 1] = 77.0
    spectral = np.random.default_rng(1).uniform(0, 255, (3, 4, 4)).astype(np.float32)
    spectral[1] = 77.0
    with_band = SpectralModel(_support(polygons)).log_likelihood(spectral)
    without = SpectralModel(_support([(c, p[:, ::2]) for c, p in polygons])).log_likelihood(spectral[::2])
    # A band that tells nothing changes no comparison of classes.
    np.testing.assert_allclose(with_band - with_band[:1], without - without[:1], rtol=1e-4, atol=1e-2)


def test_everything_black() -> None:
    model = SpectralModel(_support([(0, np.zeros((4, 3))), (1, np.zeros((4, 3)))]))
    likelihood = model.log_likelihood(np.zeros((3, 2, 2), np.float32))
    np.testing.assert_array_equal(likelihood[0], likelihood[1])


def test_many_classes() -> None:
    rng = np.random.default_rng(0)
    means = rng.uniform(0, 255, (300, 4))
    model = SpectralModel(_support([(c, mean + rng.normal(0, 1, (3, 4))) for c, mean in enumerate(means)]))
    likelihood = model.log_likelihood(means.T[:, None].astype(np.float32))
    assert (likelihood[:, 0].argmax(axis=0) == np.arange(300)).mean() > 0.95
