"""What the worker tells of a run, and its journal."""

from __future__ import annotations

import json

import pytest

LOSSES = {"segmentation": 0.5, "alignment": 0.25, "class_specific": 0.1, "class_agnostic": 0.2, "total": 1.0}


def partial(iteration, losses=None, base=None, score=None):
    return {
        "stage": "training", "iteration": iteration, "iterations": 10, "seconds": 1.0, "seconds_left": 9.0,
        "speed": 1.5, "losses": losses, "base": base, "score": score, "best": score, "example": None,
        "journal": None,
    }  # fmt: skip


@pytest.fixture
def module(plugin_module, qgis_app):
    return plugin_module("plugin.finetuning.run_status")


@pytest.fixture
def curves(plugin_module):
    return plugin_module("plugin.finetuning.curves").Curves()


def test_status(module):
    status = module.read_status(partial(3, score={"iteration": 2, "miou": 0.5}, base={"miou": 0.4}))
    assert (status.base, status.best, status.best_iteration, status.example) == (0.4, 0.5, 2, None)


def test_each_measurement_is_plotted_once(module, curves):
    score = {"iteration": 2, "miou": 0.5}
    module.add_to_curves(curves, partial(1, LOSSES, {"iteration": 0, "miou": 0.4}))
    module.add_to_curves(curves, partial(2, LOSSES, {"iteration": 0, "miou": 0.4}, score))
    module.add_to_curves(curves, partial(3, None, {"iteration": 0, "miou": 0.4}, score))
    assert curves.untuned == 0.4
    assert curves.miou.points == [(2.0, 0.5)]
    assert set(curves.losses) == set(module.loss_titles().values())
    assert curves.losses["Segmentation"].points == [(1.0, 0.5), (2.0, 0.5)]


def test_journal_with_a_line_that_was_cut_off(module, tmp_path):
    lines = [
        {"iteration": 0, "seconds": 0.0, "score": {"iteration": 0, "miou": 0.4}},
        {"iteration": 5, "seconds": 1.0, "losses": LOSSES},
        {"iteration": 5, "seconds": 1.0, "score": {"iteration": 5, "miou": 0.6}},
        {"iteration": 6, "seconds": 1.0, "losses": {"total": 2.0, "of a newer version": 1.0}},
    ]
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n[1]\n{"iteration": 7, "los')
    curves = module.read_journal(path)
    assert curves.untuned == 0.4 and curves.miou.points == [(5.0, 0.6)]
    assert curves.losses["Total"].points == [(5.0, 1.0), (6.0, 2.0)]
    assert curves.losses["Alignment"].points == [(5.0, 0.25)]


def test_no_journal_yet(module, tmp_path):
    assert module.read_journal(tmp_path / "none.jsonl").best is None
