"""The hold-out: rasters or groups, never a divided polygon, never empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely import box

from backend.episodes.episode import IGNORE
from backend.errors import ProtolabelError
from backend.finetuning.hold_out import Division, choose, covered, divide, shown
from backend.finetuning.material import Material
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.reading import read_material
from backend.progress import CancelToken

from .conftest import SIZE, WritePair, colored, labeled, place, stripes, write
from .test_reading import write_polygons


def read(*data: LabeledRaster) -> Material:
    return read_material(FinetuneOptions(data), CancelToken())


def units_of(division: Division) -> tuple[set[int], set[int]]:
    """The units that are trained on, and those that are held out."""
    return tuple(  # type: ignore[return-value]
        {unit for scene in scenes for unit in np.unique(scene.units[scene.labels != IGNORE]).tolist()}
        for scenes in (division.training, division.held)
    )


def check(division: Division) -> None:
    """Nothing is on both sides, and both show two classes."""
    trained, held = units_of(division)
    assert trained and held and not trained & held
    assert any(len(shown(scene)) > 1 for scene in division.training)
    assert any(len(shown(scene)) > 1 for scene in division.held)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 500)),
    st.data(),
)
def test_choose(counts: np.ndarray, data: st.DataObject) -> None:
    forced = data.draw(arrays(np.bool_, len(counts)))
    mask = choose(counts, forced)
    assert mask[forced].all()
    assert (mask == choose(counts, forced)).all()
    # No single further unit would bring another class to both sides.
    for unit in np.flatnonzero(~mask):
        more = mask.copy()
        more[unit] = True
        assert covered(counts, more) <= covered(counts, mask)


def test_a_quarter_is_held_out_where_units_are_small() -> None:
    counts = np.random.default_rng(0).integers(50, 150, (80, 3))
    share = counts[choose(counts, np.zeros(80, bool))].sum(axis=0) / counts.sum(axis=0)
    assert np.abs(share - 0.25).max() < 0.03


def test_by_raster(write_pair: WritePair) -> None:
    division = divide(read(*labeled(*(write_pair(number) for number in range(4)))))
    assert division.kind == "raster"
    assert len({scene.raster for scene in division.held}) == 1 and len(division.training) == 3
    assert {scene.raster for scene in division.held} & {scene.raster for scene in division.training} == set()
    check(division)
    assert division.sentence.startswith("Held out: scene") and "25 %" in division.sentence


def test_rasters_that_share_a_polygon_stay_together(tmp_path: Path, write_pair: WritePair) -> None:
    several = [write_pair(number) for number in range(3)]
    write(several[1].raster, colored(stripes(), 5), place(0))  # another year of the first
    rows = [
        (number % 3, "", "support", box(40 * number, 30 * row, 40 * number + 25, 30 * row + 20))
        for number in range(3)
        for row in range(4)
    ]
    layers = [write_polygons(tmp_path / f"{n}.gpkg", rows, place(n)) for n in (0, 2)]
    data = [
        LabeledRaster(str(pair.raster), polygons=layer)
        for pair, layer in zip(several, (layers[0], layers[0], layers[1]), strict=True)
    ]
    division = divide(read(*data))
    assert division.kind == "raster"
    assert {scene.raster for scene in division.held} in ({2}, {0, 1})
    check(division)


def grid(
    count: int, uses: str = "support", side: int = 14, step: int = 32
) -> list[tuple[int, str, str, box]]:
    """Polygons of two classes in rows, far apart."""
    return [
        (number % 2 + 1, "", uses, box(x, y, x + side, y + side))
        for number, (x, y) in enumerate(
            [(step * col + 4, step * row + 4) for row in range(4) for col in range(4)][:count]
        )
    ]


def polygons(tmp_path: Path, write_pair: WritePair, rows: list) -> Material:
    layer = write_polygons(tmp_path / "p.gpkg", rows, place(0))
    return read(LabeledRaster(str(write_pair().raster), polygons=layer))


def test_by_groups_of_polygons(tmp_path: Path, write_pair: WritePair) -> None:
    material = polygons(tmp_path, write_pair, grid(16))
    division = divide(material)
    assert division.kind == "group" and "groups of neighbouring labels" not in units_of(division)
    check(division)
    share = sum((scene.labels != IGNORE).sum() for scene in division.held) / material.tally.pixels.sum()
    assert 0.1 < share < 0.45


def test_by_single_polygons_where_all_are_neighbours(tmp_path: Path, write_pair: WritePair) -> None:
    division = divide(polygons(tmp_path, write_pair, grid(16, side=30)))
    assert division.kind == "group" and "polygons or parts" in division.sentence
    check(division)


def test_parts_of_one_label_raster_with_a_band_between(write_pair: WritePair) -> None:
    labels = np.tile(stripes(), (4, 4))
    pair = write_pair(labels=labels, image=colored(labels))
    division = divide(read(*labeled(pair)))
    assert division.kind == "group"
    check(division)
    trained = np.argwhere(division.training[0].labels != IGNORE)
    held = np.argwhere(division.held[0].labels != IGNORE)
    nearest = min(
        np.abs(trained - point).max(axis=1).min() for point in held[:: max(1, len(held) // 200)].tolist()
    )
    assert nearest > 4 * 4  # cells of 4 pixels


def test_validation_polygons_are_the_hold_out(tmp_path: Path, write_pair: WritePair) -> None:
    rows = grid(12) + [(n, "", "validation", box(x, 104, x + 20, 124)) for n, x in ((1, 4), (2, 60))]
    material = polygons(tmp_path, write_pair, rows)
    division = divide(material)
    assert division.kind == "validation" and "2 polygons that are set aside" in division.sentence
    _, held = units_of(division)
    assert held == set(np.flatnonzero(material.units.validation).tolist())
    check(division)
    # They are never trained on, however few they are and whatever else is held out.
    division = divide(polygons(tmp_path, write_pair, [*grid(15), rows[-1]]), "group")
    check(division)
    assert not any((division.training[0].labels[104:124, 60:80] != IGNORE).ravel())


@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        ([(1, "one", "support", box(0, 0, 60, 60))], "auto", r"Only one class is labelled \(one\)"),
        (grid(2, side=20), "auto", "fewer than two classes would be (held out|left to train on)"),
        (grid(16, side=3), "auto", "fewer than two classes"),
        (grid(16), "raster", "No raster can be held out"),
    ],
)
def test_what_cannot_be_divided(
    tmp_path: Path, write_pair: WritePair, rows: list, kind: str, text: str
) -> None:
    with pytest.raises(ProtolabelError, match=text):
        divide(polygons(tmp_path, write_pair, rows), kind)  # type: ignore[arg-type]


def test_a_raster_is_not_held_out_for_one_class(write_pair: WritePair) -> None:
    one = write_pair(1, labels=np.zeros((SIZE, SIZE), np.uint8))
    big = np.tile(stripes(), (3, 3))
    division = divide(read(*labeled(write_pair(0, labels=big, image=colored(big)), one)))
    assert division.kind == "group"
    check(division)
