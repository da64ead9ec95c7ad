"""Training iterations per second and peak memory against a straightforward PANet-style loop, in one run.

Usage: python tests/benchmarks/training_speed.py [--size 256] [--layers 2,3,4] [--batch 2] [--rounds 3] [--device cpu]

The plain loop is PANet's way with DPCL's algorithms written out: features are brought to the masks' size before they
are averaged, keys are encoded one by one, and negatives are gathered in loops over the dictionary and over groups of
background features. Both train the same network on the same episodes, and both encode the clean images of a batch at
once. They take turns, each time in a process of its own, and the medians are printed. The processor's time is printed
too, for a machine with other work to do. The peak memory is that of the tensors of an iteration, beyond weights,
optimiser and dictionary, which are the same in both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.momentum_encoder import MomentumEncoder
from backend.dpcl.options import MethodOptions
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.episodes.augmentation import augment
from backend.episodes.episode import Episode

OPTIONS = MethodOptions()


class PlainLoop:
    """PANet with DPCL's losses as the paper's algorithms have them, one thing after the other; 1 way, 1 query."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.momentum_encoder = MomentumEncoder(encoder)
        noise = F.normalize(torch.randn(OPTIONS.dictionary_size, encoder.channels), dim=1)
        device = next(encoder.parameters()).device
        self.dictionary = [(key.to(device), -1) for key in noise]

    def __call__(self, episodes: list[Episode]) -> Tensor:
        images = [e.support_images.flatten(0, 1) for e in episodes] + [e.query_images for e in episodes]
        features = self.encoder(torch.cat(images))
        shots = episodes[0].shot
        total = features.new_zeros(())
        for index, episode in enumerate(episodes):
            support = features[index * shots : (index + 1) * shots]
            query = features[len(episodes) * shots + index][None]
            total = total + self.episode(episode, support, query) / len(episodes)
        return total

    def episode(self, episode: Episode, support: Tensor, query: Tensor) -> Tensor:
        masks, labels = episode.support_masks[0], episode.query_labels
        shots, size = len(support), labels.shape[-2:]
        own = [pool(support[[s]], (masks[s] == 1).float()) for s in range(shots)]
        anchor = sum(own) / shots
        ground = sum(pool(support[[s]], (masks[s] == 0).float()) for s in range(shots)) / shots
        scores = match(query, [ground, anchor])
        up = F.interpolate(scores, size=size, mode="bilinear")
        loss = F.cross_entropy(up, labels.long(), ignore_index=255)
        predicted = scores.argmax(dim=1)
        if (predicted == 1).any():
            pair = []
            for label in (0, 1):
                where = (predicted == label).float()[:, None]
                pair.append((query * where).sum(dim=(0, 2, 3))[None] / (where.sum() + 1e-5))
            for s in range(shots):
                back = F.interpolate(match(support[[s]], pair), size=size, mode="bilinear")
                loss = loss + F.cross_entropy(back, masks[[s]].long(), ignore_index=255) / shots
        for s in range(shots):
            specific = self.class_specific(anchor, episode.support_images[0, s], masks[s], episode.classes[0])
            agnostic = self.class_agnostic(anchor, episode.query_images[0], labels[0])
            loss = loss + (0.02 * specific + 0.015 * agnostic) / shots
        return loss

    def class_specific(self, anchor: Tensor, image: Tensor, mask: Tensor, label: int) -> Tensor:
        view, view_mask = augment(image, mask)
        key = pool(self.momentum_encoder(view[None]), (view_mask == 1).float())
        others = [entry for entry, entry_label in self.dictionary if entry_label != label]
        drawn = torch.randperm(len(others))[: OPTIONS.dictionary_negatives].tolist()
        loss = contrast(anchor, key, torch.stack([others[u] for u in drawn]))
        self.dictionary.append((key[0], label))
        self.dictionary.pop(0)
        return loss

    def class_agnostic(self, anchor: Tensor, image: Tensor, labels: Tensor) -> Tensor:
        view, view_labels = augment(image, labels)
        features = self.momentum_encoder(view[None])
        cells = F.interpolate(view_labels[None, None].float(), size=features.shape[-2:], mode="nearest")[0, 0]
        ground = features[0][:, cells == 0].T
        if len(ground) < 5 or (cells == 1).sum() < 5:
            return anchor.new_zeros(())
        key = pool(features, (view_labels == 1).float())
        negatives = []
        for _ in range(OPTIONS.background_negatives):
            negatives.append(ground[torch.randperm(len(ground))[:5]].mean(dim=0))
        return contrast(anchor, key, torch.stack(negatives))


