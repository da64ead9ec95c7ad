"""What the plugin's requests become: options, and results for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely

from backend.encoders import catalogue
from backend.encoders.checksums import record_path
from backend.errors import ProtolabelError
from backend.messages import Accuracy, Error, Inspect, Label, Log, Progress, Result, SamplePoints, Vectorize
from backend.progress import CancelToken
from backend.rasters.class_styles import ClassStyle
from backend.rasters.stretch import Stretch
from backend.tasks.answer import TaskRunner
from backend.tasks.inspect import inspect
from backend.tasks.models import models
from backend.tasks.options import labeling_options


def request(**fields: object) -> Label:
    return Label(1, "a.tif", "s.gpkg", output="o.tif", **fields)  # type: ignore[arg-type]


def test_options_for_several_rasters_and_classes() -> None:
    options = labeling_options(
        request(
            support_rasters=["b.tif", "c.tif"],
            stretch=[[0, 1, 2], [10, 11, 12]],
            classes=[
                {"id": 4, "name": " See ", "color": "#0000Ff"},
                {"id": 2, "name": "b", "color": "#010203"},
            ],
        )
    )
    assert options.support_rasters == ("b.tif", "c.tif")
    assert options.stretch == Stretch((0.0, 1.0, 2.0), (10.0, 11.0, 12.0))
    assert options.classes == (ClassStyle(4, "See", (0, 0, 255)), ClassStyle(2, "b", (1, 2, 3)))
    plain = labeling_options(request())
    assert (plain.support_rasters, plain.stretch, plain.classes) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stretch": [[0, 1], [10]]}, "for each band"),
        ({"stretch": [[5], [5]]}, "a lower and a higher number"),
        ({"classes": [{"id": 1, "name": "a"}]}, "colour None for the class 1"),
        ({"classes": [{"name": "a", "color": "#000000"}]}, "class id None"),
        ({"classes": [{"id": True, "name": "a", "color": "#000000"}]}, "class id True"),
        ({"classes": [{"id": 1, "name": 5, "color": "#000000"}]}, "no name"),
        ({"classes": [{"id": 1, "name": "a", "color": "#000000"}] * 2}, "twice"),
    ],
)
def test_what_cannot_be_is_told(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ProtolabelError, match=says):
        labeling_options(request(**fields))


def test_models_have_cards_and_are_not_loaded_for_them(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_ROOT", tmp_path / "checkout" / "root")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setenv("PROTOLABEL_MODELS", str(tmp_path))
    first = Path(shutil.copy(random_model, tmp_path / "a.safetensors"))
    first.with_suffix(".md").write_text("# a\n\nWritten.\n", encoding="utf-8")
    shutil.copy(random_model, tmp_path / "b.safetensors")
    record_path(tmp_path / "b.safetensors").write_text("wrong", encoding="utf-8")
    (tmp_path / "c.safetensors").write_bytes(b"broken")
    found = models()["models"]
    assert [model["name"] for model in found] == ["a", "b", "c", "resnet50-imagenet", "vgg16-imagenet"]
    cards = [model["card"] for model in found]
    assert cards[0] == "# a\n\nWritten.\n"
    assert "random weights for tests" in cards[1]
    assert "is damaged" in cards[2]
    assert "ImageNet-1k" in cards[4]


def test_inspect_gives_numbers(make_raster) -> None:
    pixels = np.arange(4 * 30 * 40).reshape(4, 30, 40).astype(np.uint16)
    value = inspect(Inspect(1, str(make_raster(pixels, photometric="minisblack")), (4, 3, 2)))
    low, high = value["stretch"]
    assert len(low) == len(high) == 3
    assert all(0 <= a < b < 4800 for a, b in zip(low, high, strict=True))
    assert (value["bands"], value["band_count"], len(value["band_names"])) == ([4, 3, 2], 4, 4)
    assert value["stretch_text"].startswith(f"{low[0]:g} to")
    assert value["size"] == "40 x 30"
    assert json.loads(json.dumps(value)) == value


def test_large_rasters_are_looked_at_in_parts(make_raster) -> None:
    """The left third has no data."""
    pixels = np.full((1, 40, 9000), 50, np.uint8)
    pixels[:, :, :3000] = 0
    value = inspect(Inspect(1, str(make_raster(pixels, nodata=0))))
    assert value["valid"].startswith("67 %")


def test_errors_become_replies(tmp_path) -> None:
    runner = TaskRunner()
    reply = runner.answer(Vectorize(5, "gone.tif", str(tmp_path / "a.gpkg")), print, CancelToken())
    assert isinstance(reply, Error)
    assert (reply.id, reply.kind) == (5, "user")
    assert "gone.tif cannot be read" in reply.message
    assert not isinstance(reply, Result)
    assert not list(tmp_path.iterdir())


def test_points_are_drawn_and_a_map_is_assessed(make_raster, make_support, tmp_path) -> None:
    ids = np.repeat(np.array([1, 2], np.uint8), 50)[None, None].repeat(60, axis=1)
    labels = str(make_raster(ids, name="map.tif"))
    runner, sent = TaskRunner(), []
    request = {"labels": labels, "count": 20, "expected": ({"id": 1, "accuracy": 0.5},)}
    plan = runner.answer(SamplePoints(1, **request), sent.append, CancelToken())
    assert isinstance(plan, Result), plan
    assert plan.value["output"] is None and plan.value["points"] == 20
    assert [(item["id"], item["points"], item["share"]) for item in plan.value["strata"]] == [
        (1, 10, 0.5),
        (2, 10, 0.5),
    ]
    assert {item.stage for item in sent if isinstance(item, Progress)} == {"sampling"}
    wrong = runner.answer(SamplePoints(2, labels, expected=({"id": 1},)), sent.append, CancelToken())
    assert isinstance(wrong, Error) and wrong.kind == "user"

    support = str(make_support([(1, "a", shapely.box(5, 5, 60, 20)), (2, "b", shapely.box(70, 5, 80, 20))]))
    report = tmp_path / "report.html"
    sent.clear()
    found = runner.answer(
        Accuracy(3, labels, support, report=str(report), csv=str(tmp_path / "tables")),
        sent.append,
        CancelToken(),
    )
    assert isinstance(found, Result), found
    assert found.value["overall_accuracy"] == pytest.approx((45 + 10) / 65, abs=1e-6)
    assert found.value["report"] == str(report) and report.is_file()
    assert sorted(map(str, (tmp_path / "tables").iterdir())) == sorted(found.value["tables"])
    assert [item.text for item in sent if isinstance(item, Log)] == found.value["notes"]
    assert {item.stage for item in sent if isinstance(item, Progress)} == {"assessing"}
    named = Accuracy(6, labels, support, "gone", reference_name="My polygons")
    refused = runner.answer(named, sent.append, CancelToken())
    assert isinstance(refused, Error) and refused.message.startswith(
        "The reference My polygons has no field 'gone'"
    )
    report.unlink()
    named = Accuracy(7, labels, support, report=str(report), reference_name="My polygons")
    assert isinstance(runner.answer(named, sent.append, CancelToken()), Result)
    assert "My polygons" in report.read_text(encoding="utf-8") and support not in report.read_text(
        encoding="utf-8"
    )
    refused = runner.answer(Accuracy(4, labels, support, report=labels), sent.append, CancelToken())
    assert isinstance(refused, Error) and refused.kind == "user" and "use .html" in refused.message
    cancel = CancelToken()
    cancel.cancel()
    assert not isinstance(runner.answer(Accuracy(5, labels, support), sent.append, cancel), (Result, Error))
