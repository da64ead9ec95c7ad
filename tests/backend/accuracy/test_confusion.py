"""Agreement in a confusion matrix, against the libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)
from torchmetrics.functional.classification import multiclass_cohen_kappa, multiclass_jaccard_index

from backend.accuracy.confusion import Agreement


def test_agrees_with_the_libraries() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 3000)
    mapped = np.where(rng.random(3000) < 0.7, truth, rng.integers(0, 5, 3000))
    matrix = np.zeros((5, 5), np.int64)
    np.add.at(matrix, (mapped, truth), 1)
    found = Agreement.of(matrix)
    assert found.overall == pytest.approx(accuracy_score(truth, mapped))
    assert found.kappa == pytest.approx(cohen_kappa_score(truth, mapped))
    np.testing.assert_allclose(found.precision, precision_score(truth, mapped, average=None))
    np.testing.assert_allclose(found.recall, recall_score(truth, mapped, average=None))
    np.testing.assert_allclose(found.f1, f1_score(truth, mapped, average=None))
    np.testing.assert_allclose(found.iou, jaccard_score(truth, mapped, average=None))
    predicted, target = torch.from_numpy(mapped), torch.from_numpy(truth)
    assert found.mean_iou == pytest.approx(float(multiclass_jaccard_index(predicted, target, 5)), abs=1e-6)
    assert found.kappa == pytest.approx(float(multiclass_cohen_kappa(predicted, target, 5)), abs=1e-6)


def test_what_cannot_be_told_is_not_a_number() -> None:
    found = Agreement.of(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert math.isnan(found.precision[1]) and found.recall[1] == 0
    assert math.isnan(found.precision[2]) and math.isnan(found.recall[2]) and math.isnan(found.iou[2])
    assert found.mean_iou == pytest.approx((0.75 + 0) / 2)
    assert math.isnan(Agreement.of(np.zeros((2, 2), np.int64)).overall)
