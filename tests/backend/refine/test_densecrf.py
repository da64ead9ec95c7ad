"""DenseCRF on the valid pixels against pydensecrf's own on whole images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydensecrf.densecrf as dcrf
import pytest
from numpy.typing import NDArray

from backend.errors import ProtolabelError
from backend.refine.densecrf import CrfParameters, refine

Probabilities = NDArray[np.float32]


def _scene(
    classes: int, bands: int = 3, height: int = 40, width: int = 56, seed: int = 0
) -> tuple[Probabilities, NDArray[np.uint8]]:
    """Stripes of one colour per class with noise, and probabilities that know them dimly."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(width) * classes // width)[None].repeat(height, axis=0)
    colors = rng.integers(40, 216, (bands, classes))
    image = np.clip(colors[:, truth] + rng.normal(0, 4, (bands, height, width)), 0, 255).astype(np.uint8)
    logits = 1.5 * np.eye(classes)[truth].transpose(2, 0, 1) + rng.normal(0, 1, (classes, height, width))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    return probabilities.astype(np.float32), image


def _all(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.ones(image.shape[1:], bool)


def _hole(height: int = 40, width: int = 56) -> NDArray[np.bool_]:
    valid = np.random.default_rng(5).random((height, width)) > 0.1
    valid[10:25, 20:41] = False
    return valid


@pytest.mark.parametrize("classes", [2, 5, 20])
@pytest.mark.parametrize(
    "parameters",
    [CrfParameters(), CrfParameters(8.0, 20.0, 3.0, 2.0, 1.0, 3), CrfParameters(iterations=0)],
    ids=["default", "other", "none"],
)
def test_same_as_pydensecrfs_own(classes: int, parameters: CrfParameters) -> None:
    probabilities, image = _scene(classes)
    _, height, width = image.shape
    field = dcrf.DenseCRF2D(width, height, classes)
    energy = -np.log(np.clip(probabilities, 1e-5, 1.0)).reshape(classes, -1)
    field.setUnaryEnergy(np.ascontiguousarray(energy, np.float32))
    field.addPairwiseGaussian(sxy=parameters.smooth, compat=parameters.smooth_compat)
    field.addPairwiseBilateral(
        sxy=parameters.spatial,
        srgb=parameters.color,
        rgbim=np.ascontiguousarray(image.transpose(1, 2, 0)),
        compat=parameters.compat,
    )
    expected = np.array(field.inference(parameters.iterations)).reshape(probabilities.shape)
    refined = refine(probabilities, image, _all(image), parameters)
    np.testing.assert_allclose(refined, expected, atol=1e-4)


def test_it_helps() -> None:
    probabilities, image = _scene(4)
    truth = (np.arange(56) * 4 // 56)[None].repeat(40, axis=0)
    refined = refine(probabilities, image, _all(image), CrfParameters())
    before, after = ((p.argmax(axis=0) == truth).mean() for p in (probabilities, refined))
    assert before < 0.8
    assert after > 0.99


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("classes", [2, 20])
def test_result_is_probabilities(classes: int, bands: int) -> None:
    probabilities, image = _scene(classes, bands)
    given = probabilities.copy(), image.copy()
    valid = _hole()
    refined = refine(probabilities, image, valid, CrfParameters())
    assert refined.shape == probabilities.shape
    assert refined.dtype == np.float32
    assert np.isfinite(refined).all()
    assert refined.min() >= 0
    np.testing.assert_allclose(refined.sum(axis=0), 1.0, atol=1e-4)
    assert not np.allclose(refined[:, valid], probabilities[:, valid], atol=0.05)
    np.testing.assert_array_equal(refined[:, ~valid], probabilities[:, ~valid])
    for before, array in zip(given, (probabilities, image), strict=True):
        np.testing.assert_array_equal(array, before)


def test_pixels_that_are_not_valid_have_no_say() -> None:
    probabilities, image = _scene(3)
    valid = _hole()
    expected = refine(probabilities, image, valid, CrfParameters())
    others = _scene(3, seed=9)
    for wild in (0.0, 1.0, np.nan):
        changed, painted = probabilities.copy(), image.copy()
        changed[:, ~valid], painted[:, ~valid] = wild, others[1][:, ~valid]
        refined = refine(changed, painted, valid, CrfParameters())
        np.testing.assert_array_equal(refined[:, valid], expected[:, valid])


def test_nothing_valid() -> None:
    probabilities, image = _scene(3)
    refined = refine(probabilities, image, np.zeros(image.shape[1:], bool), CrfParameters())
    np.testing.assert_array_equal(refined, probabilities)


def test_one_valid_pixel_keeps_its_class() -> None:
    probabilities, image = _scene(3)
    valid = np.zeros(image.shape[1:], bool)
    valid[7, 9] = True
    refined = refine(probabilities, image, valid, CrfParameters())
    assert refined[:, 7, 9].argmax() == probabilities[:, 7, 9].argmax()
    np.testing.assert_allclose(refined[:, 7, 9].sum(), 1.0, atol=1e-5)


def test_certain_pixels_are_no_trouble() -> None:
    probabilities, image = _scene(3)
    certain = (probabilities == probabilities.max(axis=0)).astype(np.float32)
    assert np.isfinite(refine(certain, image, _all(image), CrfParameters())).all()


def test_same_again() -> None:
    probabilities, image = _scene(4)
    first, second = (refine(probabilities, image, _hole(), CrfParameters()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_memory_layout_does_not_matter() -> None:
    probabilities, image = _scene(3)
    expected = refine(probabilities, image, _hole(), CrfParameters())
    turned: list[Any] = [np.asfortranarray(array) for array in (probabilities, image, _hole())]
    np.testing.assert_array_equal(refine(*turned, CrfParameters()), expected)


def test_margin_is_three_widths() -> None:
    assert CrfParameters(spatial=12.4).margin == 37


def test_widths_follow_the_cells() -> None:
    usual = CrfParameters(spatial=20.0, smooth=3.0)
    assert usual.for_cells(4) == usual
    twice = usual.for_cells(8)
    assert (twice.spatial, twice.smooth, twice.color, twice.compat) == (40.0, 6.0, usual.color, usual.compat)
    # Cells of one pixel and of many do not make it useless or endless.
    assert usual.for_cells(1).spatial == 10.0 and usual.for_cells(64).spatial == 60.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"spatial": 0.0},
        {"color": -1.0},
        {"smooth": float("nan")},
        {"compat": float("inf")},
        {"iterations": -1},
    ],
    ids=str,
)
def test_parameters_that_would_crash_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtolabelError, match="DenseCRF needs widths above 0"):
        CrfParameters(**wrong)
