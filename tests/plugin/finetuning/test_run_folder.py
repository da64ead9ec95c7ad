"""The folders of runs: what is left of earlier days, and that two QGIS do not take the same one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture
def module(plugin_module, qgis_app):
    return plugin_module("plugin.finetuning.run_folder")


def test_what_is_left_is_found_again(module, tmp_path):
    assert module.left_runs(tmp_path) == []
    run = module.new_run_folder(tmp_path, "aerial ü", "cuda:1")
    assert module.left_runs(tmp_path) == [run]
    run.keep_result({"verdict": "better"})
    (found,) = module.left_runs(tmp_path)
    assert found.result == {"verdict": "better"}
    assert (found.base, found.device, found.started) == ("aerial ü", "cuda:1", run.started)
    assert not list(run.path.glob("*.part"))
    found.remove()
    assert module.left_runs(tmp_path) == [] and not run.path.exists()


def test_the_newest_comes_first(module, tmp_path):
    runs = [module.new_run_folder(tmp_path, name, "cpu") for name in ("first", "second")]
    for number, run in enumerate(runs):
        about = json.loads((run.path / "qgis_about.json").read_text())
        about["started"] = f"2026-01-0{number + 1}T10:00:00"
        (run.path / "qgis_about.json").write_text(json.dumps(about))
        run.path.rename(run.path.with_name(f"2026010{number + 1}-100000-x"))
    assert [run.base for run in module.left_runs(tmp_path)] == ["second", "first"]


def test_a_run_that_is_going_on_is_not_offered(module, tmp_path):
    run = module.new_run_folder(tmp_path, "aerial", "cpu")
    lock = run.lock()
    assert lock is not None and run.lock() is None
    assert module.left_runs(tmp_path) == []
    lock.unlock()
    assert module.left_runs(tmp_path) == [run]


def test_a_lock_of_a_dead_process_does_not_count(module, tmp_path):
    run = module.new_run_folder(tmp_path, "aerial", "cpu")
    code = (
        "import os, sys\n"
        "from qgis.PyQt.QtCore import QLockFile\n"
        "lock = QLockFile(sys.argv[1])\n"
        "assert lock.tryLock(0)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path / "qgis.lock")], check=True)
    assert (run.path / "qgis.lock").exists()
    assert module.left_runs(tmp_path) == [run]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"started": "yesterday", "base": "a", "device": "cpu"}'])
def test_folders_that_are_not_ours_are_passed_over(module, tmp_path, text):
    folder = tmp_path / "finetuning" / "other"
    folder.mkdir(parents=True)
    assert module.left_runs(tmp_path) == []
    (folder / "qgis_about.json").write_text(text)
    assert module.left_runs(tmp_path) == []
