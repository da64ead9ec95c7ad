"""Progress and cancellation, shared by the command line, the worker and whoever imports the backend."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .errors import Cancelled

Stage = Literal["support", "labels", "writing", "sampling", "assessing"]
_TICK = 0.1  # seconds between two looks at whether a run that waits was cancelled


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: What is being done.
        done: Tiles encoded so far, over all stages; of an assessment and a sample, windows read.
        total: Tiles to encode in all.
        megapixels: Raster pixels that the done tiles stand for, in millions.
    """

    stage: Stage
    done: int
    total: int
    megapixels: float


ProgressCallback = Callable[[Progress], None]
Say = Callable[[str], None]


class CancelToken:
    """Lets another thread stop a run; it is looked at before every tile."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise :class:`Cancelled` when the run was asked to stop."""
        if self.cancelled:
            raise Cancelled("The run was cancelled; nothing was written.")


class RunControl(CancelToken):
    """A cancel token that can also let a run wait; only long runs look at that.

    Attributes:
        waited: Seconds that the run has waited so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0
        self._going = threading.Event()
        self._going.set()

    def pause(self) -> None:
        """Ask the run to wait."""
        self._going.clear()

    def resume(self) -> None:
        """Let it go on."""
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether the run was asked to wait."""
        return not self._going.is_set()

    def wait(self) -> None:
        """Return when the run may go on; raise :class:`Cancelled` when it was asked to stop."""
        self.check()
        started = time.monotonic()
        while not self._going.wait(_TICK):
            self.check()
        self.waited += time.monotonic() - started
