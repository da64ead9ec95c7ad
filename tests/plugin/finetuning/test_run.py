"""A run without a worker: what cannot be begun, what another QGIS is at, and the end of an earlier day's run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

RESULT = {
    "verdict": "better", "sentence": "Better.", "base": {"miou": 0.4}, "best": {"miou": 0.5}, "classes": [],
    "iterations": 5, "seconds": 9.0, "hold_out": "", "card": "# a\n",
}  # fmt: skip
DATA = {"data": ({"raster": "/a.tif", "labels": "/b.tif"},)}


@pytest.fixture
def folders(plugin_module):
    return plugin_module("plugin.finetuning.run_folder")


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.finetuning.run")


@pytest.fixture
def service(plugin_module, qgis_app, tmp_path):
    environ = {
        **os.environ,
        "PROTOLABEL_PYTHON": str(tmp_path / "none"),
        "PROTOLABEL_DATA": str(tmp_path / "data"),
    }
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    yield service
    service.close()


@pytest.fixture
def run(module, service):
    run = module.FineTuningRun(service)
    run.phases = []
    run.phaseChanged.connect(lambda: run.phases.append(run.phase))
    yield run
    run.close()


def test_without_a_backend_nothing_is_left(module, run, qtbot):
    run.start("aerial", "cpu", lambda folder: DATA)
    qtbot.waitUntil(lambda: not run.active)
    assert run.phases == [module.Phase.RUNNING, module.Phase.NONE]
    assert "PROTOLABEL_PYTHON" in run.reason and run.reason.endswith(".")
    assert run.left() == [] and run.folder is None


def test_material_that_is_missing_leaves_nothing(plugin_module, run, service):
    not_ready = plugin_module("plugin.request_fields").NotReadyError

    def fields(folder: Path):
        raise not_ready("Choose something.")

    with pytest.raises(not_ready, match=r"Choose something\."):
        run.start("aerial", "cpu", fields)
    assert run.left() == [] and not run.active
    assert not list((service.environments.root / "finetuning").iterdir())


def test_folder_that_cannot_be_written(plugin_module, run, service):
    not_ready = plugin_module("plugin.request_fields").NotReadyError
    service.environments.root.mkdir(parents=True)
    (service.environments.root / "finetuning").write_text("a file in its place")
    with pytest.raises(not_ready, match="cannot be written"):
        run.start("aerial", "cpu", lambda folder: DATA)


def test_end_of_an_earlier_day(module, folders, run, service):
    folder = folders.new_run_folder(service.environments.root, "aerial", "cpu")
    folder.keep_result(RESULT)
    run.open(run.left()[0])
    assert run.phase is module.Phase.DONE and run.comparison.after == 0.5
    assert run.left() == [], "it is taken"
    run.close()
    assert [left.base for left in run.left()] == ["aerial"], "it was not saved"
    run.discard()
    assert run.left() == [] and run.phase is module.Phase.NONE and not folder.path.exists()


def test_run_that_another_qgis_is_at(module, folders, run, service):
    folder = folders.new_run_folder(service.environments.root, "aerial", "cpu")
    lock = folder.lock()
    run.open(folder)
    assert run.phase is module.Phase.INTERRUPTED and run.reason == "Another QGIS is at this run."
    assert not run.active
    lock.unlock()


def test_end_that_is_damaged_can_be_gone_on_with(folders, service):
    folder = folders.new_run_folder(service.environments.root, "aerial", "cpu")
    folder.keep_result(RESULT)
    path = next(folder.path.glob("*result.json"))
    path.write_text(path.read_text()[:-5])
    assert folders.left_runs(service.environments.root) == [replace(folder, result=None)]
