"""The draws of the hold-out, and scores against a plain reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from backend.encoders.checkpoint import load_checkpoint
from backend.errors import Cancelled, ProtolabelError
from backend.finetuning.draws import DRAWS, SHOTS, HeldScene, held_scenes
from backend.finetuning.hold_out import divide
from backend.finetuning.material import Material, Scene, Units
from backend.finetuning.measure import HoldOutScore, Measure
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.reading import read_material
from backend.progress import CancelToken, RunControl
from backend.rasters.support import ClassInfo

from .conftest import Pair, WritePair, labeled, place
from .test_hold_out import grid
from .test_reading import write_polygons


def read(*data: LabeledRaster) -> Material:
    return read_material(FinetuneOptions(data), CancelToken())


@pytest.fixture
def held(pairs: tuple[Pair, Pair]) -> tuple[HeldScene, ...]:
    material = read(*labeled(*pairs))
    return held_scenes(divide(material).held, material.units, seed=3)


def measure(scenes: tuple[HeldScene, ...], control: RunControl | None = None) -> Measure:
    return Measure(scenes, 3, torch.device("cpu"), control or RunControl(), 1)


def test_supports_are_the_same_each_time_and_are_not_labelled(pairs: tuple[Pair, Pair]) -> None:
    material = read(*labeled(*pairs))
    division = divide(material)
    (one,), (two,) = (held_scenes(division.held, material.units, seed=3) for _ in range(2))
    assert one.classes == (1, 2, 3) and len(one.draws) == DRAWS
    for a, b in zip(one.draws, two.draws, strict=True):
        assert all((x == y).all() for x, y in zip(a.truth, b.truth, strict=True))
        assert np.bincount(a.labels).tolist() == [SHOTS] * 3
        for label, polygon in zip(a.labels.tolist(), a.polygons, strict=True):
            for index, mask in polygon.items():
                assert (one.windows[index].labels[mask] == one.classes[label]).all()  # within its class
                assert (a.truth[index][mask] == 3).all()
    first, second = one.draws[0].truth[0], one.draws[1].truth[0]
    assert (first != second).any()


def test_of_polygons_half_are_support_as_a_whole(tmp_path: Path, write_pair: WritePair) -> None:
    layer = write_polygons(tmp_path / "p.gpkg", grid(16), place(0))
    material = read(LabeledRaster(str(write_pair().raster), polygons=layer))
    (scene,) = held_scenes(material.scenes, material.units, seed=0)
    for draw in scene.draws:
        assert np.bincount(draw.labels).tolist() == [4, 4]
        used = [(scene.windows[i].units * mask).max() for p in draw.polygons for i, mask in p.items()]
        left = np.unique(scene.windows[0].units[draw.truth[0] < 2])
        assert not set(used) & set(left.tolist()) and len(left) == 8


def test_rare_classes_are_among_the_windows(write_pair: WritePair) -> None:
    labels = np.zeros((2048, 1024), np.uint8)
    labels[1500:1520, 700:720] = 1
    scene = Scene(
        0,
        torch.zeros(3, 2048, 1024, dtype=torch.uint8),
        labels + np.uint8(1),
        np.ones(labels.shape, np.int32),
        4,
    )
    (found,) = held_scenes([scene], Units(np.zeros(2, bool), np.zeros(2, bool)), seed=0)
    assert len(found.windows) == 12 and found.classes == (1, 2)


def test_a_hold_out_that_is_empty() -> None:
    scene = Scene(
        0,
        torch.zeros(3, 64, 64, dtype=torch.uint8),
        np.ones((64, 64), np.uint8),
        np.ones((64, 64), np.int32),
        4,
    )
    with pytest.raises(ProtolabelError, match="The hold-out would be empty"):
        held_scenes([scene], Units(np.zeros(2, bool), np.zeros(2, bool)), seed=0)


def test_scores_are_those_of_a_plain_reference(held: tuple[HeldScene, ...], random_model: Path) -> None:
    encoder = load_checkpoint(random_model).encoder
    found = measure(held).score(encoder)
    (scene,) = held
    miou, ious, f1s = [], [], []
    for draw in scene.draws:
        with torch.inference_mode():
            features = [encoder(window.image[None])[0] for window in scene.windows]
            full = [
                F.interpolate(f[None], scale_factor=4, mode="bilinear", align_corners=False)[0]
                for f in features
            ]
            # Upsampled features are pooled and matched, as the papers' codes do.
            means = torch.zeros(3, full[0].shape[0])
            for label, polygon in zip(draw.labels.tolist(), draw.polygons, strict=True):
                pixels = torch.cat([full[i][:, torch.from_numpy(mask)] for i, mask in polygon.items()], dim=1)
                means[label] += pixels.mean(dim=1)
            labels = [
                F.interpolate(
                    torch.einsum("cd,dhw->chw", F.normalize(means), F.normalize(f, dim=0))[None],
                    scale_factor=4, mode="bilinear", align_corners=False,
                )[0].argmax(dim=0)
                for f in features
            ]  # fmt: skip
        given, true = (
            torch.cat([one.ravel() for one in labels]),
            np.concatenate([t.ravel() for t in draw.truth]),
        )
        counted = true < 3
        pair = given[counted], torch.from_numpy(true[counted])
        ious.append(multiclass_jaccard_index(*pair, 3, average=None).numpy())
        f1s.append(multiclass_f1_score(*pair, 3, average=None).numpy())
        miou.append(ious[-1].mean())
    assert found.draws == pytest.approx(miou, abs=0.01)  # in bfloat16 where that is faster
    assert found.iou == pytest.approx(np.mean(ious, axis=0), abs=0.01)
    assert found.f1 == pytest.approx(np.mean(f1s, axis=0), abs=0.01)
    assert found.miou > 0.6  # the classes have colours of their own


def test_a_class_that_the_hold_out_lacks_is_not_known(write_pair: WritePair, random_model: Path) -> None:
    labels = np.where(write_labels() == 2, 1, write_labels()).astype(np.uint8)
    material = read(*labeled(write_pair(0), write_pair(1, labels=labels)))
    scenes = held_scenes([scene for scene in material.scenes if scene.raster == 1], material.units, 0)
    score = measure(scenes).score(load_checkpoint(random_model).encoder)
    assert np.isnan(score.iou[2]) and not np.isnan(score.miou)
    values = score.to_json(4, [ClassInfo(n, "") for n in (5, 6, 7)])
    assert values["iteration"] == 4 and values["classes"][2] == {"id": 7, "iou": None, "f1": None}
    back = HoldOutScore.from_exact(score.to_exact())
    assert np.array_equal(back.iou, score.iou, equal_nan=True) and (back.draws == score.draws).all()


def write_labels() -> np.ndarray:
    from .conftest import stripes

    return stripes()


def test_it_can_be_stopped_in_the_middle(
    held: tuple[HeldScene, ...], random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = RunControl()
    meter = measure(held * 3, control)
    from backend.finetuning import measure as module

    encode, calls = module.EncoderRunner.encode, []

    def counted(*arguments: object, **options: object) -> torch.Tensor:
        calls.append(None)
        control.cancel()
        return encode(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module.EncoderRunner, "encode", counted)
    with pytest.raises(Cancelled):
        meter.score(load_checkpoint(random_model).encoder)
    assert len(calls) == 1
