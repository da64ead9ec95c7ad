"""One run of the worker: its process, its pipes and the threads that serve them."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess  # nosec B404 # argument lists only, never a shell
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...backend import protocol
from .children import kill_family
from .errors import ProtocolMismatchError, WorkerError
from .scrub import child_environment, popen_options

_LOGGER = logging.getLogger(__name__)
_TICK = 0.1  # seconds
_TAIL = 4000  # bytes of the log that go into an error
_SHOWN = 200  # characters of a line that is not understood


@dataclass(frozen=True)
class WorkerLaunch:
    """How to start the worker.

    Attributes:
        python: The interpreter of the backend's environment.
        backend_root: The folder that holds the package ``backend``.
        log: The log file; the worker runs in an empty folder beside it.
        program: What the interpreter runs; ``--log`` and the file follow.
        start_timeout: Seconds until it has to be ready.
    """

    python: Path
    backend_root: Path
    log: Path
    program: Sequence[str] = ("-m", "backend.worker")
    start_timeout: float = 120.0


class WorkerProcess:
    """A started worker; it ends when its stdin does, so it outlives neither this object's user nor a crash of QGIS."""

    def __init__(
        self,
        launch: WorkerLaunch,
        environ: Mapping[str, str],
        on_reply: Callable[[WorkerProcess, protocol.Reply], None],
        on_garbled: Callable[[WorkerProcess, int], None],
        on_end: Callable[[WorkerProcess, WorkerError], None],
    ) -> None:
        """Start the process; whether it works shows later.

        Args:
            launch: What to start.
            environ: The environment that the worker's is derived from.
            on_reply: Called in another thread with every reply save ``ready``.
            on_garbled: Called in another thread with the id of a reply that is not understood.
            on_end: Called in another thread, once, after the last reply.

        Raises:
            WorkerError: When the program cannot be started.
        """
        self._launch = launch
        self._on_reply, self._on_garbled, self._on_end = on_reply, on_garbled, on_end
        self._outbox: queue.Queue[tuple[int, bytes] | None] = queue.Queue()
        self._opened = threading.Event()  # ready, or never to be
        self._error: WorkerError | None = None
        self.ready: protocol.Ready | None = None
        try:
            self._process = self._start(environ)
        except OSError as error:
            reason = f"{error.filename or launch.python}: {error.strerror or error}"
            raise WorkerError(f"The worker cannot be started ({reason}); repair the environment.") from error
        self._reader = self._thread(self._read)
        self._thread(self._write)
        self._watcher = self._thread(self._watch)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether requests can still be sent."""
        return self._error is None and self._process.poll() is None

    def send(self, request: protocol.Request) -> None:
        """Send a request as soon as the worker is ready."""
        self._outbox.put((request.id, protocol.encode(request).encode("ascii")))

    def withdraw(self, id: int) -> bool:
        """Take back a request that was not sent yet; False when it was."""
        with self._outbox.mutex:
            for item in self._outbox.queue:
                if item is not None and item[0] == id:
                    self._outbox.queue.remove(item)
                    return True
        return False

    def shut(self) -> None:
        """Close the worker's stdin after what was sent, whereupon it ends."""
        self._outbox.put(None)

    def terminate(self) -> None:
        """Tell the process to end; on Windows that ends it at once."""
        with contextlib.suppress(OSError):
            self._process.terminate()

    def kill(self) -> None:
        """End the process and its own children at once."""
        kill_family(self._process)

    def join(self, timeout: float) -> bool:
        """Wait until all is over; True when it is."""
        if threading.current_thread() is not self._watcher:
            self._watcher.join(timeout)
        return self._process.poll() is not None

    def _start(self, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        log = self._launch.log
        folder = log.parent / "run"  # empty: Python before 3.11 imports from the working folder
        folder.mkdir(parents=True, exist_ok=True)
        # The worker goes on with the same file and keeps it small; this way it holds failed imports as well.
        with log.open("ab") as errors:
            self._log_start = errors.tell()
            return subprocess.Popen(  # nosec B603 # a list of arguments, no shell
                [str(self._launch.python), *self._launch.program, "--log", str(log)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=child_environment(environ, self._launch.backend_root),
                **popen_options(),
            )

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"protolabel-worker{target.__name__}", daemon=True)
        thread.start()
        return thread

    def _read(self) -> None:
        assert self._process.stdout is not None  # nosec B101 # it was asked for as a pipe
        skipping = False
        with self._process.stdout as stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(protocol.MAX_REPLY + 1):
                whole = line.endswith(b"\n")
                if not skipping:
                    self._take(line if whole else line[:_SHOWN])
                skipping = not whole
        self._opened.set()

    def _take(self, line: bytes) -> None:
        try:
            reply = protocol.decode_reply(line)
        except protocol.ProtocolError as error:
            _LOGGER.warning("Not a reply of the worker: %r (%s)", line[:_SHOWN], error)
            if error.id is not None and self.ready is not None:
                self._on_garbled(self, error.id)
            return
        if not isinstance(reply, protocol.Ready):
            self._on_reply(self, reply)
        elif reply.protocol == protocol.PROTOCOL:
            self.ready = reply
            self._opened.set()
        else:
            text = (
                f"The worker {reply.version} speaks version {reply.protocol} of the protocol and the plugin "
                f"version {protocol.PROTOCOL}; restart QGIS, and if that does not help, reinstall the plugin."
            )
            self._error = ProtocolMismatchError(text)
            self._opened.set()
            self.kill()

    def _write(self) -> None:
        assert self._process.stdin is not None  # nosec B101 # it was asked for as a pipe
        self._opened.wait()
        # When the worker is gone, the watcher tells.
        with contextlib.suppress(OSError, ValueError), self._process.stdin as stream:
            while self.ready and (item := self._outbox.get()) is not None:
                stream.write(item[1])
                stream.flush()

    def _watch(self) -> None:
        deadline = time.monotonic() + self._launch.start_timeout
        while not self._opened.wait(_TICK) and self._process.poll() is None:
            if time.monotonic() > deadline:
                text = f"The worker was not ready within {self._launch.start_timeout:g} seconds"
                self._error = WorkerError(f"{text}; see {self._launch.log}.")
                self.kill()
        code = self._process.wait()
        self.kill()  # its children, which may hold the pipe open
        self._reader.join(1.0)
        self._opened.set()
        self.shut()  # lets the writer end
        self._error = self._error or self._crash(code)
        self._on_end(self, self._error)

    def _crash(self, code: int) -> WorkerError:
        tail = self._tail()
        last = tail.rstrip().rpartition("\n")[2].strip()
        said = f" ({last})" if last else ""
        if code == -9:
            reason = (
                "was killed, most likely because memory ran out; close other programs or take less at once"
            )
        elif code < 0 or code >= 0x80000000:
            number = f"signal {-code}" if code < 0 else f"0x{code:08X}"
            reason = f"crashed in a library ({number}); see {self._launch.log}"
        else:
            reason = f"ended with exit code {code}{said}; see {self._launch.log}"
        return WorkerError(f"The worker {reason}.", tail)

    def _tail(self) -> str:
        try:
            with self._launch.log.open("rb") as file:
                size = file.seek(0, 2)
                start = self._log_start if size >= self._log_start else 0  # begun anew meanwhile
                file.seek(max(start, size - _TAIL))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""
