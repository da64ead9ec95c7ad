"""What is due when, how long a run still takes, and what waiting costs: nothing."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from backend.finetuning import course as module
from backend.finetuning.course import Course, ahead
from backend.finetuning.measure import HoldOutScore
from backend.finetuning.news import TuningProgress, progress_values
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.trainer import Losses
from backend.progress import RunControl
from backend.rasters.support import ClassInfo

DATA = (LabeledRaster("a.tif", "b.tif"),)
LOSSES = Losses(1.0, 2.0, 3.0, 4.0, 5.0)


def score(miou: float) -> HoldOutScore:
    return HoldOutScore(np.full(5, miou), np.full(2, miou), np.array([miou, np.nan]))


def make(report: list[TuningProgress] | None = None, **options: object) -> Course:
    said = [] if report is None else report
    return Course(FinetuneOptions(DATA, **options), RunControl(), said.append)  # type: ignore[arg-type]


def test_iterations_end_it() -> None:
    course = make(iterations=2)
    assert course.ended is None and course.fraction == 0
    for _ in range(2):
        course.trained(LOSSES, 0.1)
    assert course.ended == "iterations" and course.fraction == 1


def test_time_ends_it_early_enough_for_the_last_measurement() -> None:
    course = make(minutes=1)
    course.took(score(0.5), seconds=20)
    course.load_state_dict({**course.state_dict(), "seconds": 39.0, "iteration": 7})
    assert course.ended is None and course.fraction == pytest.approx(39 / 40)
    course.load_state_dict({**course.state_dict(), "seconds": 41.0, "iteration": 8})
    assert course.ended == "time"


def test_no_better_for_a_while_ends_it() -> None:
    course = make(iterations=100, patience=2)
    assert not course.took(score(0.5), 1)  # the model without training
    for value, best in ((0.4, True), (0.6, True), (0.6, False)):
        course.trained(LOSSES, 0.1)
        assert course.took(score(value), 1) == best
        assert course.ended is None
    course.trained(LOSSES, 0.1)
    course.took(score(0.1), 1)
    assert course.ended == "early"
    assert course.best is not None and course.best.iteration == 2


def test_measurements_take_a_small_share() -> None:
    course = make(measure_every=10.0)
    course.took(score(0.5), seconds=30)
    for seconds, due in ((100, False), (205, False), (215, True)):
        course.load_state_dict({**course.state_dict(), "seconds": 0.0})
        course._seconds = float(seconds)
        assert course.measure_due() == due


def test_waiting_is_no_training() -> None:
    control = RunControl()
    course = Course(FinetuneOptions(DATA), control, lambda state: None)
    control.pause()
    threading.Timer(0.5, control.resume).start()
    with course.clock():
        time.sleep(0.2)
        control.wait()
        assert 0.15 < course.seconds < 0.45
    assert 0.15 < course.seconds < 0.45 and control.waited > 0.2


def test_reports_hold_means_and_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 1e9)
    said: list[TuningProgress] = []
    course = make(said, iterations=10)
    course.classes = (ClassInfo(3, "a"), ClassInfo(4, "b"))
    course.report("reading")
    course.took(score(0.25), 1)
    for total in (1.0, 3.0):
        course.trained(Losses(0, 0, 0, 0, total), 0.5)
        course.report("training", force=False)
    assert len(said) == 1
    course.report("training")
    values = progress_values(said[-1])
    assert values["losses"]["total"] == 2.0 and values["speed"] == 2.0
    assert values["base"]["classes"] == [
        {"id": 3, "iou": 0.25, "f1": 0.25},
        {"id": 4, "iou": 0.25, "f1": None},
    ]
    assert values["score"] is None and values["iterations"] == 10
    assert progress_values(said[0])["losses"] is None


def test_a_resumed_run_knows_what_it_knew() -> None:
    course = make(iterations=9)
    course.took(score(0.2), 3)
    course.trained(LOSSES, 1)
    course.took(score(0.4), 3)
    other = make(iterations=9)
    other.load_state_dict(course.state_dict())
    assert other.iteration == 1 and other.measured
    assert other.base is not None and other.base.score.miou == pytest.approx(0.2)
    assert other.best is not None and other.best.score.miou == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("options", "iterations", "seconds"),
    [
        ({"iterations": 100, "measure_every": 90.0}, 100, 100 * 2 * 100 / 90 + 10),
        ({"minutes": 10.0, "measure_every": 90.0}, round(590 * 0.9 / 2), 590 + 10),
        ({"minutes": 10.0, "iterations": 50, "measure_every": 90.0}, 50, 50 * 2 / 0.9 + 10),
    ],
)
def test_what_a_run_takes(options: dict[str, float], iterations: int, seconds: float) -> None:
    found = ahead(FinetuneOptions(DATA, **options), each=2.0, measuring=10.0)  # type: ignore[arg-type]
    assert found[0] == iterations and found[1] == pytest.approx(seconds, rel=0.01)
