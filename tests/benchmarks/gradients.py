"""What DPCL's contrastive losses do to the encoder's gradient beside segmentation and alignment.

Usage: python tests/benchmarks/gradients.py WEIGHTS --naip FOLDER [--camvid FOLDER] [--batches 12] [--size 128]

For the first batches of the trainings of learning.py, at the encoder they begin with: the length of each weighted
loss's gradient as a share of that of segmentation + alignment, and the cosine of the two, at three fillings of the
dictionary: random as the paper begins, and with as many of the trained classes' own prototypes as the batches before
have left. The share of augmented views that have lost their object is told as well.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import learning

from backend.dpcl.batching import draw_support_views
from backend.dpcl.method import DualPrototypicalContrast
from backend.training.data import EpisodeData
from backend.training.network import build_method

LOSSES = {"class_specific": "CSCL", "class_agnostic": "CACL"}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--naip", type=Path)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument(
        "--iterations", type=int, default=100, help="of the training whose constants are used"
    )
    given = parser.parse_args()
    print("| training | batches before | loss | share of the gradient | cosine | views without object |")
    print("|---" * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        options = argparse.Namespace(
            **vars(given), out=Path(folder), paper_constants=False, method=[], held_out="ignore", freeze=2,
            optimizer="sgd", lr=1e-4, batch=2, workers=0, precision="32-true", validation=False,
        )  # fmt: skip
        for task in list(learning.all_tasks(options))[:: 4 if given.naip else 1]:
            measure(task, options)


def measure(task: learning.Task, options: argparse.Namespace) -> None:
    """One training's first batches."""
    experiment = learning.experiment(task, 1, "DPCL", options.out, options)
    method = build_method(experiment)
    assert isinstance(method, DualPrototypicalContrast)
    method.train()
    trained = [p for p in method.encoder.parameters() if p.requires_grad]
    third = max(options.batches // 3, 1)
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    lost: list[float] = []
    for number, batch in enumerate(islice(EpisodeData(experiment).train_dataloader(), options.batches)):
        views = [draw_support_views(episode, 0)[1] for episode in batch]
        lost += [float((~(view == 1).flatten(2).any(dim=2)).float().mean()) for view in views]
        parts = method(batch)
        main_gradient = gradient(parts.segmentation + parts.alignment, trained)
        for name in LOSSES:
            weight = getattr(method.options, f"{name}_weight")
            own = weight * gradient(getattr(parts, name), trained)
            share = float(own.norm() / main_gradient.norm())
            cosine = float(torch.nn.functional.cosine_similarity(own, main_gradient, dim=0))
            found.setdefault((number // third * third, name), []).append((share, cosine))
    for (start, name), values in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        share, cosine = (statistics.median(column) for column in zip(*values, strict=True))
        print(
            f"| {task.data}, without {task.held_out} | {start} | {LOSSES[name]} | {share:.3f} | {cosine:+.2f} | "
            f"{statistics.mean(lost):.2f} |",
            flush=True,
        )


def gradient(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """All of it as one vector."""
    parts = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(parameters, parts, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
