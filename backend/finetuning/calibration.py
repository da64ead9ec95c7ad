"""The temperature and the spectral weight of a tuned model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from ..refine.weights import ScoreWeights
from .measure import CalibrationSample

_RANGE = (0.25, 16.0)  # of temperatures


def weights_of(base: Mapping[str, str], sample: Callable[[], Sequence[CalibrationSample]]) -> ScoreWeights:
    """The weights of a model that was tuned from another one.

    Args:
        base: The metadata of that one; what it was calibrated for is kept.
        sample: Scores of the tuned model on the hold-out, by which it is calibrated else.
    """
    usual = ScoreWeights.of_model(base)
    if "temperature" in base:
        return usual
    return ScoreWeights(fit_temperature(sample()), usual.spectral)


def fit_temperature(samples: Sequence[CalibrationSample]) -> float:
    """The temperature with the least negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        samples: Scores and truth; all classes of a sample count the same, since few pixels are of the rare ones.
    """
    usual = ScoreWeights().temperature
    if not samples:
        return usual

    def loss(log_temperature: float) -> float:
        return float(np.mean([_negative_log_likelihood(one, np.exp(log_temperature)) for one in samples]))

    low, high = np.log(_RANGE)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return round(float(np.exp(found.x)), 3)


def _negative_log_likelihood(sample: CalibrationSample, temperature: float) -> float:
    scores = sample.scores.astype(np.float64) / temperature
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(scores)), sample.truth]
    losses = np.log(np.exp(scores).sum(axis=1)) - own
    counts = np.bincount(sample.truth)
    return float(np.average(losses, weights=1.0 / counts[sample.truth]))
