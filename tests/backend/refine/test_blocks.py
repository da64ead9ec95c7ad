"""Scores on cells -> labels of pixels."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.special import softmax as reference_softmax

from backend.heads.spectral import SpectralModel
from backend.heads.support import SupportFeatures
from backend.rasters.grid import FeatureGrid
from backend.refine import blocks
from backend.refine.blocks import Block, label_block, softmax
from backend.refine.densecrf import CrfParameters, refine
from backend.refine.weights import ScoreWeights

HEIGHT, WIDTH, CLASSES = 33, 47, 4
WEIGHTS = ScoreWeights()
ALL = (slice(0, HEIGHT), slice(0, WIDTH))


def _block(bands: int = 4, colors: int = 3, seed: int = 0) -> Block:
    rng = np.random.default_rng(seed)
    grid = FeatureGrid(0, 0, WIDTH, HEIGHT, cell=8, first_center=3.0)
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[5:12, 20:30] = False
    return Block(
        scores=rng.uniform(-20, 20, (CLASSES, grid.rows, grid.cols)).astype(np.float32),
        vertical=grid.interpolation((0, HEIGHT), (0, grid.rows)),
        horizontal=grid.interpolation((0, WIDTH), (0, grid.cols)),
        spectral=rng.uniform(0, 255, (bands, HEIGHT, WIDTH)).astype(np.float32),
        colors=colors,
        valid=valid,
        inner=ALL,
    )


def _spectral(bands: int = 4) -> SpectralModel:
    rng = np.random.default_rng(1)
    count = 10 * CLASSES
    return SpectralModel(
        SupportFeatures(
            labels=np.arange(CLASSES),
            prototypes=np.zeros((CLASSES, 1), np.float32),
            pixels=rng.uniform(0, 255, (count, bands)).astype(np.float32),
            pixel_polygon=np.arange(count) % CLASSES,
            classes=CLASSES,
        )
    )


def _reference(block: Block, spectral: SpectralModel | None, weights: ScoreWeights) -> NDArray[np.float64]:
    """Probabilities before the refinement; cell k lies at pixel 8 k + 3."""
    rows, cols = ((np.arange(n) + 0.5 - 3.0) / 8.0 for n in (HEIGHT, WIDTH))
    places = np.meshgrid(rows, cols, indexing="ij")
    fine = [map_coordinates(c.astype(float), places, order=1, mode="nearest") for c in block.scores]
    logits = np.stack(fine) / weights.temperature
    if spectral is not None:
        logits += weights.spectral * spectral.log_likelihood(block.spectral)
    return reference_softmax(logits, axis=0)


@pytest.mark.parametrize("with_spectral", [False, True])
@pytest.mark.parametrize("weights", [WEIGHTS, ScoreWeights(temperature=20.0, spectral=0.01)], ids=str)
def test_without_refinement(with_spectral: bool, weights: ScoreWeights) -> None:
    block, spectral = _block(), _spectral() if with_spectral else None
    labels = label_block(block, spectral, weights, None)
    expected = _reference(block, spectral, weights)
    ordered = np.sort(expected, axis=0)
    clear = block.valid & (ordered[-1] - ordered[-2] > 1e-3)
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(labels.index[clear], expected.argmax(axis=0)[clear])
    confidence, margin = 100 * ordered[-1], 100 * (ordered[-1] - ordered[-2])
    assert np.abs(labels.confidence[block.valid] - confidence[block.valid]).max() <= 0.51
    assert np.abs(labels.margin[block.valid] - margin[block.valid]).max() <= 0.51


@pytest.mark.parametrize("crf", [None, CrfParameters()], ids=["plain", "crf"])
def test_ranges(crf: CrfParameters | None) -> None:
    block = _block()
    labels = label_block(block, _spectral(), WEIGHTS, crf)
    assert labels.index.dtype == np.int32
    assert labels.confidence.dtype == labels.margin.dtype == np.uint8
    assert labels.index.shape == labels.confidence.shape == labels.margin.shape == (HEIGHT, WIDTH)
    assert set(np.unique(labels.index[block.valid])) <= set(range(CLASSES))
    plain = label_block(block, _spectral(), WEIGHTS, None)
    same = block.valid & (labels.index == plain.index)
    assert plain.confidence[block.valid].min() >= 100 / CLASSES - 1
    # The refinement decides, but is not asked how sure it is.
    assert (labels.confidence[same] == plain.confidence[same]).all()
    assert (labels.margin[block.valid & ~same] == 0).all()
    assert labels.confidence[block.valid].max() <= 100
    assert (labels.margin <= labels.confidence)[block.valid].all()
    assert (labels.index[~block.valid] == -1).all()
    assert (labels.confidence[~block.valid] == 255).all()
    assert (labels.margin[~block.valid] == 255).all()


def test_refinement_is_densecrfs() -> None:
    block, crf = _block(), CrfParameters()
    expected = refine(
        _reference(block, None, WEIGHTS).astype(np.float32),
        np.rint(block.spectral[:3]).astype(np.uint8),
        block.valid,
        crf,
    )
    labels = label_block(block, None, WEIGHTS, crf)
    agree = labels.index == expected.argmax(axis=0)
    assert agree[block.valid].mean() > 0.995
    plain = label_block(block, None, WEIGHTS, None)
    assert (labels.index != plain.index).any()


@pytest.mark.parametrize(("colors", "width"), [(1, 10 / 3**0.5), (3, 10.0)])
def test_refinement_follows_the_colours_only(
    colors: int, width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(
        probabilities: NDArray[np.float32],
        image: NDArray[np.uint8],
        valid: NDArray[np.bool_],
        crf: CrfParameters,
    ) -> NDArray[np.float32]:
        seen.append((image, crf))
        return probabilities

    monkeypatch.setattr(blocks, "refine", spy)
    block, crf = _block(bands=5, colors=colors), CrfParameters(color=10.0)
    label_block(block, None, WEIGHTS, crf)
    image, used = seen[0]
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.rint(block.spectral[:colors]))
    assert used == replace(crf, color=used.color)
    assert used.color == pytest.approx(width)


@pytest.mark.parametrize("crf", [None, CrfParameters()], ids=["plain", "crf"])
def test_margin_is_cut_off(crf: CrfParameters | None) -> None:
    block, inner = _block(), (slice(4, 29), slice(0, 40))
    whole = label_block(block, None, WEIGHTS, crf)
    part = label_block(replace(block, inner=inner), None, WEIGHTS, crf)
    for name in ("index", "confidence", "margin"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[inner])


def test_nothing_valid() -> None:
    block = replace(_block(), valid=np.zeros((HEIGHT, WIDTH), bool))
    labels = label_block(block, _spectral(), WEIGHTS, CrfParameters())
    assert (labels.index == -1).all()
    assert (labels.confidence == 255).all()


def test_block_is_left_as_it_was() -> None:
    block, before = _block(), _block()
    label_block(block, _spectral(), WEIGHTS, CrfParameters())
    for name in ("scores", "spectral", "valid"):
        np.testing.assert_array_equal(getattr(block, name), getattr(before, name))


def test_blocks_travel_to_other_processes() -> None:
    block, spectral = pickle.loads(pickle.dumps((_block(), _spectral())))
    labels = pickle.loads(pickle.dumps(label_block(block, spectral, WEIGHTS, None)))
    np.testing.assert_array_equal(labels.index, label_block(_block(), _spectral(), WEIGHTS, None).index)


@given(arrays(np.float32, (3, 2, 2), elements=st.floats(-1000, 1000, width=32)))
def test_softmax(logits: NDArray[np.float32]) -> None:
    result = softmax(logits)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, reference_softmax(logits.astype(float), axis=0), rtol=1e-3, atol=1e-6)


def test_no_torch() -> None:
    """Small processes import these modules; torch would cost each of them seconds and much memory."""
    code = (
        "import sys; import backend.refine.blocks, backend.refine.densecrf; "
        "print(sorted({'torch', 'torchvision', 'rasterio', 'pyogrio'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
