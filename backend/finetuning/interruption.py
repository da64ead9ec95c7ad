"""Lets a training step be stopped in the middle: one of a large crop takes many seconds on a small machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..progress import CancelToken


@contextmanager
def interruptible(network: nn.Module, cancel: CancelToken) -> Iterator[None]:
    """Within, the passes of a network, forward and backward, raise :class:`Cancelled` once that is asked for.

    The token is looked at after every convolution, which changes nothing of what is computed.

    Args:
        network: With convolutions, in whatever depth.
        cancel: Stops the passes.
    """

    def look(gradient: Tensor) -> None:
        cancel.check()

    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        cancel.check()
        if output.requires_grad:
            output.register_hook(look)  # type: ignore[no-untyped-call]

    handles = [
        module.register_forward_hook(hook) for module in network.modules() if isinstance(module, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
