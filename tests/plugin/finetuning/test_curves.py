"""Curves: thinned, gone on with, with the best point."""

from __future__ import annotations

import pytest


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.finetuning.curves")


def test_many_points_are_averaged_in_order(module):
    curve = module.Curve()
    for iteration in range(1, 1001):
        curve.add(iteration, float(iteration % 2))
    thinned = curve.thinned(100)
    assert len(thinned) == 100
    assert [x for x, _ in thinned] == sorted(x for x, _ in thinned)
    assert {y for _, y in thinned} == {0.5}
    assert sum(x for x, _ in thinned) / 100 == pytest.approx(500.5)


def test_few_points_stay_as_they_are(module):
    curve = module.Curve()
    assert curve.thinned() == []
    curve.add(1, 2.0)
    curve.add(5, 3.0)
    assert curve.thinned() == [(1.0, 2.0), (5.0, 3.0)]


def test_a_resumed_run_takes_the_place_of_what_came_after_its_checkpoint(module):
    curve = module.Curve()
    for iteration in (1, 2, 3, 4):
        curve.add(iteration, 1.0)
    curve.add(3, 9.0)
    assert curve.points == [(1.0, 1.0), (2.0, 1.0), (3.0, 9.0)]


def test_best_is_the_first_of_the_highest(module):
    curves = module.Curves()
    assert curves.best is None and curves.last == 0.0
    for iteration, value in ((10, 0.4), (20, 0.6), (30, 0.6)):
        curves.miou.add(iteration, value)
    curves.add_loss("Total", 35, 1.0)
    assert curves.best == (20.0, 0.6) and curves.last == 35.0
