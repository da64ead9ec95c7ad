"""A request that was sent to the worker, and what has come back so far."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ...backend import protocol
from .errors import ClientError, RequestCancelled, RequestError

OnNews = Callable[[protocol.News], None]
OnDone = Callable[["Pending"], None]
_LOGGER = logging.getLogger(__name__)
_KEPT = 1000  # replies that nobody polls


class Pending:
    """A request on its way; all methods may be called from any thread and return at once, save :meth:`wait`."""

    def __init__(
        self,
        id: int,
        on_cancel: Callable[[Pending], None],
        on_news: OnNews | None = None,
        on_done: OnDone | None = None,
    ) -> None:
        """Made by the client.

        Args:
            id: The request's number.
            on_cancel: Sends the cancel.
            on_news: Called in another thread with every progress, partial and log reply.
            on_done: Called in another thread when the request is done.
        """
        self.id = id
        self._on_cancel, self._on_news, self._on_done = on_cancel, on_news, on_done
        self._news: deque[protocol.News] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._cancelled = False
        self._value: dict[str, Any] = {}
        self._error: ClientError | None = None

    @property
    def done(self) -> bool:
        """Whether the request is answered, failed or cancelled."""
        return self._done.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called, be the request done or not."""
        return self._cancelled

    @property
    def error(self) -> ClientError | None:
        """Why the request failed, None while it runs and when it succeeded."""
        return self._error

    def poll(self) -> list[protocol.News]:
        """Progress, partial and log replies since the last call."""
        with self._lock:
            news = list(self._news)
            self._news.clear()
        return news

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the result.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            TimeoutError: When the request is not done yet.
            RequestError: When the worker answered with an error.
            RequestCancelled: When the request was cancelled.
            WorkerError: When the worker was lost.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"The worker has not answered within {timeout:g} seconds.")
        if self._error is not None:
            raise self._error
        return self._value

    def cancel(self) -> None:
        """Cancel the request; it ends within seconds, if need be together with the worker."""
        with self._lock:
            if self._cancelled or self.done:
                return
            self._cancelled = True
        self._on_cancel(self)

    def wait_done(self, timeout: float) -> bool:
        """Wait for the end, whatever it is; False when it has not come in time."""
        return self._done.wait(timeout)

    def take(self, reply: protocol.Reply) -> None:
        """Take in a reply; the client calls this."""
        if isinstance(reply, (protocol.Progress, protocol.Partial, protocol.Log)):
            with self._lock:
                self._news.append(reply)
            if not self.done:
                _call(self._on_news, reply)
        elif isinstance(reply, protocol.Result):
            self.finish(reply.value)
        elif isinstance(reply, protocol.Cancelled):
            self.finish(error=RequestCancelled("The request was cancelled; nothing was written."))
        elif isinstance(reply, protocol.Error):
            self.finish(error=RequestError(reply.message, reply.kind, reply.detail))

    def finish(self, value: dict[str, Any] | None = None, error: ClientError | None = None) -> None:
        """Settle the request; only the first call counts."""
        with self._lock:
            if self._done.is_set():
                return
            self._value, self._error = value or {}, error
            self._done.set()
        _call(self._on_done, self)


def _call(function: Callable[[Any], None] | None, argument: object) -> None:
    """Call what the user of the client gave; its mistakes must not stop the thread that reads replies."""
    if function is not None:
        try:
            function(argument)
        except Exception:
            _LOGGER.exception("A callback failed.")
