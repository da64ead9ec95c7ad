"""Threads on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..encoders.runner import cpu_count

_SPARE_FROM = 4  # cores, from which on one is left to others


@contextmanager
def limited_threads(wanted: int | None) -> Iterator[int]:
    """Within, torch has the threads that a training may use.

    Args:
        wanted: How many; None for all, less one where there are four or more, so that labelling goes on.
    """
    cores, before = cpu_count(), torch.get_num_threads()
    threads = wanted or (cores - 1 if cores >= _SPARE_FROM else cores)
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
