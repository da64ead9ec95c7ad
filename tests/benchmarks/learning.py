"""Does training by episodes help on classes that were never trained on? DPCL, PANet and each loss alone, side by side.

Usage: python tests/benchmarks/learning.py WEIGHTS --camvid FOLDER --naip FOLDER [--seeds 0 1 2] [--iterations 200]
           [--size 128] [--out build/learning] [--threads N] [--validation]

CamVid in four folds of classes (trained on its training images, tested on its test images) and NAIP leaving one class
out (trained on the first nine scenes, tested on the others). With --validation, CamVid's validation images and NAIP's
scenes 06 to 08 stand for the test: whatever is to be chosen is chosen there. All arms have the same data, budget,
seeds and test episodes: 1 way, 1 shot, mIoU as PANet counts it. Classes that are held out are ignored in training
(--held-out), since nearly all of these images show nearly all classes. What the paper counts in iterations is scaled
to the budget: the milestones, the dictionary's size and its negatives, and the momentum; --paper-constants keeps them.
The numbers are kept in OUT/results.csv, and what is there is not trained again; the summary is written to
OUT/summary.md. Neither rasterio nor pydensecrf is needed.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodOptions
from backend.encoders.checkpoint import load_checkpoint
from backend.episodes.episode import Episode, EpisodeDataset
from backend.episodes.sampling import PanetSampler
from backend.evaluation.journal import Journal
from backend.evaluation.protocols import protocol
from backend.evaluation.runner import evaluate
from backend.evaluation.summary import Statistic, summarize
from backend.training.configuration import Experiment
from backend.training.data import open_images, training_classes
from backend.training.loop import train

ARMS: dict[str, dict[str, Any] | None] = {
    "untrained": None,
    "PANet": {"class_specific_weight": 0.0, "class_agnostic_weight": 0.0},
    "CSCL": {"class_agnostic_weight": 0.0},
    "CACL": {"class_specific_weight": 0.0},
    "DPCL": {},
    "DPCL, weights x 10": {"class_specific_weight": 0.2, "class_agnostic_weight": 0.15},
}
NAIP = {1: "building", 2: "road", 3: "bare land", 4: "forest", 5: "water"}
PAPER_ITERATIONS = 30_000
FIELDS = ("data", "held_out", "seed", "arm", "iterations", "miou", "binary_iou", "seen_miou", "seconds")


@dataclass(frozen=True)
class Task:
    """Classes that are held out."""

    data: str
    held_out: str
    training: dict[str, Any]
    testing: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--naip", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--validation", action="store_true", help="train and test on the training side only")
    parser.add_argument("--optimizer", choices=["sgd", "adamw"], default="sgd")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--freeze", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=150, help="test episodes of each fold")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--paper-constants", action="store_true")
    parser.add_argument("--method", nargs="*", default=[], metavar="KEY=VALUE", help="options of every arm")
    parser.add_argument("--held-out", choices=["background", "ignore"], default="ignore")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.csv"
    tasks = list(all_tasks(options))
    for seed, task, arm in itertools.product(options.seeds, tasks, options.arms):
        if key(task, seed, arm) in {tuple(row[name] for name in FIELDS[:4]) for row in read(results)}:
            continue
        started = time.perf_counter()
        scores = run(task, seed, arm, options)
        row = (*key(task, seed, arm), options.iterations, *(f"{score:.2f}" for score in scores))
        append(results, (*row, f"{time.perf_counter() - started:.0f}"))
        print(*row, flush=True)
    text = summary(read(results), options)
    (options.out / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def all_tasks(options: argparse.Namespace) -> Iterator[Task]:
    """Every fold of CamVid and every class of NAIP."""
    cache = {"cache": str(options.out / "cache")}
    if options.camvid:
        for fold in range(4):
            own = {"name": "camvid", "root": options.camvid, "fold": fold, "options": cache}
            test = "val" if options.validation else "test"
            yield Task("camvid", f"fold {fold + 1}", {**own, "split": "train"}, {**own, "split": test})
    if options.naip:
        for name in NAIP.values():
            own = {"patch": options.size, "classes": NAIP, "left_out": name, "min_pixels": 200, **cache}
            training, testing = ["scene0[0-8].tif"], ["scene09.tif", "scene1?.tif"]
            if options.validation:
                training, testing = ["scene0[0-5].tif"], ["scene0[6-8].tif"]
            first, others = {"images": training, **own}, {"images": testing, **own}
            place = {"name": "geotiff", "root": options.naip}
            yield Task("naip", name, {**place, "options": first}, {**place, "options": others})


def run(task: Task, seed: int, arm: str, options: argparse.Namespace) -> tuple[float, float, float]:
    """Train an arm; mIoU and binary IoU of the held-out classes and mIoU of the trained ones, in percent."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        weights = options.weights.resolve()
        if ARMS[arm] is not None:
            weights = train(experiment(task, seed, arm, Path(folder), options), progress=False)
        encoder = load_checkpoint(weights, (2, 3)).encoder.to(memory_format=torch.channels_last)
        method = DualPrototypicalContrast(encoder, MethodOptions.jiang()).to(device).eval()
        test = Experiment.model_validate(
            {"name": "test", "data": task.testing, "episodes": {"size": options.size}}
        )
        images = open_images(test)
        trained = training_classes(test, images)
        classes = tuple(i for i in range(1, len(images.classes) + 1) if i not in trained)

        def segment(episode: Episode) -> Tensor:
            # In single precision it takes three times as long on the CPU.
            with torch.autocast(device, torch.bfloat16, enabled="bf16" in options.precision):
                return method.segment(episode).float()

        def scores(classes: tuple[int, ...]) -> dict[str, Statistic]:
            plan = protocol("panet").shortened(1, options.episodes)

            def episodes_of(seed: int) -> EpisodeDataset:
                sampler = PanetSampler(images, classes)
                return EpisodeDataset(images, sampler, options.episodes, seed, options.size, "background")

            names = tuple(images.classes[i - 1] for i in classes)
            journal = Journal(Path(folder) / f"{classes}.jsonl", {}, len(classes) + 1)
            counts = evaluate(segment, episodes_of, classes, plan, journal, device, options.workers)
            return summarize(counts, names, plan.counting)

        found = scores(classes)
        return found["mIoU"].mean, found["binary IoU"].mean, scores(trained)["mIoU"].mean


