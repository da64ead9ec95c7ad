"""Runs child processes and ends them with everything they have started."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess  # nosec B404 # argument lists only, never a shell
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scrub import popen_options

_TICK = 0.1  # seconds between two looks at the cancel event
_GRACE = 1.0  # seconds for a child to end by itself, and again for its output to close


@dataclass(frozen=True)
class Finished:
    """How a child ended.

    Attributes:
        code: Its exit code; negative for a signal, None when it ran out of time or was cancelled.
        lines: What it wrote, stdout and stderr together.
    """

    code: int | None
    lines: tuple[str, ...]


def run_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    timeout: float | None = None,
    cancel: threading.Event | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a command to its end and hand on its output line by line.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        folder: Its working folder.
        timeout: Seconds until it is killed; None waits for ever.
        cancel: Kills it when set.
        on_line: Called in this thread with every line.

    Raises:
        OSError: When the program cannot be started.
    """
    process = subprocess.Popen(  # nosec B603 # a list of arguments, no shell
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        encoding="utf-8",
        errors="replace",
        **popen_options(),
    )
    output: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, output), name="protolabel-output", daemon=True)
    reader.start()
    lines: list[str] = []
    deadline = None if timeout is None else time.monotonic() + timeout
    stopped = True  # also when on_line raises
    try:
        stopped = not _collect(process, output, lines, deadline, cancel, on_line)
    finally:
        if stopped:
            end_child(process, _GRACE)
        kill_family(process)
        reader.join(_GRACE)
    return Finished(None if stopped else process.wait(), tuple(lines))


def end_child(process: subprocess.Popen[str], grace: float) -> None:
    """Ask a child to end, and kill it with its own children when it does not within ``grace`` seconds."""
    if (
        sys.platform != "win32"
    ):  # where ending is killing, and the children of a dead process are not found any more
        with contextlib.suppress(OSError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    kill_family(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)


def kill_family(process: subprocess.Popen[Any]) -> None:
    """Kill what is left of a child and the processes that it has started."""
    if sys.platform == "win32":
        if process.poll() is None:
            program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(  # nosec B603 # a fixed program of the system and a number
                    [str(program), "/T", "/F", "/PID", str(process.pid)],
                    capture_output=True,
                    check=False,
                    timeout=2,
                    **popen_options(),
                )
            with contextlib.suppress(OSError):
                process.kill()
        return
    # A group keeps its number as long as one of its members lives, so this cannot hit strangers.
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(process: subprocess.Popen[str], output: queue.Queue[str | None]) -> None:
    assert process.stdout is not None  # nosec B101 # it was asked for as a pipe
    with process.stdout as stream, contextlib.suppress(ValueError, OSError):
        for line in stream:
            output.put(line.rstrip("\r\n"))
    output.put(None)


def _collect(
    process: subprocess.Popen[str],
    output: queue.Queue[str | None],
    lines: list[str],
    deadline: float | None,
    cancel: threading.Event | None,
    on_line: Callable[[str], None] | None,
) -> bool:
    """Gather the output; True when the child ended by itself."""
    while True:
        if cancel is not None and cancel.is_set():
            return False
        if deadline is not None and time.monotonic() > deadline:
            return False
        try:
            line = output.get(timeout=_TICK)
        except queue.Empty:
            if process.poll() is not None and output.empty():
                return True  # a grandchild keeps the pipe open; nothing of interest comes any more
            continue
        if line is None:
            return _ended(process, deadline, cancel)
        lines.append(line)
        if on_line is not None:
            on_line(line)


def _ended(process: subprocess.Popen[str], deadline: float | None, cancel: threading.Event | None) -> bool:
    """Wait for a child that has closed its output."""
    while process.poll() is None:
        if cancel is not None and cancel.is_set():
            return False
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(_TICK)
    return True
