"""Support polygons that lie on other rasters than the one to be labelled."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from shapely import box

from backend.errors import OutputError, ProtolabelError, RasterError, SupportError
from backend.gathering import gather_support, open_rasters
from backend.labeling import LabelOptions, label_raster
from backend.progress import Progress
from backend.rasters.stretch import Stretch

GREEN, BLUE = (3, "green"), (7, "blue")
HERE, THERE = (
    Affine(0.6, 0, 400_000, 0, -0.6, 4_300_000),
    Affine(0.6, 0, 500_000, 0, -0.6, 4_300_000),
)
BOTH = [(*GREEN, box(10, 20, 50, 70)), (*BLUE, box(100, 30, 150, 90))]


@pytest.fixture
def options(random_model: Path) -> LabelOptions:
    return LabelOptions(model=str(random_model), device="cpu", tile=384, scale=2.0)


def read(path: Path) -> NDArray[np.generic]:
    with rasterio.open(path) as src:
        return src.read(1)


def halves(shape: tuple[int, int] = (120, 160)) -> NDArray[np.int64]:
    """Green (3) on the left, blue (7) on the right."""
    return np.where(np.arange(shape[1]) < shape[1] // 2, 3, 7)[None].repeat(shape[0], 0)


class TestLabels:
    def test_a_second_raster_gets_the_prototypes_of_the_first(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        """It shows the halves swapped, far away and with pixels of half the size."""
        first = make_raster(two_halves, "first.tif", transform=THERE)
        fine = two_halves[:, :, ::-1].repeat(2, 1).repeat(2, 2)
        second = make_raster(fine, "second.tif", transform=Affine(0.3, 0, 4e5, 0, -0.3, 4.3e6))
        support = make_support(BOTH, transform=THERE)
        states: list[Progress] = []
        told: list[str] = []
        chosen = dataclasses.replace(options, support_rasters=(str(first), str(first)), scale=1.0)
        result = label_raster(second, support, tmp_path / "out.tif", chosen, states.append, say=told.append)
        labels = read(tmp_path / "out.tif")
        assert (labels == halves(labels.shape)[:, ::-1]).mean() > 0.97
        assert [info.name for info in result.classes] == ["green", "blue"]
        with rasterio.open(tmp_path / "out.tif") as src:
            assert json.loads(src.tags()["PROTOLABEL_SUPPORT_RASTERS"]) == ["first.tif", "first.tif"]
        assert any("2 support polygons lie on" in text and "first.tif" in text for text in told)
        assert not any("outside" in text for text in told)
        done = [state.done for state in states]
        assert done == sorted(done)
        assert done[-1] == states[-1].total

    def test_classes_of_all_rasters_are_put_together(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        """Green is drawn on one raster alone, blue on the other one, which is to be labelled."""
        first, second = (
            make_raster(two_halves, "a.tif", transform=THERE),
            make_raster(two_halves, "b.tif", transform=HERE),
        )
        shift = box(
            100 + 100_000 / 0.6, 30, 150 + 100_000 / 0.6, 90
        )  # blue on the far raster, in pixels of the near
        rows = [(*GREEN, box(10, 20, 50, 70)), (*BLUE, shift)]
        chosen = dataclasses.replace(options, support_rasters=(str(first),))
        label_raster(second, make_support(rows, transform=HERE), tmp_path / "out.tif", chosen)
        assert (read(tmp_path / "out.tif") == halves()).mean() > 0.97

    def test_naming_the_raster_itself_changes_no_label(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        raster, support = make_raster(two_halves), make_support(BOTH)
        label_raster(raster, support, tmp_path / "alone.tif", options)
        chosen = dataclasses.replace(options, support_rasters=(str(raster),))
        label_raster(raster, support, tmp_path / "named.tif", chosen)
        assert (read(tmp_path / "alone.tif") == read(tmp_path / "named.tif")).all()

    def test_scale_is_chosen_by_the_size_on_the_ground(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        """Polygons of 4 m are 4 pixels of 1 m wide, but 40 pixels of 0.1 m: they need no finer scale there."""
        coarse = Affine(1, 0, 5e5, 0, -1, 4.3e6)
        first = make_raster(two_halves, "first.tif", transform=coarse)
        fine = make_raster(two_halves, "fine.tif", transform=Affine(0.1, 0, 4e5, 0, -0.1, 4.3e6))
        rows = [(*GREEN, box(10, 20, 14, 24)), (*BLUE, box(100, 30, 104, 34))]
        chosen = dataclasses.replace(options, support_rasters=(str(first),), scale=None)
        result = label_raster(fine, make_support(rows, transform=coarse), tmp_path / "out.tif", chosen)
        assert result.scale.cell == 8


class TestStretch:
    def test_shared(self, make_raster) -> None:
        values = np.arange(3 * 40 * 50).reshape(3, 40, 50)
        first = make_raster((values + 500).astype(np.uint16), "first.tif", photometric="minisblack")
        second = make_raster((values * 2).astype(np.uint16), "second.tif", photometric="minisblack")
        third = make_raster(np.zeros((3, 40, 50), np.uint8), "third.tif")
        with ExitStack() as stack:
            source, others = open_rasters(second, [str(first)], None, None, stack)
            assert source.stretch == others[0].stretch
            assert source.stretch.low[0] > 500
            given = Stretch((0.0,) * 3, (9.0,) * 3)
            source, others = open_rasters(second, [str(first)], None, given, stack)
            assert source.stretch == others[0].stretch == given
            # Values of another data type have another meaning.
            source, others = open_rasters(third, [str(first)], None, None, stack)
            assert source.stretch == Stretch.identity(3) != others[0].stretch

    def test_given_one_is_used_and_recorded(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        raster, support = (
            make_raster(two_halves.astype(np.uint16) * 9, photometric="minisblack"),
            make_support(BOTH),
        )
        given = Stretch((10.0, 20.0, 30.0), (2000.0, 2100.0, 2200.0))
        label_raster(raster, support, tmp_path / "out.tif", dataclasses.replace(options, stretch=given))
        with rasterio.open(tmp_path / "out.tif") as src:
            tag = json.loads(src.tags()["PROTOLABEL_STRETCH"])
        assert tag == {"low": [10.0, 20.0, 30.0], "high": [2000.0, 2100.0, 2200.0]}
        wrong = dataclasses.replace(options, stretch=Stretch((0.0,), (1.0,)))
        with pytest.raises(RasterError, match="meant for 1 bands"):
            label_raster(raster, support, tmp_path / "wrong.tif", wrong)

    def test_parse(self) -> None:
        assert Stretch.parse("0:3000, 5:2.5e3") == Stretch((0.0, 5.0), (3000.0, 2500.0))
        for text in ("", "0", "0:1:2", "a:b", "3:3", "0:inf", "nan:1", "0:1,"):
            with pytest.raises(RasterError, match=r"for example 0:3000,0:2500\.$"):
                Stretch.parse(text)
        with pytest.raises(RasterError):
            Stretch.checked((1.0, 2.0), (3.0,))


class TestErrors:
    @pytest.fixture(autouse=True)
    def _inputs(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        self.first = make_raster(two_halves, "first.tif", transform=THERE)
        self.second = make_raster(two_halves, "second.tif", transform=HERE)
        self.support = make_support(BOTH, transform=THERE)
        self.options, self.output = options, tmp_path / "out.tif"

    def fails(
        self, kind: type[ProtolabelError], says: str, *rasters: Path, support: Path | None = None
    ) -> None:
        chosen = dataclasses.replace(self.options, support_rasters=tuple(map(str, rasters)))
        with pytest.raises(kind, match=says):
            label_raster(self.second, support or self.support, self.output, chosen)
        assert not list(self.output.parent.glob("*out*"))

    def test_missing_or_unreadable(self, tmp_path) -> None:
        self.fails(RasterError, r"gone\.tif does not exist", tmp_path / "gone.tif")
        (tmp_path / "noise.tif").write_text("noise")
        self.fails(RasterError, r"noise\.tif cannot be opened", self.first, tmp_path / "noise.tif")

    def test_other_bands(self, make_raster, two_halves) -> None:
        grey = make_raster(two_halves[:1], "grey.tif", transform=THERE)
        self.fails(RasterError, r"grey\.tif has no band 2; choose", grey)
        colors = {value: (value, 0, 0, 255) for value in range(256)}
        palette = make_raster(two_halves[:1], "palette.tif", transform=THERE, photometric="palette")
        with rasterio.open(palette, "r+") as dst:
            dst.write_colormap(1, colors)
        self.options = dataclasses.replace(self.options, bands=(1,))
        self.fails(RasterError, r"palette\.tif has other bands .*--bands", palette)

    def test_no_polygon_on_any(self, make_support) -> None:
        away = make_support(BOTH, transform=Affine(0.6, 0, 8e5, 0, -0.6, 4.3e6), name="away.gpkg")
        self.fails(SupportError, r"No polygon of .*away\.gpkg lies inside any of", self.first, support=away)

    def test_one_class(self, make_support) -> None:
        one = make_support(BOTH[:1], transform=THERE, name="one.gpkg")
        self.fails(SupportError, r"only one class inside .*\(green\)", self.first, support=one)

    def test_class_without_a_valid_pixel(self, make_raster, two_halves) -> None:
        mask = np.ones((120, 160), bool)
        mask[:, 80:] = False
        hidden = make_raster(two_halves, "hidden.tif", transform=THERE, mask=mask)
        self.fails(SupportError, r"class 'blue' covers a valid pixel of .*hidden\.tif", hidden)

    def test_support_raster_is_not_written_over(self) -> None:
        before = self.first.read_bytes()
        chosen = dataclasses.replace(self.options, support_rasters=(str(self.first),))
        with pytest.raises(OutputError, match="overwrite"):
            label_raster(self.second, self.support, self.first, chosen)
        assert self.first.read_bytes() == before


def test_polygons_of_every_raster_are_found(make_raster, make_support, two_halves) -> None:
    first = make_raster(two_halves, "first.tif", transform=THERE)
    second = make_raster(two_halves, "second.tif", transform=HERE)
    third = make_raster(two_halves, "third.tif", transform=Affine(0.6, 0, 6e5, 0, -0.6, 4.3e6))
    support = make_support(
        [*BOTH, (9, "far", box(100_000 / 0.6 + 5, 5, 100_000 / 0.6 + 40, 40))], transform=HERE
    )
    with ExitStack() as stack:
        source, others = open_rasters(second, [str(third), str(first)], None, None, stack)
        found = gather_support(support, source, others)
        assert [info.id for info in found.classes] == [3, 7, 9]
        assert found.own.labels == (0, 1)
        assert [(place.source.path, place.polygons.labels) for place in found.others] == [(str(first), (2,))]
