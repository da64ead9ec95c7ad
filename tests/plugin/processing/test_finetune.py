"""``protolabel:finetune`` with the real worker."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(plugin_module, backend_python, tmp_path_factory):
    """A backend whose user has no models of their own."""
    data = tmp_path_factory.mktemp("data")
    environ = {
        **os.environ, "PROTOLABEL_PYTHON": backend_python, "PROTOLABEL_DATA": str(data / "plugin"),
        "XDG_DATA_HOME": str(data), "LOCALAPPDATA": str(data),
    }  # fmt: skip
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    service.own_models = data / "protolabel" / "models"
    yield service
    service.close()


@pytest.fixture
def parameters(scene, tmp_path):
    return {
        "RASTERS": [scene.raster],
        "LABELS": [str(Path(scene.raster).with_name("labels.tif"))],
        "BASE": scene.model,
        "NAME": "tuned ä",
        "KEEP_WORSE": True,
        "ITERATIONS": 2,
        "CROP": 96,
        "DEVICE": "cpu",
        "FOLDER": str(tmp_path / "run"),
    }


class Cancelling(QgsProcessingFeedback):
    """Cancels as soon as the worker tells of its first iteration."""

    def setProgressText(self, text):
        self.asked = time.monotonic()
        self.cancel()


def test_a_label_raster_tunes_a_model(parameters, run_algorithm, service):
    feedback = QgsProcessingFeedback()
    result = run_algorithm("protolabel:finetune", parameters, feedback)
    assert Path(result["MODEL"]) == service.own_models / "tuned ä.safetensors"
    assert Path(result["MODEL"]).is_file()
    assert result["VERDICT"] in ("better", "unclear", "worse")
    assert 0 <= result["IOU_BEFORE"] <= 1 and 0 <= result["IOU_AFTER"] <= 1
    log = feedback.textLog()
    assert "Held out:" in log and result["SENTENCE"] in log and "before," in log
    with pytest.raises(QgsProcessingException, match="Another model tuned ä"):
        run_algorithm("protolabel:finetune", {**parameters, "FOLDER": parameters["FOLDER"] + "2"})
    # The same folder goes on.
    more = {**parameters, "ITERATIONS": 3, "REPLACE": True}
    run_algorithm("protolabel:finetune", more)
    assert json.loads((Path(parameters["FOLDER"]) / "result.json").read_text())["iterations"] == 3


def test_polygons_tune_a_model(parameters, scene, run_algorithm):
    given = {**parameters, "LABELS": [], "POLYGONS": scene.support, "NAME": "", "ITERATIONS": 1}
    feedback = QgsProcessingFeedback()
    result = run_algorithm("protolabel:finetune", given, feedback)
    assert Path(result["MODEL"]) == Path(parameters["FOLDER"]) / "best.safetensors"
    assert "polygons" in feedback.textLog()


def test_cancel_takes_effect_and_can_be_resumed(parameters, run_algorithm):
    feedback = Cancelling()
    result = run_algorithm(
        "protolabel:finetune",
        {**parameters, "NAME": "stopped", "ITERATIONS": 10_000, "MINUTES": 100.0},
        feedback,
    )
    assert time.monotonic() - feedback.asked < 3.5
    assert result.get("MODEL") is None
    deadline = time.monotonic() + 20
    while not (Path(parameters["FOLDER"]) / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    result = run_algorithm("protolabel:finetune", {**parameters, "NAME": "resumed"})
    assert result["MODEL"].endswith("resumed.safetensors")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"LABELS": []}, "no labelled raster"),
        ({"RASTERS": 2}, "1 label rasters for 2 rasters"),
        ({"CROP": 100}, "multiple of 8"),
        ({"BASE": "nothing"}, "Unknown model 'nothing'"),
        ({"NAME": "a/b"}, "cannot be the name of a model"),
    ],
)
def test_what_cannot_serve(parameters, run_algorithm, change, text):
    if change.get("RASTERS"):
        change = {"RASTERS": parameters["RASTERS"] * 2}
    with pytest.raises(QgsProcessingException, match=text):
        run_algorithm("protolabel:finetune", {**parameters, "NAME": "other", **change})
