"""Talks to the worker: starts it when it is needed, sends requests and settles each of them, come what may."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...backend import protocol
from .errors import ClientError, RequestCancelled, WorkerError
from .leftovers import remove_parts, remove_scratch
from .pending import OnDone, OnNews, Pending
from .worker_process import WorkerLaunch, WorkerProcess

_GRACE = 3.0  # seconds after a cancel until the worker is told to end, and again until it is killed
_CLOSING = 2.0  # seconds that the worker has for its end; killing takes a moment more
_KILLING = 0.5


@dataclass
class _Entry:
    """A request that is not settled, and the worker that has it."""

    worker: WorkerProcess
    pending: Pending
    message: protocol.Request


class WorkerClient:
    """The plugin's side of the pipe; all methods may be called from any thread.

    One worker serves all requests one after the other. When it is lost, its requests fail with one error, and the
    next request starts a new one.
    """

    def __init__(
        self, launch: WorkerLaunch, environ: Mapping[str, str] = os.environ, grace: float = _GRACE
    ) -> None:
        """Prepare; no process is started before the first request.

        Args:
            launch: How to start the worker.
            environ: The environment that the worker's is derived from.
            grace: Seconds that a cancelled request has for its end.
        """
        self._launch, self._environ, self._grace = launch, environ, grace
        self._lock = threading.RLock()
        self._worker: WorkerProcess | None = None
        self._open: dict[int, _Entry] = {}
        self._given_up: WorkerProcess | None = None
        self._last_id = 0
        self._closed = False
        atexit.register(self.close)

    @property
    def ready(self) -> protocol.Ready | None:
        """What the running worker told about itself, None when none runs."""
        with self._lock:
            return self._worker.ready if self._worker is not None and self._worker.alive else None

    @property
    def pid(self) -> int | None:
        """The running worker's process number."""
        with self._lock:
            return self._worker.pid if self._worker is not None and self._worker.alive else None

    def request(
        self, message: protocol.Request, on_news: OnNews | None = None, on_done: OnDone | None = None
    ) -> Pending:
        """Send a request, and start the worker if none runs.

        Args:
            message: The request, with absolute paths; its id is replaced by the next free one.
            on_news: Called in another thread with every progress, partial and log reply.
            on_done: Called in another thread when the request is answered, failed or cancelled.

        Raises:
            WorkerError: When the worker cannot be started or the client is closed.
            ProtocolError: When the message is too long.
        """
        with self._lock:
            if self._closed:
                raise WorkerError("The connection to the worker is closed.")
            worker = self._started()
            self._last_id += 1
            pending = Pending(self._last_id, self._cancel, on_news, on_done)
            message = replace(message, id=pending.id)
            worker.send(message)
            self._open[pending.id] = _Entry(worker, pending, message)
        return pending

    def close(self) -> None:
        """Cancel everything and end the worker, within three seconds; more calls do nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            worker = self._worker
            left = [entry.pending for entry in self._open.values()]
            self._open.clear()
        atexit.unregister(self.close)
        if worker is not None:
            _end(worker)
        for pending in left:
            pending.finish(error=RequestCancelled("The request was cancelled since the plugin is closing."))

    def _started(self) -> WorkerProcess:
        if self._worker is None or not self._worker.alive:
            self._worker = WorkerProcess(
                self._launch, self._environ, self._on_reply, self._on_garbled, self._on_end
            )
        return self._worker

    def _cancel(self, pending: Pending) -> None:
        with self._lock:
            entry = self._open.get(pending.id)
            if entry is None:
                return
            withdrawn = entry.worker.withdraw(pending.id)
            if withdrawn:  # the worker is still starting; others wait for it
                del self._open[pending.id]
            else:
                self._last_id += 1  # its answer is of no interest
                entry.worker.send(protocol.Cancel(self._last_id, pending.id))
        if withdrawn:
            pending.finish(error=RequestCancelled("The request was cancelled before it began."))
            return
        escalation = threading.Thread(
            target=self._escalate, args=(entry.worker, pending), name="protolabel-cancel", daemon=True
        )
        escalation.start()

    def _escalate(self, worker: WorkerProcess, pending: Pending) -> None:
        for end in (worker.terminate, worker.kill):
            if pending.wait_done(self._grace):
                return
            with self._lock:
                self._given_up = worker
            end()

    def _on_reply(self, worker: WorkerProcess, reply: protocol.Reply) -> None:
        # A reply without an id tells of the worker as a whole, and its log holds it.
        number = getattr(reply, "id", None)
        with self._lock:
            entry = self._open.get(number) if number is not None else None
            if entry is None or entry.worker is not worker:
                return
            if (
                isinstance(reply, protocol.Cancelled)
                and worker is self._given_up
                and not entry.pending.cancelled
            ):
                return  # a worker that is told to end cancels all it has; the next one will do this request
            if not isinstance(reply, (protocol.Progress, protocol.Partial, protocol.Log)):
                del self._open[entry.pending.id]
        entry.pending.take(reply)

    def _on_garbled(self, worker: WorkerProcess, id: int) -> None:
        with self._lock:
            entry = self._open.pop(id, None)
        if entry is not None:  # or it would wait for ever
            entry.pending.finish(error=WorkerError("The worker's answer was not understood; restart QGIS."))

    def _on_end(self, worker: WorkerProcess, error: WorkerError) -> None:
        with self._lock:
            if self._worker is worker:
                self._worker = None
            lost = [entry for entry in self._open.values() if entry.worker is worker]
            if self._given_up is worker:
                # It was ended because of one cancelled request; the others had only waited behind that one.
                try:
                    for entry in [entry for entry in lost if not entry.pending.cancelled]:
                        entry.worker = self._started()
                        entry.worker.send(entry.message)
                        lost.remove(entry)
                except WorkerError as failure:
                    error = failure
            for entry in lost:
                del self._open[entry.pending.id]
        remove_scratch(worker.pid)
        for entry in lost:
            remove_parts(entry.message, worker.pid)
            reason: ClientError = error
            if entry.pending.cancelled:
                reason = RequestCancelled("The request was cancelled, and the worker was ended for it.")
            entry.pending.finish(error=reason)


def _end(worker: WorkerProcess) -> None:
    deadline = time.monotonic() + _CLOSING
    worker.send(protocol.Quit(0))
    worker.shut()
    if worker.ready is None or not worker.join(deadline - time.monotonic()):
        worker.terminate()
        if not worker.join(_KILLING):
            worker.kill()
            worker.join(_KILLING)
