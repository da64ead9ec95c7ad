"""What the worker has found to fine-tune on, and what a run would take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Amount:
    """How much there is of one class.

    Attributes:
        polygons: How many; 0 where all is in a label raster.
        pixels: Under them, or in the label raster.
        held_out: Pixels of them that the model is measured on, and not fitted to.
    """

    polygons: int = 0
    pixels: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class FoundClass:
    """A class that was found, with the sum over all rasters."""

    id: int
    name: str
    total: Amount


@dataclass(frozen=True)
class FoundRaster:
    """A raster with what there is on it by class id."""

    name: str
    path: str
    held_out: bool
    amounts: Mapping[int, Amount]


@dataclass(frozen=True)
class RunTime:
    """What a run would take.

    Attributes:
        device: What it would run on.
        iterations: Of the whole run.
        seconds: Of the whole run, with all measurements on the hold-out.
    """

    device: str
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Findings:
    """All of it.

    Attributes:
        hold_out: A sentence that tells what is held out.
        warnings: Sentences: too little of something, or unbalanced.
        problem: Why no run can be started, None when one can.
        time: None as long as it is not known.
    """

    rasters: tuple[FoundRaster, ...]
    classes: tuple[FoundClass, ...]
    hold_out: str
    warnings: tuple[str, ...]
    problem: str | None
    time: RunTime | None


def read_findings(value: Mapping[str, Any]) -> Findings:
    """Take an answer to :class:`backend.messages.Material`, be it partial or final."""
    estimate = value["estimate"]
    return Findings(
        tuple(
            FoundRaster(
                item["name"],
                item["raster"],
                item["held_out"],
                {found["id"]: _amount(found) for found in item["classes"]},
            )
            for item in value["rasters"]
        ),
        tuple(FoundClass(item["id"], item["name"], _amount(item)) for item in value["classes"]),
        value["hold_out"] or "",
        tuple(value["warnings"]),
        value["problem"],
        RunTime(estimate["device"], estimate["iterations"], estimate["seconds"]) if estimate else None,
    )


def _amount(item: Mapping[str, Any]) -> Amount:
    return Amount(item["polygons"], item["pixels"], item["held_out_pixels"])
