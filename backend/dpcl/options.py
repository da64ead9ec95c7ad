"""The choices of the method, with the paper's intent as the default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import ProtolabelError

AlignmentMask = Literal["predicted", "labels"]
Anchor = Literal["class", "shot"]
KeyPrecision = Literal["half", "single"]


class MethodError(ProtolabelError):
    """Options or episodes that the method cannot work with."""


@dataclass(frozen=True)
class MethodOptions:
    """Options of DPCL; the numbers are those of its Section 5.1 and Appendix A.

    Attributes:
        class_specific_weight: Lambda 1 of eq. 8; 0 leaves the class-specific loss and its dictionary out.
        class_agnostic_weight: Lambda 2 of eq. 8; 0 leaves the class-agnostic loss out. With both at 0 there is
            neither a momentum encoder nor any random number: what is left is PANet.
        alignment_weight: Of the second term of eq. 4, PANet's alignment loss; 0 for Jiang et al., who have none.
        class_balance: Exponent of the weights of classes in the segmentation loss, which are the share of their pixels
            in the queries to its negative: 0 counts every pixel the same, as the papers do, 1 every class.
        alpha: Scale of the cosine in eq. 2. Printed with a minus, but a cosine is a similarity: plus, as in
            PANet's code.
        temperature: Tau of eq. 5 and 6. It divides numerator and denominator of both; the numerator of eq. 6
            and Algorithms 3 and 4 forget it.
        momentum: m of eq. 7.
        dictionary_size: M, entries of the prototype dictionary.
        dictionary_negatives: J, entries of other classes drawn for each anchor, or all where there are fewer.
        background_negatives: V, negatives of the class-agnostic loss.
        background_group: Background features that are averaged for one such negative (Appendix A); also the
            least number of foreground and of background features with which the loss is taken.
        positive_in_denominator: InfoNCE as in Algorithms 3 and 4, which append the positive to the negatives
            and take the cross-entropy. False for eq. 5 and 6 as printed.
        anchor: Which clean prototype the contrastive losses pull at: "class", the mean over the shots (p_c of
            eq. 1, as eq. 5 has it), or "shot", each support image's own. One shot makes no difference.
        alignment_mask: Which query mask the alignment loss pools: "predicted" as in PANet, or "labels", the
            true one, as the text below eq. 4 can be read. Eq. 4's cross-entropy of the hard mask is read as
            one of the soft map.
        freeze_batch_norm: Keep the statistics of batch normalisation as they were loaded; batches of a few
            images are too small to estimate them.
        key_precision: "half" encodes the keys, which no gradient flows through, in bfloat16 where the device computes
            in it: the contrastive losses move by less than another augmentation would move them. "single" never does.
        redraws: How often an augmented view that has lost its object is drawn again before it is skipped.
        seed: Of the augmentation, the negatives and the dictionary's first entries.
    """

    class_specific_weight: float = 0.02
    class_agnostic_weight: float = 0.015
    alignment_weight: float = 1.0
    class_balance: float = 0.0
    alpha: float = 20.0
    temperature: float = 0.05
    momentum: float = 0.999
    dictionary_size: int = 8192
    dictionary_negatives: int = 7000
    background_negatives: int = 1000
    background_group: int = 5
    positive_in_denominator: bool = True
    anchor: Anchor = "class"
    alignment_mask: AlignmentMask = "predicted"
    freeze_batch_norm: bool = True
    key_precision: KeyPrecision = "half"
    redraws: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("class_specific_weight", "class_agnostic_weight", "alignment_weight", "class_balance"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise MethodError(f"The option {name} must be 0 or more, not {value}.")
        for name in ("alpha", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise MethodError(f"The option {name} must be above 0, not {value}.")
        if not 0 <= self.momentum < 1:
            raise MethodError(f"The option momentum must be at least 0 and below 1, not {self.momentum}.")
        for name in ("dictionary_size", "dictionary_negatives", "background_negatives", "background_group"):
            if getattr(self, name) < 1:
                raise MethodError(f"The option {name} must be at least 1, not {getattr(self, name)}.")
        for name in ("redraws", "seed"):
            if getattr(self, name) < 0:
                raise MethodError(f"The option {name} must be 0 or more, not {getattr(self, name)}.")
        for name, known in (
            ("anchor", ("class", "shot")),
            ("alignment_mask", ("predicted", "labels")),
            ("key_precision", ("half", "single")),
        ):
            if getattr(self, name) not in known:
                raise MethodError(
                    f"The option {name} must be {known[0]} or {known[1]}, not {getattr(self, name)!r}."
                )

    @classmethod
    def panet(cls) -> MethodOptions:
        """PANet: no contrastive losses."""
        return cls(class_specific_weight=0.0, class_agnostic_weight=0.0)

    @classmethod
    def jiang(cls) -> MethodOptions:
        """Jiang et al.: the segmentation loss of the queries alone (their eq. 4)."""
        return cls(class_specific_weight=0.0, class_agnostic_weight=0.0, alignment_weight=0.0)
