"""Whether a tuned model is better, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .measure import HoldOutScore

Verdict = Literal["better", "unclear", "worse"]
_LEAST = 0.005  # of mean IoU; nobody sees less


@dataclass(frozen=True)
class Comparison:
    """Two models on the same draws of the same hold-out.

    Attributes:
        verdict: "better" when the mean difference is above its standard deviation over the draws, "worse" when it is
            below 0, else "unclear".
        sentence: For people.
    """

    verdict: Verdict
    sentence: str


def compare(base: HoldOutScore, tuned: HoldOutScore) -> Comparison:
    """Compare a tuned model with the one it began from; the draws of both are paired.

    Args:
        base: Of the model without training.
        tuned: Of the tuned one.
    """
    gains = tuned.draws - base.draws
    gain = float(gains.mean())
    spread = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    numbers = (
        f"mean IoU {tuned.miou:.3f} after, {base.miou:.3f} before ({gain:+.3f} ± {spread:.3f} over {len(gains)} sets "
        "of support polygons)"
    )
    if gain < 0:
        text = f"The tuned model is worse on the hold-out than the one it began from: {numbers}; keep using that one."
        return Comparison("worse", text)
    if gain <= max(spread, _LEAST):
        text = f"The tuned model is not clearly better: {numbers}; the difference may be chance."
        return Comparison("unclear", text)
    return Comparison("better", f"The tuned model is better on the hold-out: {numbers}.")
