"""How many points, of which classes, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from backend.accuracy import mapped
from backend.accuracy.sample_design import SampleDesign, allocate, expected_accuracies, sample_size
from backend.accuracy.sampling import draw_sample
from backend.errors import AssessmentError, Cancelled, OutputError
from backend.progress import CancelToken


def test_size_of_the_paper_s_example() -> None:
    """Olofsson et al. (2014), section 5.1.1: 641 points."""
    sizes = [200_000, 150_000, 3_200_000, 6_450_000]
    assert sample_size(sizes, [0.7, 0.6, 0.9, 0.95], 0.01) == 641


def test_size_is_at_most_all_pixels() -> None:
    assert sample_size([10, 5], [0.5, 0.5], 0.0001) == 15
    assert sample_size([10**9], [1.0], 0.01) == 1


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=12).filter(any),
    st.integers(1, 3000),
    st.integers(0, 100),
)
def test_allocation(sizes: list[int], count: int, minimum: int) -> None:
    shares = allocate(sizes, count, minimum)
    assert shares.sum() == min(count, sum(sizes))
    assert (shares >= 0).all() and (shares <= sizes).all()
    there = [size for size in sizes if size]
    least = min(minimum, min(count, sum(sizes)) // len(there))
    assert all(share >= min(size, least) for size, share in zip(sizes, shares.tolist(), strict=True))
    # What is larger than another stratum never gets fewer points.
    order = np.argsort(sizes, kind="stable")
    assert (np.diff(shares[order]) >= -1).all()


def test_allocation_is_in_proportion_above_the_minimum() -> None:
    assert allocate([600, 300, 100], 100, 0).tolist() == [60, 30, 10]
    assert allocate([6000, 3000, 10], 100, 25).tolist() == [60, 30, 10]  # no more than there are
    assert allocate([9000, 900, 100], 200, 25).tolist() == [150, 25, 25]


def test_expected_accuracies() -> None:
    assert expected_accuracies([{"id": 3, "accuracy": 1}, {"id": 4, "accuracy": 0.5}]) == {3: 1.0, 4: 0.5}
    for wrong in (
        {"id": "3", "accuracy": 0.5},
        {"id": 3, "accuracy": 5},
        {"id": 3},
        {"id": True, "accuracy": 0},
    ):
        with pytest.raises(AssessmentError, match="share between 0 and 1"):
            expected_accuracies([wrong])


def read(path: Path) -> tuple[dict[str, object], dict[str, np.ndarray], np.ndarray]:
    meta, _, wkb, values = pyogrio.raw.read(path)
    return (
        meta,
        dict(zip(meta["fields"], values, strict=True)),
        shapely.get_coordinates(shapely.from_wkb(wkb)),
    )


class TestDrawing:
    def test_points_are_pixel_centres_of_their_class(self, make_map, thirds, tmp_path) -> None:
        labels = make_map(thirds)
        strata = draw_sample(labels, tmp_path / "points.gpkg", SampleDesign(count=90, minimum=5))
        assert [(s.style.name, s.pixels, s.points) for s in strata] == [
            ("forest", 780, 30), ("water", 780, 30), ("field", 780, 30),
        ]  # fmt: skip
        meta, fields, xy = read(tmp_path / "points.gpkg")
        assert meta["crs"] == "EPSG:32633" and meta["geometry_type"] == "Point"
        assert list(fields) == [
            "point_id", "map_class", "map_name", "stratum_pixels", "class_id", "class_name", "skipped",
        ]  # fmt: skip
        assert fields["point_id"].tolist() == list(range(1, 91))
        assert np.isnan(fields["class_id"].astype(float)).all() and set(fields["class_name"]) == {None}
        assert set(fields["skipped"].tolist()) == {0} and set(fields["stratum_pixels"].tolist()) == {780}
        with rasterio.open(labels) as src:
            assert [int(v[0]) for v in src.sample(xy)] == fields["map_class"].tolist()
            cols, rows = ~src.transform @ xy.T
        np.testing.assert_allclose(cols % 1, 0.5, atol=1e-6)
        np.testing.assert_allclose(rows % 1, 0.5, atol=1e-6)
        assert (
            len({(a, b) for a, b in zip(rows.round(1), cols.round(1), strict=True)}) == 90
        )  # no pixel twice
        # In random order, so that the first ones are a sample, too.
        assert len(set(fields["map_class"][:20].tolist())) == 3

    def test_every_pixel_has_the_same_chance(self, make_map, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(mapped, "_BLOCK", 4)  # several windows
        labels = make_map(np.repeat(np.array([[1, 2]], np.uint8), 6, axis=0).repeat(3, axis=1))
        seen = np.zeros((6, 6))
        for seed in range(250):
            draw_sample(labels, tmp_path / "p.gpkg", SampleDesign(count=6, minimum=3, seed=seed))
            _, _, xy = read(tmp_path / "p.gpkg")
            cols, rows = ((xy - [500_000, 5_400_000]) / [10, -10]).astype(int).T
            seen[rows, cols] += 1
        assert seen.sum() == 1500
        assert chisquare(seen[:, :3].ravel()).pvalue > 0.001
        assert chisquare(seen[:, 3:].ravel()).pvalue > 0.001

    def test_a_seed_draws_the_same_points(self, make_map, thirds, tmp_path) -> None:
        labels = make_map(thirds)
        places = []
        for name, seed in (("a", 7), ("b", 7), ("c", 8)):
            draw_sample(labels, tmp_path / f"{name}.gpkg", SampleDesign(count=40, seed=seed))
            places.append(read(tmp_path / f"{name}.gpkg")[2])
        assert (places[0] == places[1]).all() and (places[0] != places[2]).any()

    def test_none_lies_under_support_or_without_a_label(
        self, make_map, make_vector, thirds, tmp_path
    ) -> None:
        left = shapely.box(0, 0, 15, 40)
        support = make_vector(
            [left, shapely.box(40, 0, 60, 40)], {"class_id": [1, 2], "use": ["support", "validation"]}
        )
        strata = draw_sample(make_map(thirds), tmp_path / "p.gpkg", SampleDesign(count=300), support)
        assert [s.pixels for s in strata] == [5 * 39, 780, 780]
        _, _, xy = read(tmp_path / "p.gpkg")
        assert (xy[:, 0] > 500_150).all() and (xy[:, 1] < 5_399_990).all()

    def test_a_plan_writes_nothing(self, make_map, thirds, tmp_path) -> None:
        labels = make_map(thirds)
        before = sorted(tmp_path.iterdir())
        strata = draw_sample(labels, None, SampleDesign(standard_error=0.05))
        assert sum(s.points for s in strata) == sample_size([780] * 3, [0.8] * 3, 0.05)
        assert sorted(tmp_path.iterdir()) == before

    def test_a_map_without_georeference_is_met_where_qgis_shows_it(self, make_map, thirds, tmp_path) -> None:
        labels = make_map(thirds, crs=None, transform=rasterio.Affine.identity())
        draw_sample(labels, tmp_path / "p.gpkg", SampleDesign(count=30))
        _, _, xy = read(tmp_path / "p.gpkg")
        assert (xy[:, 1] < 0).all() and (xy[:, 1] > -40).all()


class TestFaults:
    def test_labelled_points_are_not_overwritten(self, make_map, make_vector, thirds, tmp_path) -> None:
        points = tmp_path / "points.gpkg"
        labels = make_map(thirds)
        draw_sample(labels, points, SampleDesign(count=10))
        draw_sample(labels, points, SampleDesign(count=12))  # nobody has worked on them
        make_vector([shapely.Point(1, 1), shapely.Point(2, 2)], {"class_id": [2, None]}, name="points.gpkg")
        renamed = points.read_bytes()
        with pytest.raises(OutputError, match="holds 1 points that are labelled already"):
            draw_sample(labels, points, SampleDesign(count=10))
        assert points.read_bytes() == renamed

    @pytest.mark.parametrize(
        ("design", "says"),
        [
            (SampleDesign(standard_error=0), "between 0 and 1"),
            (SampleDesign(expected={1: 2.0}), "between 0 and 1"),
        ],
    )
    def test_designs_that_cannot_be(self, design, says, make_map, thirds) -> None:
        with pytest.raises(AssessmentError, match=says):
            draw_sample(make_map(thirds), None, design)

    def test_all_under_support(self, make_map, make_vector, thirds) -> None:
        support = make_vector([shapely.box(0, 0, 60, 40)], {"class_id": [1]})
        with pytest.raises(AssessmentError, match="no labelled pixel outside of the support"):
            draw_sample(make_map(thirds), None, support=support)

    def test_wrong_outputs(self, make_map, thirds, tmp_path) -> None:
        labels = make_map(thirds)
        with pytest.raises(OutputError, match=r"use \.gpkg"):
            draw_sample(labels, tmp_path / "points.shp")
        with pytest.raises(OutputError, match="does not exist"):
            draw_sample(labels, tmp_path / "gone" / "points.gpkg")

    def test_cancelled(self, make_map, thirds, tmp_path) -> None:
        cancel = CancelToken()
        cancel.cancel()
        with pytest.raises(Cancelled):
            draw_sample(make_map(thirds), tmp_path / "p.gpkg", cancel=cancel)
        assert not (tmp_path / "p.gpkg").exists()
