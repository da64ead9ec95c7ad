"""What was found before a run: pixels and polygons of each class, and what speaks against the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .hold_out import Division
from .material import FEWEST, Material

_FEW_POLYGONS = 5  # of a class, over all rasters
_FEW_PIXELS = 2_000  # of a class, where labels are rasters
_UNBALANCED = 50  # times as many pixels of one class as of another


@dataclass(frozen=True)
class ClassCount:
    """How much of a class is labelled.

    Attributes:
        id: Of the class.
        name: Of the class.
        pixels: Labelled ones.
        polygons: That they come from; 0 where they come from label rasters.
        held_out_pixels: Those that are held out.
        held_out_polygons: As well.
    """

    id: int
    name: str
    pixels: int
    polygons: int
    held_out_pixels: int
    held_out_polygons: int


@dataclass(frozen=True)
class RasterCount:
    """How much is labelled on a raster.

    Attributes:
        raster: Its path.
        name: Of its file.
        pixel_size: In metres, or None.
        held_out: Whether all of it is held out.
        classes: Those that occur on it.
    """

    raster: str
    name: str
    pixel_size: float | None
    held_out: bool
    classes: tuple[ClassCount, ...]


@dataclass(frozen=True)
class Summary:
    """All that was found.

    Attributes:
        rasters: In the order in which they were given.
        classes: Over all rasters.
        hold_out: What is held out, a sentence; "" where it cannot be told.
        warnings: Too little of something, or unbalanced.
        problem: Why no run can be started, None when one can.
    """

    rasters: tuple[RasterCount, ...]
    classes: tuple[ClassCount, ...]
    hold_out: str
    warnings: tuple[str, ...]
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """As values for messages; see :class:`backend.messages.Material`."""
        return {
            "rasters": [
                {**asdict(raster), "classes": [asdict(one) for one in raster.classes]}
                for raster in self.rasters
            ],
            "classes": [asdict(one) for one in self.classes],
            "hold_out": self.hold_out,
            "warnings": list(self.warnings),
            "problem": self.problem,
        }


def summarize(material: Material, division: Division | None, problem: str | None = None) -> Summary:
    """Count what there is.

    Args:
        material: All of it.
        division: What is held out, None where that failed.
        problem: Why it failed.
    """
    held = np.zeros(len(material.units.polygon), bool) if division is None else division.units
    every = np.ones(len(material.tally.raster), bool)
    rasters = []
    for index, info in enumerate(material.rasters):
        own = material.tally.raster == index
        counts = tuple(one for one in _counts(material, held, own) if one.pixels)
        out = bool(counts) and all(one.pixels == one.held_out_pixels for one in counts)
        rasters.append(RasterCount(info.path, info.name, info.pixel_size, out, counts))
    classes = _counts(material, held, every)
    warnings = (*material.notes, *_warnings(material, division, classes))
    return Summary(tuple(rasters), classes, division.sentence if division else "", warnings, problem)


def _counts(material: Material, held: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> tuple[ClassCount, ...]:
    """The counts of all classes over some rows of the tally."""
    tally = material.tally
    found = []
    for index, info in enumerate(material.classes):
        own = chosen & (tally.label == index)
        out = own & held[tally.unit]
        numbers = [
            int(value)
            for rows in (own, out)
            for value in (
                tally.pixels[rows].sum(),
                material.units.polygon[np.unique(tally.unit[rows])].sum(),
            )
        ]
        found.append(ClassCount(info.id, info.name, *numbers))
    return tuple(found)


def _warnings(material: Material, division: Division | None, classes: Sequence[ClassCount]) -> list[str]:
    found = []
    few = [
        f"{one.name} ({one.polygons} polygons)" if one.polygons else f"{one.name} ({one.pixels:,} pixels)"
        for one in classes
        if (0 < one.polygons < _FEW_POLYGONS) or (not one.polygons and one.pixels < _FEW_PIXELS)
    ]
    if few:
        found.append(f"There is little to learn from of {_list(few)}; label more of it, in several places.")
    if division is not None:
        for what, names in (
            ("held out", [one.name for one in classes if one.held_out_pixels < FEWEST]),
            ("trained on", [one.name for one in classes if one.pixels - one.held_out_pixels < FEWEST]),
        ):
            if names:
                effect = "is not measured" if what == "held out" else "is not learnt"
                found.append(
                    f"Too little of {_list(names)} is {what}, so it {effect}; label it in a second place, or on a "
                    "second raster."
                )
    pixels = [one.pixels for one in classes]
    if len(pixels) > 1 and min(pixels) * _UNBALANCED < max(pixels):
        most, least = (classes[pixels.index(value)] for value in (max(pixels), min(pixels)))
        found.append(
            f"The classes are unbalanced: {most.name} has {most.pixels / max(least.pixels, 1):,.0f} times as many "
            f"labelled pixels as {least.name}; label more of the rare ones."
        )
    sizes = [info.pixel_size for info in material.rasters if info.pixel_size is not None]
    if sizes and max(sizes) > 2 * min(sizes):
        found.append(
            f"The rasters' pixels are {min(sizes):.2g} to {max(sizes):.2g} m wide; a model for one of these sizes "
            "learns more from rasters of that size."
        )
    return found


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
