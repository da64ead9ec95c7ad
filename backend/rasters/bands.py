"""Which bands of a raster to use: three for the encoder, the others as spectral values beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from ..errors import RasterError

_START, _STOP = r"(?<![a-z0-9])", r"(?![a-z0-9])"
# "Red edge" and "near infra-red" are other bands, and words tell more than numbers, which differ between sensors.
_NAMES = tuple(
    tuple(re.compile(_START + name + _STOP, re.IGNORECASE) for name in names)
    for names in ((r"(?<!infra[-_ ])red(?![-_ ]?edge)", "green", "blue"), ("b0?4", "b0?3", "b0?2"))
)
_INFRARED = re.compile(r"nir|infra", re.IGNORECASE)


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
        raise RasterError(f"The raster {src.name} has no band but alpha; choose a raster with image bands.")
    colors = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    by_color = [next((b for b in usable if src.colorinterp[b - 1] == color), 0) for color in colors]
    if all(by_color):
        return _mapping(by_color, usable, "by colour interpretation")
    for patterns in _NAMES:
        by_name = [_named(src, usable, pattern) for pattern in patterns]
        if all(by_name):
            return _mapping(by_name, usable, "by band name")
    if len(usable) < 3:
        return BandMapping((usable[0],) * 3, tuple(usable[1:]), "first band repeated")
    return _mapping(usable[:3], usable, "the first three")


def is_alpha(src: DatasetReader, band: int) -> bool:
    """Whether a band is transparency.

    The fourth band of 8-bit imagery is marked alpha unless its writer took care, even if it is near infrared. So a
    band that is marked alpha beside a mask or a nodata value is data, since the mask rules, and so is one that its
    name calls infrared.
    """
    if src.colorinterp[band - 1] != ColorInterp.alpha or _INFRARED.search(src.descriptions[band - 1] or ""):
        return False
    # GDAL takes alpha for a mask only where it is the last of two or four bands of whole numbers.
    return any(flag in src.mask_flag_enums[0] for flag in (MaskFlags.alpha, MaskFlags.all_valid))


def _named(src: DatasetReader, bands: Sequence[int], pattern: re.Pattern[str]) -> int:
    """The band with the shortest of the names that match ("blue" before "coastal blue"), or 0."""
    found = [band for band in bands if pattern.search(src.descriptions[band - 1] or "")]
    return min(found, key=lambda band: len(src.descriptions[band - 1]), default=0)


def _mapping(composite: Sequence[int], usable: Sequence[int], reason: str) -> BandMapping:
    red, green, blue = composite
    return BandMapping((red, green, blue), tuple(b for b in usable if b not in composite), reason)


def _given(src: DatasetReader, wanted: tuple[int, ...]) -> BandMapping:
    missing = [band for band in wanted if band not in src.indexes]
    if missing:
        raise RasterError(
            f"The raster {src.name} has no band {missing[0]}; choose from the bands 1 to {src.count}."
        )
    if len(wanted) == 2:
        raise RasterError(
            f"Two bands of {src.name} are no picture; give one (grey), or three for red, green and blue and then "
            "any others."
        )
    composite = wanted[:3] if len(wanted) >= 3 else wanted * 3
    return BandMapping((composite[0], composite[1], composite[2]), wanted[3:])
