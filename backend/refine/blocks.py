"""From blended cell scores to labels, block by block; runs in small processes beside the encoder.

Imports no torch, so that these processes start fast and stay small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..heads.spectral import SpectralModel
from .densecrf import CrfParameters, refine
from .weights import ScoreWeights


@dataclass(frozen=True)
class Block:
    """One block of pixels with its margin.

    Attributes:
        scores: Blended cell scores around the block, shape (C, cell rows, cell columns).
        vertical, horizontal: Interpolation matrices from these cells to the block's pixels.
        spectral: Pixel values 0..255, shape (bands, height, width).
        colors: How many of the bands, from the first, are the image that the refinement follows.
        valid: Shape (height, width).
        inner: The rows and columns without the margin.
        wanted: Which of the inner pixels are to be labelled, shape (inner height, inner width); None for all.
    """

    scores: NDArray[np.float32]
    vertical: NDArray[np.float32]
    horizontal: NDArray[np.float32]
    spectral: NDArray[np.float32]
    colors: int
    valid: NDArray[np.bool_]
    inner: tuple[slice, slice]
    wanted: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class BlockLabels:
    """What a block turned out to be, without its margin; arrays have the shape (height, width).

    Attributes:
        index: Class index, -1 where not valid.
        confidence: Probability of that class before the refinement, 0..100 percent, 255 where not valid: the
            refinement makes neighbours agree, and would be sure of them where the scores are not.
        margin: Its lead over the best other class, also before, 0..100 percent; 0 where the refinement chose a
            class that was not the best; 255 where not valid.
    """

    index: NDArray[np.int32]
    confidence: NDArray[np.uint8]
    margin: NDArray[np.uint8]


def label_block(
    block: Block, spectral: SpectralModel | None, weights: ScoreWeights, crf: CrfParameters | None
) -> BlockLabels:
    """Interpolate the scores, add the spectral model, refine, and decide."""
    if block.wanted is not None and not block.wanted.any():
        nothing = np.full(block.wanted.shape, 255, np.uint8)
        return BlockLabels(np.full(block.wanted.shape, -1, np.int32), nothing, nothing)
    logits = np.matmul(np.matmul(block.vertical, block.scores), block.horizontal.T) / weights.temperature
    if spectral is not None:
        share = min(1.0, len(block.spectral) / 3)
        logits += share * weights.spectral * spectral.log_likelihood(block.spectral)
    probabilities = refined = softmax(logits)
    if crf is not None and block.valid.any():
        image = np.rint(block.spectral[: block.colors]).astype(np.uint8)
        # The width is meant for three bands; fewer bands differ by less.
        crf = replace(crf, color=crf.color * (block.colors / 3) ** 0.5)
        refined = refine(probabilities, image, block.valid, crf)
    rows, cols = block.inner
    valid = block.valid[rows, cols]
    if block.wanted is not None:
        valid = valid & block.wanted
    index = refined[:, rows, cols].argmax(axis=0).astype(np.int32)
    probabilities = probabilities[:, rows, cols]
    own = np.take_along_axis(probabilities, index[None], axis=0)[0]
    others = probabilities.copy()
    np.put_along_axis(others, index[None], -1.0, axis=0)
    return BlockLabels(
        np.where(valid, index, -1).astype(np.int32),
        _percent(own, valid),
        _percent(own - others.max(axis=0), valid),
    )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the first axis."""
    shifted = np.exp(logits - logits.max(axis=0, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=0, keepdims=True)
    return result


def _percent(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(valid, np.rint(100.0 * np.clip(values, 0.0, 1.0)), 255).astype(np.uint8)
