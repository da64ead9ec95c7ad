"""Class colours: by the meaning of an English class name, else from a qualitative palette."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .support import ClassInfo

Color = tuple[int, int, int]

# After Okabe and Ito, then Tol's "muted" colours: both were chosen to stay apart for colour-blind eyes.
_QUALITATIVE: tuple[Color, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (51, 34, 136),
    (136, 34, 85),
    (17, 119, 51),
    (153, 153, 153),
    (153, 153, 51),
    (204, 102, 119),
    (68, 170, 153),
    (170, 68, 153),
    (221, 204, 119),
)
_SPREAD = 256  # colours that are kept apart from each other; those beyond are only different
_FIRST_GAP = 90.0  # distance that a new colour keeps from those before it, as long as there is room
_SEMANTIC_GAP = 60.0  # distance that other classes keep from the colours given by name
# Fractional parts of multiples of these three fill the unit cube evenly (the generalised golden ratio).
_STEP = (0.8191725134, 0.6710436067, 0.5497004779)


@dataclass(frozen=True)
class _Meaning:
    """The colour for class names that hold one of some words, in the singular and in lower case."""

    color: Color
    words: frozenset[str]


def _meaning(color: Color, words: str) -> _Meaning:
    return _Meaning(color, frozenset(words.split()))


# The first one that matches counts: "tree shadow" is a shadow, "bare field" is bare.
_MEANINGS: tuple[_Meaning, ...] = (
    _meaning((48, 48, 64), "shadow shade"),
    _meaning((36, 102, 209), "water river lake sea ocean pond canal stream pool"),
    _meaning((205, 43, 43), "building house roof rooftop built builtup urban"),
    _meaning((128, 128, 128), "road street highway asphalt pavement parking impervious railway rail"),
    _meaning((232, 240, 250), "snow ice glacier"),
    _meaning((72, 150, 145), "wetland marsh swamp bog reed"),
    _meaning((238, 220, 170), "sand beach dune"),
    _meaning((150, 96, 52), "bare soil ground dirt earth barren"),
    _meaning((176, 168, 153), "rock stone gravel scree"),
    _meaning((20, 92, 40), "forest tree wood woodland canopy conifer coniferous broadleaved deciduous"),
    _meaning((110, 130, 30), "shrub shrubland bush hedge scrub heath"),
    _meaning((120, 200, 80), "grass grassland meadow lawn pasture"),
    _meaning((240, 205, 60), "field crop cropland farm farmland agriculture agricultural arable cereal"),
    _meaning((140, 70, 150), "vineyard orchard vine"),
    _meaning((230, 60, 160), "car vehicle truck"),
    _meaning((205, 205, 205), "background other unknown clutter"),
)


def class_colors(count: int) -> list[Color]:
    """Choose colours that are easy to tell apart; more of them begin with the same ones.

    Args:
        count: How many, from 0 to 65,000.

    Returns:
        Red, green and blue, 0..255, all different.

    Raises:
        ValueError: When the count is negative.
    """
    if count < 0:
        raise ValueError(f"There is no palette of {count} colours.")
    stream = _colors()
    return [next(stream) for _ in range(count)]


def colors_for(classes: Sequence[ClassInfo], given: Mapping[int, Color] | None = None) -> dict[int, Color]:
    """Choose a colour for each class: by its name where that says what it is, else from :func:`class_colors`.

    Of several classes with the same meaning the first one gets its colour.

    Args:
        classes: With different ids.
        given: Colours by class id that the user chose; the other classes get different ones.

    Returns:
        Red, green and blue, 0..255, by class id; all different, except for what was given.
    """
    given = given or {}
    chosen = {info.id: given[info.id] for info in classes if info.id in given}
    taken = np.array(list(chosen.values()), float).reshape(-1, 3)
    for info in classes:
        color = None if info.id in chosen else _by_name(info.name)
        if color is None or color in chosen.values():
            continue
        if not len(taken) or _nearest(color, taken) >= _SEMANTIC_GAP:
            chosen[info.id] = color
    taken = np.array(list(chosen.values()) or [(0, 0, 0)], float)
    reserved = set(chosen.values())
    gap = _SEMANTIC_GAP if len(classes) <= _SPREAD else 0.0
    stream = (color for color in _colors() if color not in reserved and _nearest(color, taken) >= gap)
    for info in classes:
        if info.id not in chosen:
            chosen[info.id] = next(stream)
    return {info.id: chosen[info.id] for info in classes}


def hex_color(color: Color) -> str:
    """Write a colour as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def parse_color(text: str) -> Color:
    """Read "#rrggbb".

    Raises:
        ValueError: When it is something else.
    """
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _by_name(name: str) -> Color | None:
    words = set(re.findall(r"[a-z]+", name.lower()))
    words |= {word[:-1] for word in words if word.endswith("s")}
    for meaning in _MEANINGS:
        if words & meaning.words:
            return meaning.color
    return None


def _colors() -> Iterator[Color]:
    """All colours in order, without end; the first ``_SPREAD`` are kept apart from each other."""
    yield from _QUALITATIVE
    seen = set(_QUALITATIVE)
    kept = np.array(_QUALITATIVE, float)
    gap = _FIRST_GAP
    for color in _candidates():
        if color in seen:
            continue
        if len(seen) < _SPREAD:
            if _nearest(color, kept) < gap:
                gap *= 0.99  # the room gets scarce
                continue
            kept = np.vstack([kept, color])
        seen.add(color)
        yield color


def _candidates() -> Iterator[Color]:
    """Colours of every hue that are neither pale nor black."""
    number = 0
    while True:
        number += 1
        hue, saturation, value = (number * step % 1.0 for step in _STEP)
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.35 + 0.65 * saturation, 0.4 + 0.6 * value)
        yield round(255 * red), round(255 * green), round(255 * blue)


def _nearest(color: Color, others: NDArray[np.float64]) -> float:
    """Distance to the nearest of other colours with shape (n, 3), weighted roughly as the eye does."""
    difference = others - np.array(color, float)
    return float(np.sqrt((difference**2 * (0.8, 1.5, 0.7)).sum(axis=1).min()))