def experiment(task: Task, seed: int, arm: str, folder: Path, options: argparse.Namespace) -> Experiment:
    """The training of an arm."""
    share = 1.0 if options.paper_constants else options.iterations / PAPER_ITERATIONS
    paper = MethodOptions()
    size = max(64, round(paper.dictionary_size * share))
    method = {
        "momentum": 1 - min(0.5, (1 - paper.momentum) / share),
        "dictionary_size": size,
        "dictionary_negatives": round(size * paper.dictionary_negatives / paper.dictionary_size),
        **dict(given.split("=", 1) for given in options.method),
        **(ARMS[arm] or {}),
    }
    return Experiment.model_validate(
        {
            "name": "run",
            "output": folder,
            "seed": seed,
            "data": task.training,
            "episodes": {"size": options.size, "held_out": options.held_out},
            "encoder": {
                "weights": options.weights.resolve(),
                "layers": (2, 3),
                "projection": 0,
                "freeze": options.freeze,
            },
            "method": method,
            "optimizer": {
                "kind": options.optimizer,
                "lr": options.lr,
                # Few iterations leave no time for milestones.
                "schedule": "cosine" if options.optimizer == "adamw" else "steps",
                "warmup": options.iterations // 10 if options.optimizer == "adamw" else 0,
                "milestones": (options.iterations // 3, 2 * options.iterations // 3),
            },
            "run": {
                "iterations": options.iterations,
                "batch": options.batch,
                "workers": options.workers,
                "precision": options.precision,
                "devices": 1,
                "save_every": options.iterations,
                "preview_every": 0,
            },
        }
    )


def key(task: Task, seed: int, arm: str) -> tuple[str, ...]:
    return (task.data, task.held_out, str(seed), arm)


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: Sequence[object]) -> None:
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(FIELDS)
        writer.writerow(row)


def summary(rows: Sequence[dict[str, str]], options: argparse.Namespace) -> str:
    """A table for each data set: what was held out, the mean over it, and how the trained classes do."""
    lines = [
        f"mIoU in percent, mean ± standard deviation over seeds (their number). {options.iterations} iterations, "
        f"batch {options.batch}, {options.size} x {options.size} pixels, {options.optimizer}, learning rate "
        f"{options.lr:g}.",
        "",
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == data]
        parts = list(dict.fromkeys(row["held_out"] for row in own))
        lines += [
            f"| {data} | {' | '.join(parts)} | mean | binary IoU | trained classes |",
            "|---" * (len(parts) + 4) + "|",
        ]
        for arm in dict.fromkeys(row["arm"] for row in own):
            of_arm = [row for row in own if row["arm"] == arm]
            cells = [deviation([float(r["miou"]) for r in of_arm if r["held_out"] == part]) for part in parts]
            for metric in ("miou", "binary_iou", "seen_miou"):
                means = []
                for seed in dict.fromkeys(row["seed"] for row in of_arm):
                    found = [float(row[metric]) for row in of_arm if row["seed"] == seed]
                    if len(found) == len(parts):
                        means.append(statistics.mean(found))
                cells.append(deviation(means))
            lines.append(f"| {arm} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def deviation(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread} ({len(values)})"


if __name__ == "__main__":
    main()
