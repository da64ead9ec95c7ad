"""What the tool's constants are worth, by nested cross-validation over scenes that the encoder has not seen.

Usage: python tests/benchmarks/tune.py DATA --models 'runs/aerial-fold{fold}/last.safetensors'
           [--scenes scene03 ...] [--shots 1 5] [--seeds 0 1] [--temperature T] [--spectral S] [--out build/tune]

As in ablation.py, each scene is labelled by the encoder that has not seen it, with every setting of a grid around the
defaults: temperature and spectral weight, each parameter of DenseCRF, and the head. Then for each scene the setting
that is best on the mean of the *other* scenes is looked up, and its score on the scene itself is what counts: it says
what choosing on these scenes is worth on another one. Every score is kept in OUT, and what is there is not computed
again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from ablation import FitHead, keep, kept, weights_of
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scenes import Case, KeepingRunner, Score, Variant, cases, scene_pool, score
from train_folds import FOLDS

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.refine.densecrf import CrfParameters
from backend.refine.weights import ScoreWeights

CRF = {"spatial": (16.0, 36.0), "color": (6.0, 13.0), "compat": (4.0, 9.0), "iterations": (3, 10)}


def settings(usual: ScoreWeights) -> list[Variant]:
    """The grid; the first is the tool as it is."""
    auto, crf = FitHead("auto", usual), CrfParameters()
    grid = [Variant("default", auto, usual, crf)]
    for heat, pixels in itertools.product((0.7, 1.0, 1.4), (0.5, 1.0, 2.0)):
        if (heat, pixels) != (1.0, 1.0):
            weights = ScoreWeights(usual.temperature * heat, usual.spectral * pixels)
            name = f"temperature {weights.temperature:.3g}, spectral {weights.spectral:.2g}"
            grid.append(Variant(name, auto, weights, crf))
    for key, values in CRF.items():
        for value in values:
            grid.append(Variant(f"{key} {value:g}", auto, usual, replace(crf, **{key: value})))
    for head in ("prototype", "polygons", "ridge", "density"):
        grid.append(Variant(f"head {head}", FitHead(head, usual), usual, crf))
    return grid


def main() -> None:
    """Score what is missing, and print the grid and the nested cross-validation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", required=True)
    parser.add_argument("--scenes", nargs="+", default=[f"scene{number:02}" for number in range(13)])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--spectral", type=float)
    parser.add_argument("--out", type=Path, default=Path("build/tune"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    grid: list[Variant] = []
    table = []  # (scenes, shots, settings), the mean over seeds
    with scene_pool() as pool:
        for stem in options.scenes:
            fold = next(number for number, stems in FOLDS.items() if stem in stems)
            model = options.models.format(fold=fold)
            grid = settings(weights_of(options, model))
            folder = options.data / ("loveda" if stem.startswith("loveda") else "naip")
            found = {shots: [] for shots in options.shots}
            runner: KeepingRunner | None = None
            for case in cases(folder, stem, options.shots, options.seeds):
                missing = [variant for variant in grid if not kept(options.out, variant.name, case).exists()]
                if missing:
                    runner = runner or KeepingRunner(model)
                    for variant, result in zip(missing, score(case, runner, missing, pool), strict=True):
                        keep(options.out, variant.name, case, result)
                found[case.shots].append([mean_iou(options.out, variant, case) for variant in grid])
            table.append([np.mean(rows, axis=0) for rows in found.values()])
            print(stem, flush=True)
    print(report(np.array(table), [variant.name for variant in grid], options.shots))


def mean_iou(out: Path, variant: Variant, case: Case) -> float:
    """The kept score of a setting."""
    text = kept(out, variant.name, case).read_text(encoding="utf-8")
    return Score.from_json(text).summary["mIoU"]


def report(table: NDArray[np.float64], names: list[str], shots: list[int]) -> str:
    """The grid's means, and what is chosen without a scene and worth on it.

    Args:
        table: Mean IoU with shape (scenes, shots, settings); the first setting is the default.
        names: Of the settings.
        shots: Of the second axis.
    """
    heads = " | ".join(f"K = {shot}" for shot in shots)
    lines = [f"{len(table)} scenes.", "", f"| setting | {heads} |", "|---" * (len(shots) + 1) + "|"]
    for number, name in enumerate(names):
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in table.mean(axis=0)[:, number])} |")
    # Users do not tune by the number of their polygons: one setting serves all.
    both = table.mean(axis=1)
    picks = [int(np.delete(both, scene, axis=0).mean(axis=0).argmax()) for scene in range(len(both))]
    nested = np.mean([table[scene, :, pick] for scene, pick in enumerate(picks)], axis=0)
    lines.append(f"| **chosen on the other scenes** | {' | '.join(f'{value:.3f}' for value in nested)} |")
    chosen = ", ".join(f"{names[pick]} ({picks.count(pick)} times)" for pick in dict.fromkeys(picks))
    return "\n".join([*lines, "", f"Chosen: {chosen}."])


if __name__ == "__main__":
    main()
