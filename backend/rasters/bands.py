"""Which bands of a raster to use: three for the encoder, the others as spectral values beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from ..errors import RasterError

_NAMES = {
    "red": re.compile(r"\b(red|b0?4)\b", re.I),
    "green": re.compile(r"\b(green|b0?3)\b", re.I),
    "blue": re.compile(r"\b(blue|b0?2)\b", re.I),
}


@dataclass(frozen=True)
class BandMapping:
    """The bands in use, counted from 1.

    Attributes:
        composite: The three bands that the encoder sees as red, green and blue; one band is repeated.
        extra: Further bands, which only the spectral model of a head uses (near infrared, for example).
        reason: How the choice was made, for the user.
    """

    composite: tuple[int, int, int]
    extra: tuple[int, ...] = ()
    reason: str = "given"

    @property
    def all(self) -> tuple[int, ...]:
        """Every band in use once, the composite's first."""
        return tuple(dict.fromkeys(self.composite + self.extra))


def choose_bands(src: DatasetReader, wanted: Sequence[int] | None = None) -> BandMapping:
    """Choose the bands by the user's list, else by colour interpretation, else by name, else the first three.

    Args:
        src: The open raster.
        wanted: Band numbers from 1: one (repeated), or three for red, green and blue and any number of extras.

    Raises:
        RasterError: When a wanted band does not exist or two are given.
    """
    if wanted:
        return _given(src, tuple(wanted))
    usable = [band for band in src.indexes if not is_alpha(src, band)]
    if not usable:
        raise RasterError(f"{src.name} has no band but alpha; choose a raster with image bands.")
    colors = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    by_color = [next((b for b in usable if src.colorinterp[b - 1] == color), 0) for color in colors]
    if all(by_color):
        return _mapping(by_color, usable, "by colour interpretation")
    names = [src.descriptions[band - 1] or "" for band in usable]
    by_name = [next((b for b, n in zip(usable, names, strict=True) if r.search(n)), 0) for r in _NAMES.values()]
    if all(by_name):
        return _mapping(by_name, usable, "by band name")
    if len(usable) < 3:
        return BandMapping((usable[0],) * 3, tuple(usable[1:]), "first band repeated")
    return _mapping(usable[:3], usable, "the first three")


def is_alpha(src: DatasetReader, band: int) -> bool:
    """Whether a band is transparency. A band marked alpha beside an internal mask is data: the mask rules."""
    flags = src.mask_flag_enums[0]
    return src.colorinterp[band - 1] == ColorInterp.alpha and MaskFlags.alpha in flags


def _mapping(composite: Sequence[int], usable: Sequence[int], reason: str) -> BandMapping:
    red, green, blue = composite
    return BandMapping((red, green, blue), tuple(b for b in usable if b not in composite), reason)


def _given(src: DatasetReader, wanted: tuple[int, ...]) -> BandMapping:
    missing = [band for band in wanted if band not in src.indexes]
    if missing:
        raise RasterError(f"{src.name} has no band {missing[0]}; it has the bands 1 to {src.count}.")
    if len(wanted) == 2:
        raise RasterError("Give one band (grey), or three bands for red, green and blue and then any others.")
    composite = wanted[:3] if len(wanted) >= 3 else wanted * 3
    return BandMapping((composite[0], composite[1], composite[2]), wanted[3:])
