"""DenseCRF on class probabilities, with pydensecrf (Kraehenbuehl and Koltun 2011).

Pixels that are not valid take no part: the fields are built on the valid pixels alone, so that nodata neither
votes nor carries messages. This module imports no torch, since it also runs in small processes of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtolabelError

_CELL = 4  # pixels per feature cell side that the widths were chosen for


@dataclass(frozen=True)
class CrfParameters:
    """Widths are in pixels and grey levels; the defaults are for feature cells of 4 pixels, see :meth:`for_cells`.

    Attributes:
        spatial: Width of the bilateral kernel in space.
        color: Width of the bilateral kernel in each band, 0..255.
        compat: Weight of the bilateral kernel.
        smooth: Width of the purely spatial kernel.
        smooth_compat: Its weight.
        iterations: Mean-field iterations.
    """

    spatial: float = 24.0
    color: float = 9.0
    compat: float = 6.0
    smooth: float = 3.0
    smooth_compat: float = 3.0
    iterations: int = 5

    def __post_init__(self) -> None:
        # pydensecrf reads beyond its memory when a feature is not a number.
        widths, weights = (self.spatial, self.color, self.smooth), (self.compat, self.smooth_compat)
        if not all(map(math.isfinite, (*widths, *weights))) or min(widths) <= 0 or self.iterations < 0:
            raise ProtolabelError(
                f"DenseCRF needs widths above 0, finite weights and no negative iterations, not {self}."
            )

    def for_cells(self, cell: int) -> CrfParameters:
        """The same with widths for other feature cells, and so for other pixel sizes, which the cells follow.

        What the refinement has to mend is as wide as the cells are: labels that were interpolated between them.

        Args:
            cell: Pixels per feature cell side.
        """
        factor = min(max(cell / _CELL, 0.5), 3.0)
        return replace(self, spatial=self.spatial * factor, smooth=self.smooth * factor)

    @property
    def margin(self) -> int:
        """Pixels around a block that its refinement must see: three times the bilateral kernel's width."""
        return round(3 * self.spatial)


def require_densecrf() -> None:
    """See beforehand that the refinement can be done: its library needs a compiler and may be missing.

    Raises:
        ProtolabelError: When it cannot.
    """
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError as error:
        raise ProtolabelError(
            "DenseCRF needs the package pydensecrf2, which is not installed; switch the refinement off (--no-crf), or "
            "install a C++ compiler and then the package."
        ) from error


def refine(
    probabilities: NDArray[np.float32],
    image: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    parameters: CrfParameters,
) -> NDArray[np.float32]:
    """Refine class probabilities so that similar neighbours agree.

    Args:
        probabilities: Shape (C, height, width), each pixel's adding up to 1.
        image: Shape (bands, height, width), any number of bands.
        valid: Shape (height, width).
        parameters: See :class:`CrfParameters`.

    Returns:
        Refined probabilities with the same shape; unchanged where not valid.
    """
    import pydensecrf.densecrf as dcrf

    count = int(valid.sum())
    if count == 0:
        return probabilities
    rows, cols = np.nonzero(valid)
    field = dcrf.DenseCRF(count, probabilities.shape[0])
    energy = -np.log(np.clip(probabilities[:, valid], 1e-5, 1.0))
    field.setUnaryEnergy(np.ascontiguousarray(energy, np.float32))
    place: NDArray[np.float32] = np.stack([cols, rows]).astype(np.float32)
    field.addPairwiseEnergy(np.ascontiguousarray(place / parameters.smooth), compat=parameters.smooth_compat)
    color = image[:, valid].astype(np.float32) / parameters.color
    features = np.concatenate([place / parameters.spatial, color])
    field.addPairwiseEnergy(np.ascontiguousarray(features), compat=parameters.compat)
    refined: NDArray[np.float32] = probabilities.copy()
    refined[:, valid] = np.asarray(field.inference(parameters.iterations), np.float32)
    return refined
