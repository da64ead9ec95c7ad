"""Bands are chosen by the user, by colour, by name, or in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from backend.errors import RasterError
from backend.rasters.bands import choose_bands

from .conftest import MakeRaster

GREY = ColorInterp.undefined
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def _choose(
    make_raster: MakeRaster,
    count: int,
    wanted: Sequence[int] | None = None,
    dtype: str = "uint16",
    **options: object,
) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    path = make_raster(np.ones((count, 4, 4), dtype), **options)
    with rasterio.open(path) as src:
        mapping = choose_bands(src, wanted)
    assert mapping.all == tuple(dict.fromkeys(mapping.composite + mapping.extra))
    return mapping.composite, mapping.extra, mapping.reason


@pytest.mark.parametrize(
    ("count", "composite", "extra"),
    [
        (1, (1, 1, 1), ()),
        (2, (1, 1, 1), (2,)),
        (3, (1, 2, 3), ()),
        (11, (1, 2, 3), tuple(range(4, 12))),
    ],
)
def test_order_when_nothing_else_is_known(
    make_raster: MakeRaster, count: int, composite: tuple[int, ...], extra: tuple[int, ...]
) -> None:
    colors = (GREY,) * count
    assert _choose(make_raster, count, colors=colors)[:2] == (composite, extra)


@pytest.mark.parametrize(
    ("names", "composite"),
    [
        (("B02", "B03", "B04", "B08"), (3, 2, 1)),
        (("B2", "B3", "B4"), (3, 2, 1)),
        (("S2_B04_10m", "S2_B03_10m", "S2_B02_10m"), (1, 2, 3)),
        (("Blue", "Green", "Red edge", "Red", "NIR"), (4, 2, 1)),
        (("rededge", "near infra-red", "red", "green", "blue"), (3, 4, 5)),
        (("infrared", "blue", "green", "red_2020"), (4, 3, 2)),
        (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (6, 4, 2)),
        (("B4 nir", "B3 red", "B2 green", "B1 blue"), (2, 3, 4)),
        (("B08", "B11", "B12"), (1, 2, 3)),
        (("reduced", "evergreen", "blueish"), (1, 2, 3)),
    ],
)
def test_names(make_raster: MakeRaster, names: tuple[str, ...], composite: tuple[int, ...]) -> None:
    found, extra, _ = _choose(make_raster, len(names), colors=(GREY,) * len(names), names=names)
    assert found == composite
    assert extra == tuple(band for band in range(1, len(names) + 1) if band not in composite)


def test_color_interpretation_rules_over_order(make_raster: MakeRaster) -> None:
    colors = (ColorInterp.undefined, *reversed(RGB))
    assert _choose(make_raster, 4, colors=colors) == ((4, 3, 2), (1,), "by colour interpretation")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("count", [2, 4, 6])
def test_alpha_is_left_out_of_any_data_type_and_count(
    make_raster: MakeRaster, dtype: str, count: int
) -> None:
    colors = (GREY,) * (count - 1) + (ColorInterp.alpha,)
    composite, extra, _ = _choose(make_raster, count, colors=colors, dtype=dtype)
    assert count not in composite + extra
    assert set(composite + extra) == set(range(1, count))


def test_alpha_beside_a_mask_or_nodata_or_called_infrared_is_data(make_raster: MakeRaster) -> None:
    colors = (*RGB, ColorInterp.alpha)
    mask = np.ones((4, 4), bool)
    assert _choose(make_raster, 4, colors=colors)[1] == ()
    assert _choose(make_raster, 4, colors=colors, mask=mask)[1] == (4,)
    assert _choose(make_raster, 4, colors=colors, mask=mask, internal=False, name="msk.tif")[1] == (4,)
    assert _choose(make_raster, 4, colors=colors, nodata=0, name="nodata.tif")[1] == (4,)
    assert _choose(make_raster, 4, colors=colors, names=("r", "g", "b", "NIR"), name="nir.tif")[1] == (4,)


def test_only_alpha(make_raster: MakeRaster) -> None:
    with pytest.raises(RasterError, match=r"raster\.tif has no band but alpha; choose"):
        _choose(make_raster, 1, colors=(ColorInterp.alpha,))


@pytest.mark.parametrize(
    ("wanted", "composite", "extra"),
    [
        ((2,), (2, 2, 2), ()),
        ((3, 2, 1), (3, 2, 1), ()),
        ((4, 3, 2, 1, 4), (4, 3, 2), (1, 4)),
        ((1, 1, 2), (1, 1, 2), ()),
    ],
)
def test_given(
    make_raster: MakeRaster, wanted: tuple[int, ...], composite: tuple[int, ...], extra: tuple[int, ...]
) -> None:
    assert _choose(make_raster, 4, wanted) == (composite, extra, "given")


@pytest.mark.parametrize("wanted", [(5,), (0,), (-1, 1, 2), (1, 2, 3, 99)])
def test_given_bands_must_exist(make_raster: MakeRaster, wanted: tuple[int, ...]) -> None:
    with pytest.raises(RasterError, match=r"raster\.tif has no band .*bands 1 to 4"):
        _choose(make_raster, 4, wanted)


def test_two_given_bands_are_unclear(make_raster: MakeRaster) -> None:
    with pytest.raises(RasterError, match=r"Two bands of .* are no picture"):
        _choose(make_raster, 4, (1, 2))
