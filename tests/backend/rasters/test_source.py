"""Rasters of every kind are read as values 0..255 and validity, or refused with one clear sentence."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

from backend.errors import RasterError
from backend.rasters.source import RasterSource
from backend.rasters.stretch import Stretch

from .conftest import NORTH_UP, MakeRaster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
_RANDOM = np.random.default_rng(0)


def _bytes(*shape: int) -> np.ndarray:
    return _RANDOM.integers(1, 255, shape).astype(np.uint8)


def _vrt(folder: Path, bands: list[tuple[str, str, str]], width: int, height: int) -> Path:
    """A VRT of first bands: data type, nodata, file."""
    parts = [
        f'<VRTRasterBand dataType="{dtype}" band="{number}">'
        + (f"<NoDataValue>{nodata}</NoDataValue>" if nodata else "")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (dtype, nodata, name) in enumerate(bands, start=1)
    ]
    path = folder / "bands.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{"".join(parts)}</VRTDataset>',
        encoding="utf-8",
    )
    return path


# Values and validity


def test_8_bit_keeps_its_values(make_raster: MakeRaster) -> None:
    pixels = _bytes(3, 30, 40)
    with RasterSource(make_raster(pixels)) as source:
        values, valid = source.read(Window(5, 6, 20, 10))
        assert (values == pixels[:, 6:16, 5:25]).all()
        assert valid.all()
        assert (source.spectral_count, source.color_count) == (3, 3)
        assert (source.composite(values) == values).all()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_other_types_are_stretched_once(make_raster: MakeRaster, dtype: str) -> None:
    pixels = np.arange(1200).reshape(1, 30, 40) % 127
    with RasterSource(make_raster(pixels.astype(dtype))) as source:
        whole, valid = source.read(source.window)
        part, _ = source.read(Window(10, 10, 5, 5))
        assert (part == whole[:, 10:15, 10:15]).all()
        assert valid.all()
        assert (whole.min(), whole.max()) == (0, 255)
        assert whole.dtype == np.float32


def test_11_floating_bands_with_holes(make_raster: MakeRaster) -> None:
    pixels = _RANDOM.random((11, 20, 20)).astype(np.float32)
    pixels[3, 2, 2], pixels[7, 4, 4], pixels[0, 6, 6], pixels[5, 8, 8] = np.nan, np.inf, -np.inf, -3.4e38
    with RasterSource(make_raster(pixels)) as source:
        values, valid = source.read(source.window)
        assert source.spectral_count == 11
        assert (np.argwhere(~valid) == [[2, 2], [4, 4], [6, 6], [8, 8]]).all()
        assert np.isfinite(values).all()
        assert (values[:, ~valid] == 0).all()
        # The fill value did not spoil the stretch.
        assert values[5, valid].std() > 50


def test_nodata(make_raster: MakeRaster) -> None:
    pixels = np.arange(400, dtype=np.int16).reshape(20, 20) + 1000
    pixels[:5] = -32768
    with RasterSource(make_raster(pixels, nodata=-32768)) as source:
        values, valid = source.read(source.window)
    assert (valid == (pixels != -32768)).all()
    assert values[0, 5, 0] < 5
    assert values[0, 19, 19] > 250


def test_nodata_that_is_not_a_number(make_raster: MakeRaster) -> None:
    pixels = _RANDOM.random((3, 9, 9)).astype(np.float32)
    pixels[1, 4, 4] = np.nan
    with RasterSource(make_raster(pixels, nodata=float("nan"))) as source:
        assert np.argwhere(~source.read(source.window)[1]).tolist() == [[4, 4]]


def test_mixed_types_and_nodata_per_band(make_raster: MakeRaster, tmp_path: Path) -> None:
    first, second, third = (
        _bytes(8, 8),
        _RANDOM.random((8, 8)).astype(np.float32),
        np.arange(64, dtype=np.uint16),
    )
    first[0, 0], second[1, 1], third[18] = 77, np.nan, 65535
    make_raster(first, "straße & first.tif")
    make_raster(second, "second.tif")
    make_raster(third.reshape(8, 8), "third.tif")
    bands = [
        ("Byte", "77", "straße & first.tif"),
        ("Float32", "", "second.tif"),
        ("UInt16", "65535", "third.tif"),
    ]
    with RasterSource(_vrt(tmp_path, bands, 8, 8)) as source:
        values, valid = source.read(source.window)
        assert source.dtypes == ("uint8", "float32", "uint16")
    expected = (first != 77) & np.isfinite(second) & (third.reshape(8, 8) != 65535)
    assert (valid == expected).all()
    assert (values[0][valid] == first[valid]).all()
    assert values[2].max() == 255


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_tells_validity(make_raster: MakeRaster, dtype: str) -> None:
    pixels = _bytes(4, 12, 12).astype(dtype)
    pixels[3] = np.iinfo(dtype).max
    pixels[3, :4] = 0
    with RasterSource(make_raster(pixels, colors=RGBA)) as source:
        _, valid = source.read(source.window)
        assert source.bands.all == (1, 2, 3)
        assert (valid == (pixels[3] > 0)).all()
        assert (source.read(source.window, (6, 6))[1] == (pixels[3, ::2, ::2] > 0)).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_alpha_that_gdal_takes_for_no_mask_tells_validity_too(make_raster: MakeRaster, dtype: str) -> None:
    pixels = _bytes(6, 12, 12).astype(dtype)
    pixels[5] = np.where(np.arange(12) < 5, 0, 1)
    colors = (*RGBA[:3], ColorInterp.undefined, ColorInterp.undefined, ColorInterp.alpha)
    with RasterSource(make_raster(pixels, colors=colors)) as source:
        _, valid = source.read(source.window)
        assert source.bands.all == (1, 2, 3, 4, 5)
        assert (valid == (pixels[5] > 0)).all()


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_rules_over_a_band_that_is_only_called_alpha(make_raster: MakeRaster, internal: bool) -> None:
    pixels, mask = _bytes(4, 12, 12), np.arange(144).reshape(12, 12) % 5 > 0
    pixels[3, 3] = 0  # water is black in near infrared
    with RasterSource(make_raster(pixels, colors=RGBA, mask=mask, internal=internal)) as source:
        values, valid = source.read(source.window)
        assert source.bands.all == (1, 2, 3, 4)
        assert (valid == mask).all()
        assert (values[3][valid] == pixels[3][valid]).all()


def test_alpha_that_is_asked_for_as_a_band_hides_nothing(make_raster: MakeRaster) -> None:
    pixels = _bytes(4, 12, 12)
    pixels[3, 3] = 0
    with RasterSource(make_raster(pixels, colors=RGBA), bands=(1, 2, 3, 4)) as source:
        values, valid = source.read(source.window)
        assert valid.all()
        assert (values == pixels).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_color_table(make_raster: MakeRaster, dtype: str) -> None:
    colormap = {0: (0, 0, 0, 255), 1: (10, 20, 30, 255), 200: (250, 0, 5, 255)}
    pixels = np.array([[0, 1], [200, 1]], dtype)
    with RasterSource(make_raster(pixels, colormap=colormap, photometric="palette", nodata=0)) as source:
        values, valid = source.read(source.window)
        assert valid.tolist() == [[False, True], [True, True]]
        assert values[:, 0, 1].tolist() == [10, 20, 30]
        assert values[:, 1, 0].tolist() == [250, 0, 5]
        assert (source.spectral_count, source.color_count) == (3, 3)
        assert source.composite(values).shape == (3, 2, 2)
        assert source.read(source.window, (1, 1))[0].shape == (3, 1, 1)


def test_color_table_that_is_missing(make_raster: MakeRaster, tmp_path: Path) -> None:
    pixels = _bytes(8, 8)
    make_raster(pixels, "grey.tif")
    path = _vrt(tmp_path, [("Byte", "", "grey.tif")], 8, 8)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<Simple", "<ColorInterp>Palette</ColorInterp><Simple"), encoding="utf-8")
    with RasterSource(path) as source:
        assert (source.read(source.window)[0] == pixels).all()


def test_grey_and_repeated_bands(make_raster: MakeRaster) -> None:
    with RasterSource(make_raster(_bytes(2, 5, 6))) as source:
        values, _ = source.read(source.window)
        assert values.shape == (2, 5, 6)
        assert (source.composite(values) == values[[0, 0, 0]]).all()
        assert (source.spectral_count, source.color_count) == (2, 1)
    with RasterSource(make_raster(_bytes(5, 5, 6)), bands=(4, 3, 2, 1)) as source:
        values, _ = source.read(source.window)
        assert (source.composite(values) == values[:3]).all()


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1)])
def test_slim_rasters(make_raster: MakeRaster, shape: tuple[int, int]) -> None:
    with RasterSource(make_raster(_RANDOM.random((1, *shape)))) as source:
        values, valid = source.read(source.window)
        assert values.shape == (1, *shape)
        assert valid.all()
        coarse, _ = source.read(source.window, (1, 1))
        assert np.isfinite(coarse).all()


def test_averages_leave_invalid_pixels_out_but_lose_no_valid_one(make_raster: MakeRaster) -> None:
    pixels = np.full((1, 64, 64), -32768, np.int16)
    pixels[0, 5, 6], pixels[0, 40:, 40:] = 900, 100
    pixels[0, 63, 63] = 300
    with RasterSource(make_raster(pixels, nodata=-32768), stretch=Stretch((0.0,), (2550.0,))) as source:
        values, valid = source.read(source.window, (8, 8))
    expected = np.zeros((8, 8), bool)
    expected[0, 0] = expected[5:, 5:] = True
    assert (valid == expected).all()
    assert values[0, 0, 0] == pytest.approx(90)
    assert values[0, 6, 6] == pytest.approx(10)
    assert values[0, 7, 7] == pytest.approx(10.3)


# The stretch


def test_a_mostly_empty_large_raster(make_raster: MakeRaster) -> None:
    pixels = np.zeros((1, 1500, 1500), np.uint16)
    pixels[0, 130:160, 130:160] = np.arange(900).reshape(30, 30) + 500
    with RasterSource(make_raster(pixels, nodata=0, compress="deflate")) as source:
        assert 500 <= source.stretch.low[0] < 520
        assert 1380 < source.stretch.high[0] <= 1400


def test_windows_of_a_large_raster_stand_for_all_of_it(make_raster: MakeRaster) -> None:
    pixels = np.linspace(1000, 2000, 1400 * 1300).reshape(1, 1400, 1300).astype(np.uint16)
    with RasterSource(make_raster(pixels, compress="deflate")) as source:
        assert source.stretch.low[0] == pytest.approx(1010, abs=15)
        assert source.stretch.high[0] == pytest.approx(1990, abs=15)


def test_nothing_valid(make_raster: MakeRaster) -> None:
    with RasterSource(make_raster(np.full((3, 9, 9), np.nan, np.float32))) as source:
        values, valid = source.read(source.window)
        assert not valid.any()
        assert not values.any()


def test_a_stretch_for_other_bands_is_refused(make_raster: MakeRaster) -> None:
    with pytest.raises(RasterError, match=r"meant for 4 bands but 3 .*raster\.tif"):
        RasterSource(make_raster(_bytes(3, 5, 5)), stretch=Stretch.identity(4))


# Georeference


@pytest.mark.parametrize(
    ("crs", "transform", "size"),
    [
        ("EPSG:32633", NORTH_UP, 0.5),
        ("EPSG:32633", Affine(0.4, -0.3, 5e5, 0.3, 0.4, 5.4e6), 0.5),
        ("EPSG:4326", Affine(1e-5, 0, 11.0, 0, -1e-5, 60.0), 1.11 * math.sqrt(math.cos(math.radians(60)))),
        ("EPSG:3857", Affine(0.6, 0, 1_224_514, 0, -0.6, 8_399_738), 0.3),  # 60 degrees north
        ("EPSG:2263", Affine(1, 0, 980_000, 0, -1, 200_000), 0.3048),  # feet
        ("EPSG:32633", Affine(0.2, 0, 5e5, 0, -0.8, 5.4e6), 0.4),
        ('LOCAL_CS["a building",UNIT["metre",1]]', NORTH_UP, None),
        (None, NORTH_UP, None),
        ("EPSG:32633", Affine.identity(), None),
    ],
)
def test_pixel_size(make_raster: MakeRaster, crs: str | None, transform: Affine, size: float | None) -> None:
    with RasterSource(make_raster(_bytes(3, 4, 4), crs=crs, transform=transform)) as source:
        assert source.pixel_size == (None if size is None else pytest.approx(size, rel=0.01))
        assert (source.crs is None) == (crs is None or transform.is_identity)


def test_pixels_without_area(make_raster: MakeRaster) -> None:
    path = make_raster(_bytes(1, 4, 4), transform=Affine(1, 1, 0, 1, 1, 0))
    with pytest.raises(RasterError, match=r"raster\.tif have no area; mend"):
        RasterSource(path)


# What cannot be read


@pytest.mark.parametrize("name", ["missing.tif", "Ünï mit Leer #1?.tif", "folder.tif/x.tif"])
def test_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RasterError, match="does not exist; check the path") as caught:
        RasterSource(tmp_path / name)
    assert name in str(caught.value)


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="is a folder; choose a file"):
        RasterSource(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"II*\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n"])
def test_not_a_raster(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.tif"
    path.write_bytes(content)
    with pytest.raises(RasterError, match=r"text\.tif cannot be opened \(.*\); choose a file") as caught:
        RasterSource(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_cut_off(make_raster: MakeRaster, tmp_path: Path, share: float) -> None:
    whole = make_raster(_bytes(3, 300, 300), compress="deflate", blockysize=16).read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(RasterError, match=r"cut\.tif cannot be (read|opened) \(.*\); ") as caught:
        RasterSource(path).read(Window(0, 0, 300, 300))
    assert "\n" not in str(caught.value)


def test_mosaic_of_a_file_that_is_gone(tmp_path: Path) -> None:
    path = _vrt(tmp_path, [("Float32", "", "gone.tif")], 8, 8)
    with pytest.raises(RasterError, match=r"bands\.vrt cannot be read \(.*gone\.tif: No such file"):
        RasterSource(path)


def test_complex(make_raster: MakeRaster) -> None:
    for dtype in ("complex64", "complex128"):
        with pytest.raises(RasterError, match=r"raster\.tif has complex values; convert"):
            RasterSource(make_raster(np.ones((1, 4, 4), dtype)))


def test_subdatasets(tmp_path: Path) -> None:
    path = tmp_path / "two rasters.gpkg"
    pixels = _bytes(3, 300, 300)
    for table in ("first", "second"):
        options = {"RASTER_TABLE": table, "APPEND_SUBDATASET": "YES" if path.exists() else "NO"}
        shape = {"count": 3, "height": 300, "width": 300, "dtype": "uint8"}
        place = {"crs": "EPSG:32633", "transform": NORTH_UP}
        with rasterio.open(path, "w", driver="GPKG", **shape, **place, **options) as dst:
            dst.write(pixels)
    with pytest.raises(RasterError, match="holds no bands but 2 subdatasets; give the name") as caught:
        RasterSource(path)
    name = str(caught.value).partition("example ")[2].rstrip(".")
    with RasterSource(name) as source:  # a name that is no path
        assert source.read(Window(0, 0, 9, 9))[1].all()


@pytest.mark.parametrize("name", ["a b.tif", "Größe 50%.tif", "a#b?c.tif", "x:y.tif", "日本.tif"])
def test_names_of_files(make_raster: MakeRaster, name: str) -> None:
    with RasterSource(make_raster(_bytes(3, 4, 4), name)) as source:
        assert source.read(source.window)[1].all()
        assert source.path.endswith(name)


def test_threads_read_one_source(make_raster: MakeRaster) -> None:
    pixels, wrong = _bytes(3, 256, 256), []
    with RasterSource(
        make_raster(pixels, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    ) as source:

        def read(offset: int) -> None:
            for col in range(0, 200, 20):
                values, _ = source.read(Window(col, offset, 30, 30))
                if not (values == pixels[:, offset : offset + 30, col : col + 30]).all():
                    wrong.append((offset, col))

        threads = [threading.Thread(target=read, args=(row,)) for row in range(0, 200, 40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
