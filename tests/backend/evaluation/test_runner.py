"""The runner: what it counts, that it goes on where it stopped, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import ProtolabelError
from backend.evaluation.journal import Journal
from backend.evaluation.metrics import mean_iou
from backend.evaluation.protocols import EvaluationProtocol, ProtocolError, protocol
from backend.evaluation.runner import BLOCK, EvaluationError, evaluate
from backend.evaluation.segmenter import fitting

CLASSES = (1, 2, 3, 4, 5)
SHORT = EvaluationProtocol("panet", (1234, 1235), 120, "present")


def run(path, segment, episodes, protocol=SHORT, **options):
    return evaluate(segment, episodes, CLASSES, protocol, Journal(path, {}, 6), **options)


def assert_same(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one.confusion, other.confusion)
        np.testing.assert_array_equal(one.absent, other.absent)


def test_protocols_by_name():
    panet, hsnet = protocol("panet"), protocol("hsnet")
    assert (panet.seeds, panet.episodes, panet.counting) == ((1234, 1235, 1236, 1237, 1238), 1000, "present")
    assert (hsnet.seeds, hsnet.episodes, hsnet.counting) == ((0,), 1000, "all")
    assert protocol("patches").episodes is None
    with pytest.raises(ProtocolError, match="panet, hsnet, patches"):
        protocol("voc")


def test_protocols_can_be_shortened():
    short = protocol("panet").shortened(runs=2, episodes=30)
    assert (short.seeds, short.episodes) == ((1234, 1235), 30)
    assert protocol("hsnet").shortened(runs=3).seeds == (0, 1, 2)
    for options in ({"runs": 0}, {"episodes": 0}):
        with pytest.raises(ProtocolError, match="at least one"):
            protocol("panet").shortened(**options)


def test_every_pixel_that_counts_is_counted_once(tmp_path, color_episodes, nearest_color):
    counts = run(tmp_path / "j", fitting(nearest_color), color_episodes)
    for seed, found in zip(SHORT.seeds, counts, strict=True):
        episodes = color_episodes(seed)
        pixels = sum(int((episodes[i].query_labels != 255).sum()) for i in range(120))
        assert found.confusion.sum() == pixels
        assert 0.4 < mean_iou(found, "present") < 0.95, "better than chance, and with mistakes"
    assert not np.array_equal(counts[0].confusion, counts[1].confusion)


def test_the_result_does_not_depend_on_the_workers(tmp_path, color_episodes, nearest_color):
    alone = run(tmp_path / "a", fitting(nearest_color), color_episodes)
    assert_same(alone, run(tmp_path / "b", fitting(nearest_color), color_episodes, workers=2))


@pytest.mark.parametrize("stop", [1, BLOCK - 1, BLOCK, 130, 239])
def test_goes_on_where_it_was_interrupted(tmp_path, color_episodes, nearest_color, stop):
    whole = run(tmp_path / "whole", fitting(nearest_color), color_episodes)
    done = 0

    def interrupted(episode):
        nonlocal done
        if done == stop:
            raise KeyboardInterrupt
        done += 1
        return fitting(nearest_color)(episode)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "j", interrupted, color_episodes)
    again = []

    def counted(episode):
        again.append(episode)
        return fitting(nearest_color)(episode)

    states = []
    assert_same(whole, run(tmp_path / "j", counted, color_episodes, progress=lambda *s: states.append(s)))
    kept = stop // BLOCK * BLOCK if stop < 120 else 120 + (stop - 120) // BLOCK * BLOCK
    assert len(again) == 240 - kept
    assert states[0] == (kept, 240) and states[-1] == (240, 240)
    assert_same(whole, run(tmp_path / "j", lambda episode: pytest.fail("all is done"), color_episodes))
    assert (tmp_path / "j").read_bytes() == (tmp_path / "whole").read_bytes()


def test_survives_sigkill(tmp_path, color_episodes, nearest_color):
    code = f"""
        import importlib.util, time
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("fakes", {str(Path(__file__).with_name("conftest.py"))!r})
        fakes = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fakes)
        from backend.evaluation.journal import Journal
        from backend.evaluation.protocols import EvaluationProtocol
        from backend.evaluation.runner import evaluate
        from backend.evaluation.segmenter import fitting
        segment = fitting(fakes.NearestColor())
        def slow(episode):
            time.sleep(0.002)
            return segment(episode)
        evaluate(slow, fakes.ColorEpisodes, {CLASSES}, EvaluationProtocol("panet", (1234, 1235), 120, "present"),
                 Journal(Path({str(tmp_path / "j")!r}), {{}}, 6))
    """
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=root)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (tmp_path / "j").exists() and (tmp_path / "j").read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = Journal(tmp_path / "j", {}, 6).blocks
    assert 1 <= len(before) < 6
    expected = run(tmp_path / "whole", fitting(nearest_color), color_episodes)
    assert_same(expected, run(tmp_path / "j", fitting(nearest_color), color_episodes))


def test_fewer_episodes_than_the_protocol_asks_for(tmp_path, color_episodes, nearest_color):
    counts = run(
        tmp_path / "j",
        fitting(nearest_color),
        lambda seed: color_episodes(seed, length=7),
        EvaluationProtocol("patches", (1,), None, "all"),
    )
    assert counts[0].confusion.sum() > 0


def test_two_ways_of_which_one_is_absent(tmp_path, color_episodes, nearest_color):
    counts = run(tmp_path / "j", fitting(nearest_color), lambda seed: color_episodes(seed, way=2, noise=70.0))
    assert counts[0].absent[1:].sum() > 0
    assert mean_iou(counts[0], "present") > mean_iou(counts[0], "all")


def test_wrong_scores_are_told(tmp_path, color_episodes):
    with pytest.raises(EvaluationError, match="shape"):
        run(tmp_path / "a", lambda episode: torch.zeros(1, 3, 24, 24), color_episodes)
    with pytest.raises(EvaluationError, match="episode 0 of the run with seed 1234"):
        run(tmp_path / "b", lambda episode: torch.full((1, 2, 24, 24), torch.nan), color_episodes)
    with pytest.raises(EvaluationError, match="nothing to evaluate"):
        run(tmp_path / "c", None, lambda seed: color_episodes(seed, length=0))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_episode_that_cannot_be_drawn_is_told_in_one_sentence(
    tmp_path, color_episodes, nearest_color, workers
):
    class Broken(color_episodes):
        def __getitem__(self, index):
            if index == 60:
                raise ProtolabelError("The file 60.png is missing; complete the dataset.")
            return super().__getitem__(index)

    with pytest.raises(ProtolabelError, match=r"^The file 60.png is missing; complete the dataset.$"):
        run(tmp_path / "j", fitting(nearest_color), Broken, workers=workers)
    assert set(Journal(tmp_path / "j", {}, 6).blocks) == {(1234, 0)}  # what was counted before is kept
