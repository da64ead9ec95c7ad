"""How the parts of a head add up before the softmax."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ModelError


@dataclass(frozen=True)
class ScoreWeights:
    """Temperature and spectral weight; the defaults suit ImageNet features.

    Attributes:
        temperature: Divides the encoder's scores (alpha times the cosine). Cosines of ImageNet features are
            close together and overconfident at alpha = 20; 4 was found by cross-validation over aerial
            scenes. An encoder that was trained for its scores needs less.
        spectral: Multiplies the spectral log likelihood; neighbouring pixels are not independent evidence. It is
            meant for three bands and more; one grey band alone tells too little to outvote the encoder, and
            counts a third.
    """

    temperature: float = 4.0
    spectral: float = 0.2

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> ScoreWeights:
        """Those that a model was calibrated for; the defaults where it says nothing.

        Args:
            metadata: Of the model; the keys are ``temperature`` and ``spectral_weight``.

        Raises:
            ModelError: When one is no number, or out of range.
        """
        default = cls()
        values = []
        for key, usual in (("temperature", default.temperature), ("spectral_weight", default.spectral)):
            text = metadata.get(key, str(usual))
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not (math.isfinite(value) and value >= 0) or (key == "temperature" and value == 0):
                raise ModelError(f"The model's {key} is {text!r}, which is no number above 0; get it again.")
            values.append(value)
        return cls(*values)
