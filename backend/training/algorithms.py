"""The algorithms that can be trained: the options of each, and what its paper used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from ..baselines.ppnet_parts import PartOptions
from ..dpcl.options import MethodError, MethodOptions

Algorithm = Literal["dpcl", "panet", "jiang", "ppnet"]
"""``panet`` is DPCL without its two contrastive losses, ``jiang`` has no alignment loss either, ``ppnet`` matches with
several prototypes of each class."""

Options = MethodOptions | PartOptions

_MATCHING = ("alpha", "class_balance", "freeze_batch_norm", "seed")
_ALIGNMENT = ("alignment_weight", "alignment_mask")


def method_options(algorithm: Algorithm, given: Mapping[str, Any]) -> Options:
    """The options of an algorithm.

    Args:
        algorithm: Which one.
        given: Those that differ from its paper.

    Raises:
        MethodError: When an option is another algorithm's, or its value is out of range.
        ValidationError: When a value is of the wrong type, or no algorithm has such an option.
    """
    paper, own = _paper_options(algorithm)
    known = {field.name for kind in (MethodOptions, PartOptions) for field in fields(kind)}
    for name in given:
        if name in known and name not in own:
            raise MethodError(
                f"The option method.{name} does not belong to the algorithm {algorithm}, which has {', '.join(own)}."
            )
    kind = type(paper)
    checked = TypeAdapter(checked_dataclass(kind, frozen=True, config=ConfigDict(extra="forbid")))
    values = checked.validate_python({**asdict(paper), **given})
    return kind(**asdict(values))


def method_values(algorithm: Algorithm, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options that an algorithm has, by name; see :func:`method_options`."""
    values = asdict(method_options(algorithm, given))
    return {name: values[name] for name in _paper_options(algorithm)[1]}


def _paper_options(algorithm: Algorithm) -> tuple[Options, tuple[str, ...]]:
    """The options of an algorithm's paper, and the names of those that it has."""
    if algorithm == "ppnet":
        return PartOptions(), tuple(field.name for field in fields(PartOptions))
    if algorithm == "panet":
        return MethodOptions.panet(), (*_MATCHING, *_ALIGNMENT)
    if algorithm == "jiang":
        return MethodOptions.jiang(), _MATCHING
    return MethodOptions(), tuple(field.name for field in fields(MethodOptions))


def paper_sections(algorithm: object) -> dict[str, dict[str, Any]]:
    """What an algorithm's paper or code used where that is not DPCL's, by section and key.

    PANet and PPNet: PANet's and PPNet's code; VGG-16 and ResNet-50 alike are used up to their last level. Jiang et al.
    follow PANet in what they do not tell.

    Args:
        algorithm: As the configuration names it; nothing is known of a wrong one.
    """
    if algorithm not in ("panet", "jiang", "ppnet"):
        return {}
    encoder: dict[str, Any] = {"layers": (4,), "projection": 0}
    sections: dict[str, dict[str, Any]] = {"episodes": {"size": 417}, "encoder": encoder, "run": {"batch": 1}}
    if algorithm == "jiang":
        encoder |= {"layers": (2, 3), "compression": 256}
    if algorithm == "ppnet":
        encoder["freeze"] = 3
        sections |= {"optimizer": {"lr": 5e-4}, "run": {"batch": 1, "iterations": 24_000}}
    return sections
