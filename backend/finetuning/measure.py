"""How well an encoder labels the hold-out, by the head that the tool uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..dpcl.pooling import spread_to_features
from ..encoders.encoder import Encoder
from ..encoders.runner import EncoderRunner
from ..heads.prototype import PrototypeHead
from ..heads.support import SupportFeatures
from ..progress import RunControl
from ..rasters.support import ClassInfo
from .draws import HeldScene, HeldWindow, SupportDraw

_SAMPLE = 400  # pixels of a window for the calibration


@dataclass(frozen=True)
class HoldOutScore:
    """How a model labels the hold-out.

    Attributes:
        draws: Mean IoU by each draw of the supports: over the scenes, and in each over its classes; shape (D,).
        iou: Of each class, over draws and scenes, NaN where the hold-out has none of it; shape (C,).
        f1: As well.
    """

    draws: NDArray[np.float64]
    iou: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def miou(self) -> float:
        """Over the draws."""
        return float(self.draws.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation over the draws."""
        return float(self.draws.std(ddof=1)) if len(self.draws) > 1 else 0.0

    def to_json(self, iteration: int, classes: Sequence[ClassInfo]) -> dict[str, Any]:
        """As values for messages and the journal; ``classes`` in the order of the scores."""
        return {
            "iteration": iteration,
            "miou": round(self.miou, 5),
            "deviation": round(self.deviation, 5),
            "draws": [round(value, 5) for value in self.draws.tolist()],
            "classes": [
                {"id": info.id, "iou": _value(iou), "f1": _value(f1)}
                for info, iou, f1 in zip(classes, self.iou.tolist(), self.f1.tolist(), strict=True)
            ],
        }

    def to_exact(self) -> dict[str, list[float]]:
        """As numbers for a checkpoint, not rounded."""
        return {"draws": self.draws.tolist(), "iou": self.iou.tolist(), "f1": self.f1.tolist()}

    @classmethod
    def from_exact(cls, values: Mapping[str, Any]) -> HoldOutScore:
        """From those numbers."""
        return cls(*(np.array(values[name], np.float64) for name in ("draws", "iou", "f1")))


@dataclass(frozen=True)
class CalibrationSample:
    """Scores of pixels of one scene by one support, and the class that each shows.

    Attributes:
        scores: Of the prototype head, shape (N, classes).
        truth: Class indices, shape (N,).
    """

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]


class Measure:
    """Measures encoders on one hold-out, always by the same supports."""

    def __init__(
        self,
        scenes: Sequence[HeldScene],
        classes: int,
        device: torch.device,
        control: RunControl,
        threads: int,
    ) -> None:
        """Prepare.

        Args:
            scenes: The hold-out.
            classes: C of the material.
            device: Where the encoder runs.
            control: Looked at before every window, to wait or to stop.
            threads: On the CPU.
        """
        self._scenes, self._classes, self._device = scenes, classes, device
        self._control, self._threads = control, threads

    def score(self, encoder: Encoder) -> HoldOutScore:
        """Measure an encoder.

        Raises:
            Cancelled: When the run was asked to stop.
        """
        draws = len(self._scenes[0].draws)
        iou = np.full((draws, len(self._scenes), self._classes), np.nan)
        f1 = iou.copy()
        for scene, draw, labelled in self._labelled(encoder):
            held = self._scenes[scene]
            count = len(held.classes)
            matrix = np.zeros((count, count), np.int64)
            for truth, scores in labelled:
                counted = truth < count
                pairs = truth[counted] * count + scores.argmax(dim=0).cpu().numpy()[counted]
                matrix += np.bincount(pairs, minlength=count * count).reshape(count, count)
            hit, true, given = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
            place = np.array(held.classes) - 1
            iou[draw, scene, place] = np.where(true > 0, hit / np.maximum(true + given - hit, 1), np.nan)
            f1[draw, scene, place] = np.where(true > 0, 2 * hit / np.maximum(true + given, 1), np.nan)
        by_scene = _nanmean(iou, axis=2)
        return HoldOutScore(_nanmean(by_scene, axis=1), _nanmean(iou, axis=(0, 1)), _nanmean(f1, axis=(0, 1)))

    def sample(self, encoder: Encoder, seed: int) -> list[CalibrationSample]:
        """Scores of some pixels, for the calibration of a model."""
        rng = np.random.default_rng(seed)
        found = []
        for scene, _, labelled in self._labelled(encoder):
            count = len(self._scenes[scene].classes)
            for truth, scores in labelled:
                places = np.argwhere(truth < count)
                if len(places):
                    rows, cols = places[rng.integers(len(places), size=_SAMPLE)].T
                    own = scores[:, rows, cols].T.float().cpu().numpy()
                    found.append(CalibrationSample(own, truth[rows, cols]))
        return found

    def _labelled(
        self, encoder: Encoder
    ) -> Iterator[tuple[int, int, list[tuple[NDArray[np.int64], Tensor]]]]:
        """For each scene and draw, the truth and the scores (classes, height, width) of its windows."""
        runner = EncoderRunner(encoder, self._device, rough=True)
        for index, scene in enumerate(self._scenes):
            features = []
            for window in scene.windows:
                self._control.wait()
                features.append(runner.encode(window.image, self._threads))
            for number, draw in enumerate(scene.draws):
                self._control.wait()
                head = _head(features, scene, draw)
                yield (
                    index,
                    number,
                    [
                        (truth, _scores(head, feature, window))
                        for truth, feature, window in zip(draw.truth, features, scene.windows, strict=True)
                    ],
                )


@torch.inference_mode()
def _head(features: Sequence[Tensor], scene: HeldScene, draw: SupportDraw) -> PrototypeHead:
    """One prototype per class, the mean over its polygons, each pooled at the raster's resolution."""
    prototypes = []
    for polygon in draw.polygons:
        total, area = torch.zeros(features[0].shape[0]), 0.0
        for place, mask in polygon.items():
            feature = features[place]
            weights = spread_to_features(
                _padded(mask, scene.windows[place]).to(feature), (feature.shape[1], feature.shape[2])
            )
            total += torch.einsum("dhw,hw->d", feature, weights).cpu()
            area += float(mask.sum())
        prototypes.append((total / max(area, 1.0)).numpy())
    nothing = np.zeros((0, 0), np.float32)
    support = SupportFeatures(
        draw.labels, np.stack(prototypes), nothing, np.zeros(0, np.int64), len(scene.classes)
    )
    return PrototypeHead.per_class(support)


@torch.inference_mode()
def _scores(head: PrototypeHead, feature: Tensor, window: HeldWindow) -> Tensor:
    scores = head.scores(feature)
    size = [cells * window.cell for cells in feature.shape[1:]]
    full = F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0]
    height, width = window.labels.shape
    return full[:, :height, :width]


def _padded(mask: NDArray[np.bool_], window: HeldWindow) -> Tensor:
    """The mask on all pixels of the window's cells."""
    height, width = (-(-size // window.cell) * window.cell for size in mask.shape)
    padded = np.zeros((height, width), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return torch.from_numpy(padded)


def _nanmean(values: NDArray[np.float64], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """The mean of what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    sums = np.where(known, values, 0.0).sum(axis=axis)
    result: NDArray[np.float64] = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return result


def _value(number: float) -> float | None:
    return None if np.isnan(number) else round(number, 5)