def pool(features: Tensor, mask: Tensor) -> Tensor:
    """PANet's masked average pooling."""
    up = F.interpolate(features, size=mask.shape[-2:], mode="bilinear")
    return (up * mask).sum(dim=(2, 3)) / (mask.sum() + 1e-5)


def match(features: Tensor, prototypes: list[Tensor]) -> Tensor:
    """PANet's scaled cosine."""
    return torch.stack(
        [20 * F.cosine_similarity(features, p[..., None, None], dim=1) for p in prototypes], dim=1
    )


def contrast(anchor: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
    """InfoNCE of Algorithms 3 and 4."""
    cosines = F.cosine_similarity(anchor, torch.cat([positive, negatives]), dim=1)[None] / OPTIONS.temperature
    return F.cross_entropy(cosines, torch.zeros(1, dtype=torch.int64, device=cosines.device))


def make_episode(size: int, shot: int, seed: int) -> Episode:
    """Noise with a third of each image an object."""
    random = torch.Generator().manual_seed(seed)
    masks, labels = torch.zeros(1, shot, size, size), torch.zeros(1, size, size)
    masks[..., : size // 2, : size * 2 // 3] = 1
    labels[..., size // 3 :, size // 2 :] = 1
    support = torch.rand(1, shot, 3, size, size, generator=random) * 255
    query = torch.rand(1, 3, size, size, generator=random) * 255
    return Episode(support, masks.to(torch.uint8), query, labels.to(torch.uint8), (seed % 15,))


def measure(arm: str, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Seconds of an iteration (the median), of the processor's time, and peak memory in MiB, in this process."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layers = tuple(map(int, arguments.layers.split(",")))
    layout = EncoderLayout(arguments.architecture, layers, projections=(512,) * len(layers))
    encoder = Encoder(layout).to(arguments.device)
    if arm == "ours":
        encoder = encoder.to(memory_format=torch.channels_last)  # as training has it
    method = DualPrototypicalContrast(encoder, OPTIONS).train().to(arguments.device)
    step: Callable[[list[Episode]], Tensor]
    if arm == "plain":
        loop = PlainLoop(method.encoder)  # frozen statistics, as ours
        step, update = loop, loop.momentum_encoder
    else:
        assert method.momentum_encoder is not None
        step, update = (lambda episodes: method(episodes).total), method.momentum_encoder
    optimizer = torch.optim.SGD(encoder.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)

    def iterate(index: int) -> float:
        batch = range(index * arguments.batch, (index + 1) * arguments.batch)
        episodes = [make_episode(arguments.size, arguments.shot, seed).to(arguments.device) for seed in batch]
        synchronise(arguments.device)
        started = time.perf_counter()
        optimizer.zero_grad()
        step(episodes).backward()
        optimizer.step()
        update.update(encoder)
        synchronise(arguments.device)
        return time.perf_counter() - started

    peak = peak_memory(lambda: iterate(0), arguments.device)
    started = time.process_time()
    seconds = statistics.median(iterate(1 + index) for index in range(arguments.iterations))
    return seconds, (time.process_time() - started) / arguments.iterations, peak


def peak_memory(iteration: Callable[[], object], device: str) -> float:
    """MiB of tensors at the highest point of an iteration, beyond those that were there before."""
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        iteration()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        iteration()
    assert profiler.profiler is not None
    sizes = [
        event.nbytes() for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    return max(accumulate(sizes)) / 2**20


def synchronise(device: str) -> None:
    """Wait for the GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    """Measure both arms in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--layers", default="2,3,4")
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=3, help="timed ones in each round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, float, float]]] = {"ours": [], "plain": []}
    context = multiprocessing.get_context("spawn")
    for _ in range(arguments.rounds):
        for arm, found in results.items():
            with context.Pool(1) as workers:
                found.append(workers.apply(measure, (arm, arguments)))
    medians = {
        arm: [statistics.median(column) for column in zip(*found, strict=True)]
        for arm, found in results.items()
    }
    for arm, (seconds, busy, peak) in medians.items():
        print(
            f"{arm:5}  {1 / seconds:7.3f} iterations/s  {busy:6.2f} s of processor time  peak {peak:6.0f} MiB"
        )
    seconds, busy, _ = (plain / ours for plain, ours in zip(medians["plain"], medians["ours"], strict=True))
    memory = medians["ours"][2] / medians["plain"][2]
    print(f"{seconds:.2f} times as fast ({busy:.2f} by processor time) with {memory:.2f} of the memory")
    print("targets: at least 2 times as fast, below 0.5 of the memory")


if __name__ == "__main__":
    main()
