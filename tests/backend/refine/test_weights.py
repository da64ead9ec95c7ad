"""Temperature and spectral weight from a model's metadata."""

from __future__ import annotations

import pytest

from backend.errors import ModelError
from backend.refine.weights import ScoreWeights


def test_of_model() -> None:
    assert ScoreWeights.of_model({}) == ScoreWeights()
    assert ScoreWeights.of_model({"temperature": "1.25", "spectral_weight": "0"}) == ScoreWeights(1.25, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "0"},
        {"temperature": "warm"},
        {"temperature": "nan"},
        {"spectral_weight": "-1"},
        {"spectral_weight": "inf"},
    ],
)
def test_wrong_values_are_told(wrong: dict[str, str]) -> None:
    (key,) = wrong
    with pytest.raises(ModelError, match=f"The model's {key} is '{wrong[key]}'"):
        ScoreWeights.of_model(wrong)
