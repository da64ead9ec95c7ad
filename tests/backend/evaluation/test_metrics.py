"""Counts and metrics against a reference that follows PANet's description pixel by pixel, torchmetrics and sklearn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, jaccard_score
from torchmetrics.classification import MulticlassJaccardIndex

from backend.evaluation.counts import Counter, no_counts
from backend.evaluation.metrics import (
    binary_iou,
    class_f1,
    class_iou,
    kappa,
    mean_iou,
    overall_accuracy,
)
from backend.evaluation.summary import mean_over_folds, statistic, summarize

CLASSES = (6, 7, 8, 9, 10)


def random_images(seed, images=12, way=2, side=9):
    """Predictions, truths and classes of episodes; some truths lack a way, some the background."""
    rng = np.random.default_rng(seed)
    episodes = []
    for number in range(images):
        ways = tuple(int(c) for c in rng.choice(CLASSES, way, replace=False))
        truth = rng.integers(0, way + 1, (side, side))
        if number % 3 == 0:
            truth[truth == way] = 0
        if number % 4 == 0:
            truth[truth == 0] = 1
        truth[rng.random((side, side)) < 0.1] = 255
        episodes.append((rng.integers(0, way + 1, (side, side)), truth, ways))
    return episodes


def count(episodes):
    counter = Counter(CLASSES)
    for predicted, truth, ways in episodes:
        counter.add(torch.from_numpy(predicted)[None], torch.from_numpy(truth)[None].to(torch.uint8), ways)
    return counter.total()


def reference_iou(episodes, only_present):
    """Sums of hits, mistakes and misses per global label, image by image and pixel set by pixel set."""
    sums = np.zeros((3, len(CLASSES) + 1))
    for predicted, truth, ways in episodes:
        for local, class_id in enumerate([0, *ways]):
            label = 0 if local == 0 else CLASSES.index(class_id) + 1
            said = set(zip(*np.where((predicted == local) & (truth != 255)), strict=True))
            true = set(zip(*np.where(truth == local), strict=True))
            if true or not only_present:
                sums[:, label] += len(said & true), len(said - true), len(true - said)
    binary = np.stack([sums[:, 0], sums[:, 1:].sum(axis=1)], axis=1)
    with np.errstate(invalid="ignore"):
        return sums[0] / sums.sum(axis=0), np.mean(binary[0] / binary.sum(axis=0))


@pytest.mark.parametrize("way", [1, 2, 3])
@pytest.mark.parametrize("counting", ["present", "all"])
def test_iou_follows_the_protocol(way, counting):
    episodes = random_images(way, way=way)
    counts = count(episodes)
    classwise, binary = reference_iou(episodes, counting == "present")
    np.testing.assert_allclose(class_iou(counts, counting), classwise)
    assert mean_iou(counts, counting) == pytest.approx(np.nanmean(classwise[1:]))
    assert binary_iou(counts, counting) == pytest.approx(binary)


def test_false_positives_of_absent_classes_separate_the_two_countings():
    counts = count(random_images(0, way=3))
    assert mean_iou(counts, "present") > mean_iou(counts, "all")


def test_an_image_without_background_counts_no_false_background_for_panet():
    truth = np.ones((4, 4), int)
    predicted = truth.copy()
    predicted[0] = 0
    counts = count([(predicted, truth, (6,))])
    assert np.isnan(class_iou(counts, "present")[0])
    assert class_iou(counts, "all")[0] == 0
    assert class_iou(counts, "present")[1] == class_iou(counts, "all")[1] == 0.75


def test_metrics_of_all_pixels_agree_with_the_libraries():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 6, (40, 40))
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 6, truth.shape))
    truth[:3] = 255
    counts = count([(predicted, truth, CLASSES)])
    y, p = truth[3:].ravel(), predicted[3:].ravel()
    assert overall_accuracy(counts) == pytest.approx(accuracy_score(y, p))
    assert kappa(counts) == pytest.approx(cohen_kappa_score(y, p))
    np.testing.assert_allclose(class_f1(counts), f1_score(y, p, average=None))
    np.testing.assert_allclose(class_iou(counts, "all"), jaccard_score(y, p, average=None))
    metric = MulticlassJaccardIndex(6, average="none", ignore_index=255)
    expected = metric(torch.from_numpy(predicted), torch.from_numpy(truth))
    np.testing.assert_allclose(class_iou(counts, "all"), expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_counts_of_parts_add_up(seed, way):
    episodes = random_images(seed, images=5, way=way, side=5)
    whole, parts = count(episodes), count(episodes[:2]) + count(episodes[2:])
    np.testing.assert_array_equal(whole.confusion, parts.confusion)
    np.testing.assert_array_equal(whole.absent, parts.absent)
    assert whole.confusion.sum() == sum((truth != 255).sum() for _, truth, _ in episodes)


def test_classes_that_never_occurred_do_not_count_in_the_mean():
    truth = np.array([[1, 1], [0, 0]])
    counts = count([(truth, truth, (7,))])
    assert np.isnan(class_iou(counts, "present")[1])
    assert mean_iou(counts, "present") == 1


def test_nothing_counted_is_not_a_number():
    counts = no_counts(3)
    values = [mean_iou(counts, "all"), binary_iou(counts, "all"), overall_accuracy(counts), kappa(counts)]
    assert np.isnan(values).all()


def test_one_class_everywhere_has_no_kappa():
    truth = np.ones((3, 3), int)
    counts = count([(truth, truth, (6,))])
    assert overall_accuracy(counts) == 1
    assert np.isnan(kappa(counts))


def test_summary_has_mean_and_population_deviation_over_runs():
    runs = [count(random_images(seed)) for seed in range(3)]
    summary = summarize(runs, ["a", "b", "c", "d", "e"], "present")
    values = [100 * mean_iou(run, "present") for run in runs]
    assert summary["mIoU"].runs == pytest.approx(values)
    assert summary["mIoU"].mean == pytest.approx(np.mean(values))
    assert summary["mIoU"].std == pytest.approx(np.std(values))
    assert summary["F1 c"].runs[1] == pytest.approx(100 * class_f1(runs[1])[3])
    assert set(summary) >= {"binary IoU", "OA", "kappa", "IoU e"}


def test_mean_over_folds_is_taken_run_by_run():
    folds = [{"mIoU": statistic([40.0, 50.0])}, {"mIoU": statistic([60.0, 50.0])}]
    mean = mean_over_folds(folds, "mIoU")
    assert (mean.mean, mean.std, mean.runs) == (50, 0, (50, 50))
