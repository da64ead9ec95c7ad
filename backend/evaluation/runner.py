"""Runs an evaluation: block after block of episodes, each written to the journal when it is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from ..episodes.episode import Episode
from ..episodes.loading import Telling, told
from ..errors import ProtolabelError
from .counts import Counter, Counts, no_counts
from .journal import Journal
from .protocols import EvaluationProtocol
from .segmenter import Segment

BLOCK = 50
"""Episodes whose counts share one line of the journal: what an interruption may cost."""

EpisodesOf = Callable[[int], "Dataset[Episode]"]
"""The episodes of the run with that seed; episode i depends on seed and i alone."""


class EvaluationError(ProtolabelError):
    """An evaluation that cannot go on."""


def evaluate(
    segment: Segment,
    episodes_of: EpisodesOf,
    classes: Sequence[int],
    protocol: EvaluationProtocol,
    journal: Journal,
    device: torch.device | str = "cpu",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Counts]:
    """Evaluate a method; what the journal holds already is not computed again.

    Args:
        segment: The method.
        episodes_of: Makes the episodes of a run.
        classes: Ids of all classes that are evaluated, in the order of the labels.
        protocol: Runs and episodes.
        journal: Where counts are kept.
        device: Where the method computes.
        workers: Processes that load episodes; the result does not depend on them.
        progress: Called with the episodes that are done and their number over all runs.

    Returns:
        Counts of each run, in the order of the seeds.

    Raises:
        EvaluationError: When scores do not fit their episode or are not finite.
        ProtolabelError: When an episode cannot be drawn.
    """
    runs = {seed: episodes_of(seed) for seed in protocol.seeds}
    lengths = {seed: _length(episodes, protocol) for seed, episodes in runs.items()}
    wanted = [(seed, first) for seed in runs for first in range(0, lengths[seed], BLOCK)]
    todo = [block for block in wanted if block not in journal.blocks]
    total = sum(lengths.values())
    done = total - sum(min(BLOCK, lengths[seed] - first) for seed, first in todo)
    report = progress or (lambda done, total: None)
    report(done, total)
    for seed in protocol.seeds:
        blocks = [first for run, first in todo if run == seed]
        indices = [i for first in blocks for i in range(first, min(first + BLOCK, lengths[seed]))]
        loader = iter(
            DataLoader(Subset(Telling(runs[seed]), indices), batch_size=None, num_workers=workers)
            if indices
            else ()
        )
        for first in blocks:
            episodes = min(BLOCK, lengths[seed] - first)
            counter = Counter(classes, device)
            for index in range(first, first + episodes):
                _count(segment, told(next(loader)).to(device), counter, seed, index)
                report(done := done + 1, total)
            journal.write((seed, first), episodes, counter.total())
    nothing = no_counts(len(classes) + 1)
    return [
        reduce(Counts.__add__, (journal.blocks[block] for block in wanted if block[0] == seed), nothing)
        for seed in protocol.seeds
    ]


@torch.inference_mode()
def _count(segment: Segment, episode: Episode, counter: Counter, seed: int, index: int) -> None:
    scores = segment(episode)
    queries, height, width = episode.query_labels.shape
    expected = (queries, len(episode.classes) + 1, height, width)
    if tuple(scores.shape) != expected:
        raise EvaluationError(
            f"The method gave scores of shape {tuple(scores.shape)} for an episode that takes {expected}."
        )
    if bool(scores.isnan().any()):
        raise EvaluationError(
            f"The method gave scores that are not numbers in episode {index} of the run with seed {seed}; "
            "its weights are probably damaged."
        )
    counter.add(scores.argmax(dim=1), episode.query_labels, episode.classes)


def _length(episodes: Dataset[Episode], protocol: EvaluationProtocol) -> int:
    available = len(episodes)  # type: ignore[arg-type]
    if available == 0:
        raise EvaluationError("There is nothing to evaluate: the data have no episode of the asked classes.")
    return available if protocol.episodes is None else min(available, protocol.episodes)
