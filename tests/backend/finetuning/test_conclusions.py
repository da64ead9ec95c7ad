"""The verdict, the calibration, the warnings and the card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from shapely import box

from backend.encoders.checkpoint import load_checkpoint
from backend.finetuning.calibration import fit_temperature, weights_of
from backend.finetuning.card import TunedModel, compose_tuned_card, tuned_metadata
from backend.finetuning.hold_out import divide
from backend.finetuning.material import Material
from backend.finetuning.measure import CalibrationSample, HoldOutScore
from backend.finetuning.news import Measured
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.reading import read_material
from backend.finetuning.summary import summarize
from backend.finetuning.verdict import compare
from backend.progress import CancelToken
from backend.refine.weights import ScoreWeights

from .conftest import MakeOptions, Pair, WritePair, labeled, place
from .test_hold_out import grid
from .test_reading import write_polygons


def score(*draws: float) -> HoldOutScore:
    return HoldOutScore(np.array(draws), np.array([0.5, np.nan, 0.1]), np.array([0.6, np.nan, 0.2]))


@pytest.mark.parametrize(
    ("tuned", "verdict", "text"),
    [
        ((0.5, 0.52, 0.48), "better", "better on the hold-out"),
        ((0.41, 0.35, 0.46), "unclear", "may be chance"),
        ((0.402, 0.402, 0.402), "unclear", "may be chance"),
        ((0.3, 0.4, 0.45), "worse", "worse on the hold-out than the one it began from"),
    ],
)
def test_verdict(tuned: tuple[float, ...], verdict: str, text: str) -> None:
    found = compare(score(0.4, 0.4, 0.4), score(*tuned))
    assert found.verdict == verdict and text in found.sentence
    assert f"{np.mean(tuned):.3f} after, 0.400 before" in found.sentence


def test_draws_are_paired() -> None:
    """A gain in each draw is clear, however much the draws differ."""
    assert compare(score(0.2, 0.5, 0.8), score(0.23, 0.53, 0.84)).verdict == "better"


@pytest.mark.parametrize("temperature", [0.6, 2.5, 6.0])
def test_the_temperature_of_scores_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 4, (20_000, 3)).astype(np.float32)
    chances = softmax(scores / temperature, axis=1).cumsum(axis=1)
    truth = (rng.random((len(scores), 1)) > chances).sum(axis=1)
    assert fit_temperature([CalibrationSample(scores, truth)]) == pytest.approx(temperature, rel=0.08)


def test_a_calibrated_base_keeps_its_weights() -> None:
    def never() -> list[CalibrationSample]:
        raise AssertionError("not needed")

    base = {"temperature": "1.25", "spectral_weight": "0.24"}
    assert weights_of(base, never) == ScoreWeights(1.25, 0.24)
    found = weights_of({}, lambda: [CalibrationSample(np.eye(3, dtype=np.float32) * 5, np.arange(3))])
    assert found.temperature < 1 and found.spectral == ScoreWeights().spectral


def read(*data: LabeledRaster) -> Material:
    return read_material(FinetuneOptions(data), CancelToken())


def test_what_is_found_and_warned_of(tmp_path: Path, write_pair: WritePair) -> None:
    rows = [*grid(8), (9, "pond", "support", box(100, 100, 104, 104))]
    layer = write_polygons(tmp_path / "p.gpkg", rows, place(0))
    material = read(LabeledRaster(str(write_pair().raster), polygons=layer))
    summary = summarize(material, divide(material))
    (raster,) = summary.rasters
    assert [(one.id, one.pixels, one.polygons) for one in raster.classes] == [
        (1, 784, 4),
        (2, 784, 4),
        (9, 16, 1),
    ]
    assert summary.classes == raster.classes and not raster.held_out and summary.problem is None
    text = " ".join(summary.warnings)
    assert "little to learn from of class 1 (4 polygons), class 2 (4 polygons) and pond (1 polygons)" in text
    assert "Too little of pond is held out, so it is not measured" in text
    assert "Too little of pond is trained on, so it is not learnt" in text
    assert "unbalanced" not in text


def test_unbalanced_classes(write_pair: WritePair) -> None:
    labels = np.zeros((128, 128), np.uint8)
    labels[::16, :8] = 1
    material = read(*labeled(write_pair(0, labels=labels)))
    text = " ".join(summarize(material, None, "no").warnings)
    assert "class 0 has 255 times as many labelled pixels as class 1" in text
    assert summarize(material, None, "no").problem == "no"


def test_a_raster_that_is_held_out_is_told(pairs: tuple[Pair, Pair]) -> None:
    material = read(*labeled(*pairs))
    summary = summarize(material, divide(material))
    assert sorted(raster.held_out for raster in summary.rasters) == [False, True]
    for raster in summary.rasters:
        assert all((one.held_out_pixels == one.pixels) == raster.held_out for one in raster.classes)


def test_the_card_tells_all_and_no_folder(make_options: MakeOptions, pairs: tuple[Pair, Pair]) -> None:
    options = make_options()
    material = read(*options.data)
    base = load_checkpoint(Path(str(options.base)))
    before, after = score(0.4, 0.4), score(0.5, 0.6)
    model = TunedModel(
        base, options, summarize(material, divide(material)), Measured(0, before), Measured(30, after),
        compare(before, after), material.classes, 90.0, ScoreWeights(1.5, 0.3),
    )  # fmt: skip
    card = compose_tuned_card("mine", model)
    assert card.startswith(
        "# mine\n\nFine-tuned from random on class 0, class 1, class 2 in pixels of 0.6 m, "
    )
    for text in (
        "Held out: scene",
        "| class 0 | 0.500 | 0.500 |",
        "| class 1 | - | - |",
        "scene0.tif",
        base.sha256,
    ):
        assert text in card
    metadata = tuned_metadata(model)
    assert metadata["temperature"] == "1.5" and metadata["spectral_weight"] == "0.3"
    assert json.loads(metadata["metrics"]) == {"hold-out/miou before": 0.4, "hold-out/miou after": 0.55}
    folder = str(pairs[0].raster.parent)
    assert folder not in card and all(folder not in value for value in metadata.values())
