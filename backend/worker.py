"""``python -m backend.worker``: serves the plugin over stdin and stdout, one JSON object a line.

The main thread alone decides: it takes events from one inbox, in which a thread that reads requests, a thread that
does tasks, and signals put theirs. One task is done at a time; the others wait in order, but a preview takes the place
of those before it. No port is ever opened.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import platform
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

from . import __version__
from .lines import LineWriter, LogFile, claim_pipes, read_lines
from .processors import wait_passively
from .progress import RunControl
from .protocol import (
    MAX_REQUEST,
    PROTOCOL,
    Cancel,
    Cancelled,
    Error,
    Pause,
    Ping,
    Preview,
    ProtocolError,
    Quit,
    Ready,
    Reply,
    Request,
    Result,
    Resume,
    Task,
    decode_request,
    encode,
)
from .tasks.answer import TaskRunner, remove_parts

_CHUNK = 1 << 16  # bytes
_MOST_LINES = 16  # read ahead; with the limit of a line it bounds the memory
_MOST_WAITING = 32  # tasks
_GRACE = 2.0  # seconds that a running task gets to end
_LOG_INTERVAL = 5.0  # seconds between looks at the log's size


@dataclass(frozen=True)
class Job:
    """A task with what cancels it, or lets it wait."""

    task: Task
    cancel: RunControl = field(default_factory=RunControl)


class Worker:
    """Serves requests until :meth:`stop`."""

    def __init__(self, requests: int, replies: int, scratch: Path, log: LogFile | None) -> None:
        """Prepare to serve.

        Args:
            requests: File descriptor to read from.
            replies: File descriptor to write to.
            scratch: Folder that is removed at the end.
            log: Kept small meanwhile.
        """
        self._requests, self._writer = requests, LineWriter(replies, self.stop)
        self._scratch, self._log = scratch, log
        # Simple queues alone may be used by signal handlers.
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._ending: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MOST_LINES)
        self._running: Job | None = None
        self._waiting: dict[int, Job] = {}
        self._stopping = False

    def serve(self) -> None:
        """Serve until :meth:`stop` or the end of the requests, then end the process."""
        for work in (self._read, self._work, self._limit_ending):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        self._send(Ready(PROTOCOL, __version__, platform.python_version(), os.getpid()))
        threading.Thread(target=_import_ahead, daemon=True).start()
        while self._running or not self._stopping:
            with suppress(queue.Empty):
                self._inbox.get(timeout=_LOG_INTERVAL)()
            if self._log:
                self._log.rotate()
        self._exit()

    def stop(self) -> None:
        """Cancel everything and end within seconds; any thread and any signal handler may call this."""
        self._ending.put(None)
        self._inbox.put(self._on_stop)

    # The threads beside the main one.

    def _read(self) -> None:
        with suppress(OSError):  # as good as the end
            for line in read_lines(lambda: os.read(self._requests, _CHUNK), MAX_REQUEST):
                self._room.acquire()
                self._inbox.put(partial(self._on_line, line))
        self.stop()

    def _work(self) -> None:
        runner = TaskRunner()
        while True:
            job = self._jobs.get()
            reply = runner.answer(job.task, self._send, job.cancel)
            self._inbox.put(partial(self._on_done, reply))

    def _limit_ending(self) -> None:
        """End the process when its end takes too long: in the middle of a tile, or because nobody reads replies."""
        self._ending.get()
        time.sleep(_GRACE)
        if self._running:
            remove_parts(self._running.task)
        self._exit()

    # What the main thread does with each event.

    def _on_stop(self) -> None:
        self._stopping = True
        for id in list(self._waiting):
            self._cancel(id)
        if self._running:
            self._running.cancel.cancel()

    def _on_done(self, reply: Reply) -> None:
        # Off the books first: who has read the reply may use its id again.
        self._running = None
        self._send(reply)
        self._start_next()

    def _on_line(self, line: bytes | None) -> None:
        self._room.release()
        if self._stopping:
            return
        try:
            if line is None:
                raise ProtocolError(f"The line has more than {MAX_REQUEST} bytes.")
            self._serve_request(decode_request(line))
        except ProtocolError as error:
            # An id that belongs to another request is left out: this would pass for the answer to that one.
            id = None if error.id is None or self._is_open(error.id) else error.id
            self._send(Error(id, "protocol", str(error)))

    def _serve_request(self, request: Request) -> None:
        if self._is_open(request.id):
            text = f"The id {request.id} belongs to a request that is not answered yet."
            raise ProtocolError(text, request.id)
        if isinstance(request, Preview):
            self._drop_previews()
        if isinstance(request, Ping):
            running = self._running.task.id if self._running else None
            self._send(Result(request.id, {"running": running, "waiting": list(self._waiting)}))
        elif isinstance(request, Cancel):
            found = self._is_open(request.target)
            self._cancel(request.target)
            self._send(Result(request.id, {"found": found}))
        elif isinstance(request, (Pause, Resume)):
            job = self._find(request.target)
            if job is not None:
                (job.cancel.pause if isinstance(request, Pause) else job.cancel.resume)()
            self._send(Result(request.id, {"found": job is not None}))
        elif isinstance(request, Quit):
            self._send(Result(request.id, {}))
            self.stop()
        elif len(self._waiting) >= _MOST_WAITING:
            raise ProtocolError(f"{_MOST_WAITING} requests wait already.", request.id)
        else:
            self._waiting[request.id] = Job(request)
            self._start_next()

    def _is_open(self, id: int) -> bool:
        return self._find(id) is not None

    def _find(self, id: int) -> Job | None:
        """The request of an id that waits or runs."""
        if self._running is not None and self._running.task.id == id:
            return self._running
        return self._waiting.get(id)

    def _drop_previews(self) -> None:
        """Cancel all previews: what they would show is no longer wanted."""
        running = [] if self._running is None else [self._running]
        for job in (*self._waiting.values(), *running):
            if isinstance(job.task, Preview):
                self._cancel(job.task.id)

    def _cancel(self, id: int) -> None:
        if self._waiting.pop(id, None):
            self._send(Cancelled(id))
        elif self._running and self._running.task.id == id:
            self._running.cancel.cancel()

    def _start_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.pop(next(iter(self._waiting)))
            self._jobs.put(self._running)

    def _send(self, reply: Reply) -> None:
        try:
            line = encode(reply)
        except ProtocolError as error:
            line = encode(Error(reply.id if isinstance(reply, Result) else None, "internal", str(error)))
        self._writer.write(line)

    def _exit(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        # At once: threads that are still in the middle of a tile have nothing left to say.
        os._exit(0)


def _import_ahead() -> None:
    """Import what nearly every request needs and what takes seconds, while nobody waits for it yet."""
    with suppress(Exception):  # the request that needs it will say
        import_module("backend.tasks.preview")
        import_module("torchvision.models")  # for the encoder; a first coarse answer needs none


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the parent process.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m backend.worker", description="Serve the QGIS plugin.")
    parser.add_argument("--log", type=Path, help="Write messages to this file instead of stderr.")
    options = parser.parse_args(arguments)
    requests, replies = claim_pipes()
    wait_passively()  # a second worker may compute beside this one
    log = None
    if options.log:
        try:
            log = LogFile(options.log)
        except OSError as error:
            print(f"No log is written: {error}", file=sys.stderr)
    faulthandler.enable()  # a crash in a library is in the log, too
    # Libraries' temporary files lie in a folder of this process, which goes even when a task is left in the middle.
    tempfile.tempdir = tempfile.mkdtemp(prefix=f"protolabel-worker-{os.getpid()}-")
    worker = Worker(requests, replies, Path(tempfile.tempdir), log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.serve()


if __name__ == "__main__":
    main()
