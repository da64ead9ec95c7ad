"""The dynamic prototype dictionary: a ring of past keys and their classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The class of entries that no episode has filled yet.
UNFILLED = -1


class PrototypeDictionary(nn.Module):
    """The newest keys with their class labels, first in, first out (DPCL, Section 4.2 and Algorithm 3).

    Algorithm 3 pops the key that it has just appended; the text has the oldest one leave, as here. Before
    training the entries are random directions, as in MoCo, of no class: random labels, as Algorithm 1 says,
    would by chance hide entries from anchors of their class.

    Attributes:
        entries: Keys of length 1, shape (size, channels).
        labels: Class id of each entry, or -1, shape (size,).
        position: The oldest entry, the next to be replaced, shape ().
    """

    entries: Tensor
    labels: Tensor
    position: Tensor

    def __init__(self, size: int, channels: int, seed: int = 0) -> None:
        super().__init__()
        # A generator of its own: a network built after it starts from the same weights as one without it.
        generator = torch.Generator().manual_seed(seed)
        entries = torch.randn(size, channels, generator=generator)
        self.register_buffer("entries", F.normalize(entries, dim=1))
        self.register_buffer("labels", torch.full((size,), UNFILLED, dtype=torch.int64))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor, labels: Tensor) -> None:
        """Put keys in the place of the oldest entries.

        Args:
            keys: Shape (keys, channels), of any length; more than the size leaves only the last ones.
            labels: Class id of each, shape (keys,).
        """
        size = len(self.entries)
        count = len(labels)
        kept = min(count, size)
        place = (self.position + torch.arange(count - kept, count, device=self.position.device)) % size
        # Not in place: the loss of this step keeps the entries for its backward pass.
        self.entries = self.entries.index_copy(0, place, F.normalize(keys[count - kept :], dim=1))
        self.labels[place] = labels[count - kept :]
        self.position = (self.position + count) % size

    def draw_negatives(self, classes: Tensor, count: int) -> Tensor:
        """Draw entries of other classes, uniformly and each at most once.

        The numbers come from torch's generator of the CPU, so that they are the same on every device.

        Args:
            classes: Class id of each anchor, shape (anchors,).
            count: Entries for each anchor; all of other classes where there are fewer.

        Returns:
            Which entries are drawn, shape (anchors, size), bool.
        """
        other = self.labels != classes[:, None]
        order = torch.rand(other.shape).to(other.device)
        first = (
            order.masked_fill(~other, 2.0).topk(min(count, len(self.labels)), dim=1, largest=False).indices
        )
        return torch.zeros_like(other).scatter(1, first, value=True) & other
