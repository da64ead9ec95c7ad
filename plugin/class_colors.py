"""Default class colours: those of ``backend.rasters.palette``, in the same order, without numpy."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator

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
# Fractional parts of multiples of these three fill the unit cube evenly (the generalised golden ratio).
_STEP = (0.8191725134, 0.6710436067, 0.5497004779)


def default_colors() -> Iterator[str]:
    """All default colours in order as "#rrggbb", without end and each once; the first ones are easy to tell apart."""
    kept = list(_QUALITATIVE)
    yield from (_hex(color) for color in kept)
    seen = set(kept)
    gap = _FIRST_GAP
    for color in _candidates():
        if color in seen:
            continue
        if len(seen) < _SPREAD:
            if min(_distance(color, other) for other in kept) < gap:
                gap *= 0.99  # the room gets scarce
                continue
            kept.append(color)
        seen.add(color)
        yield _hex(color)


def _candidates() -> Iterator[Color]:
    """Colours of every hue that are neither pale nor black."""
    number = 0
    while True:
        number += 1
        hue, saturation, value = (number * step % 1.0 for step in _STEP)
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.35 + 0.65 * saturation, 0.4 + 0.6 * value)
        yield round(255 * red), round(255 * green), round(255 * blue)


def _distance(a: Color, b: Color) -> float:
    """How far two colours are apart, roughly as the eye sees it."""
    return math.sqrt(0.8 * (a[0] - b[0]) ** 2 + 1.5 * (a[1] - b[1]) ** 2 + 0.7 * (a[2] - b[2]) ** 2)


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
