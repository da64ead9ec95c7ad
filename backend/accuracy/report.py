"""The report: one HTML file that needs no network and no other file."""

from __future__ import annotations

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from .. import __version__
from ..rasters.palette import Color, hex_color
from .assessment import Assessment
from .estimation import Estimate

_DASH = "\u2013"
_KINDS = {"points": "labelled points", "polygons": "validation polygons", "raster": "a reference raster"}
_DESIGNS = {
    "stratified": "stratified random sample of points",
    "assumed": "points, taken as random",
    "clusters": "polygons, taken as clusters",
    "census": "complete coverage",
    "partial": "partial coverage",
}


def html(found: Assessment) -> str:
    """An assessment as a page; its pictures are SVG inside of it, so that they print sharply."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        percent=percent, interval=interval, amount=amount, count=count, hex=hex_color, ink=ink, short=short,
        heat=heat, number=number,
    )  # fmt: skip
    environment.tests["known"] = lambda value: not math.isnan(value)
    return environment.get_template("report.html.j2").render(
        found=found,
        name=Path(found.labels).name,
        intervals=found.design not in ("census", "partial"),
        kind=_KINDS[found.kind],
        design=_DESIGNS[found.design],
        units="points" if found.kind == "points" else "pixels",
        matrix=found.matrix.tolist(),
        proportions=None if found.estimates.proportions is None else found.estimates.proportions.tolist(),
        mapped=found.mapped.tolist(),
        areas=found.areas,
        agreement=found.agreement,
        estimates=found.estimates,
        count=count,
        share_of_area=share_of_area,
        version=__version__,
    )


def percent(value: float, digits: int = 1) -> str:
    """A share in percent."""
    return _DASH if math.isnan(value) else f"{100 * value:.{digits}f} %"


def number(value: float, digits: int = 2) -> str:
    """A ratio."""
    return _DASH if math.isnan(value) else f"{value:.{digits}f}"


def interval(estimate: Estimate) -> str:
    """A confidence interval in percent; one without a width says nothing."""
    if math.isnan(estimate.low) or estimate.low == estimate.high:
        return _DASH
    return f"{100 * estimate.low:.1f} {_DASH} {100 * estimate.high:.1f} %"


def amount(value: float) -> str:
    """An area with three digits at least."""
    if math.isnan(value):
        return _DASH
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def count(value: int) -> str:
    """A whole number with separators."""
    return f"{value:,}"


def share_of_area(value: float) -> str:
    """A share of the area in percent, without its sign."""
    return "0" if value == 0 else f"{100 * value:.2f}"


def short(value: int) -> str:
    """A whole number that fits into a cell of the picture."""
    for limit, factor, letter in ((10_000_000, 1e6, "M"), (1_000_000, 1e6, "M"), (10_000, 1e3, "k")):
        if value >= limit:
            return f"{value / factor:.{1 if limit == 1_000_000 else 0}f}{letter}"
    return str(value)


def heat(share: float) -> str:
    """The fill of a cell of the picture: white to blue."""
    low, high = (247, 250, 253), (23, 78, 140)
    red, green, blue = (round(a + (b - a) * share**0.75) for a, b in zip(low, high, strict=True))
    return hex_color((red, green, blue))


def ink(color: Color | float) -> str:
    """A text colour that can be read on a class colour, or on a cell of the picture with that share."""
    if isinstance(color, tuple):
        red, green, blue = color
        return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "#1f2933"
    return "#ffffff" if color > 0.45 else "#1f2933"
