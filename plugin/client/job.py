"""Work that takes a while, in a thread of its own: what it says can be polled, and it can be cancelled."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from .errors import ClientError

Say = Callable[[Any], None]
Work = Callable[[Say, threading.Event], Any]
_LOGGER = logging.getLogger(__name__)
_KEPT = 2000  # lines


class Job:
    """A function that runs in a thread; all methods may be called from any thread and return at once, save join."""

    def __init__(self, work: Work, title: str = "", on_done: Callable[[Job], None] | None = None) -> None:
        """Start it.

        Args:
            work: Takes a function to tell what it is about, and the event that cancels it.
            title: What it does, for the user.
            on_done: Called in the job's thread at the end.
        """
        self.title = title
        self.result: Any = None
        self.error: ClientError | None = None
        self._work, self._on_done = work, on_done
        self._said: deque[Any] = deque(maxlen=_KEPT)
        self._count, self._lock = 0, threading.Lock()
        self._cancel, self._done = threading.Event(), threading.Event()
        # A daemon, since a system call that hangs must not keep QGIS from closing.
        self._thread = threading.Thread(target=self._run, name="protolabel-job", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended; then ``result`` or ``error`` is set."""
        return self._done.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was told to end, be it done or not."""
        return self._cancel.is_set()

    def said(self, since: int = 0) -> tuple[list[Any], int]:
        """What it has said, and the number to ask with the next time; of much, the beginning is forgotten."""
        with self._lock:
            news = min(self._count - since, len(self._said))
            return list(self._said)[len(self._said) - news :], self._count

    def cancel(self) -> None:
        """Tell it to end."""
        self._cancel.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; True when it is reached."""
        return self._done.wait(timeout)

    def _say(self, what: Any) -> None:
        with self._lock:
            self._said.append(what)
            self._count += 1

    def _run(self) -> None:
        try:
            self.result = self._work(self._say, self._cancel)
        except ClientError as error:
            self.error = error
        except Exception as error:  # a mistake of ours must not leave the user waiting for ever
            _LOGGER.exception("%s failed", self.title or "A job")
            self.error = ClientError(f"{self.title or 'This'} failed: {type(error).__name__}: {error}.")
        self._done.set()
        if self._on_done is not None:
            self._on_done(self)
