"""Lines over pipes: the process's own streams made safe, bytes cut into lines, lines written whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def claim_pipes() -> tuple[int, int]:
    """Take stdin and stdout for the messages alone.

    What libraries print, from Python or from C, goes to stderr from now on, and child processes inherit neither
    pipe, so that each side notices when the other one has gone.

    Returns:
        File descriptors to read requests from and to write replies to.
    """
    requests, replies = os.dup(_STDIN), os.dup(_STDOUT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    os.dup2(_STDERR, _STDOUT)
    return requests, replies


class LogFile:
    """Stderr of the process, its libraries and its children, in a file of bounded size.

    The file lies under the file descriptor, not under Python's ``sys.stderr``, so that what C code writes while it
    crashes is in it, too.
    """

    def __init__(self, path: Path, limit: int = 1 << 20) -> None:
        """Send stderr to a file.

        Args:
            path: What is there is kept; an earlier part goes to the same name with ".1".
            limit: Bytes, of each of the two.

        Raises:
            OSError: When it cannot be written.
        """
        self._path, self._limit = path, limit
        self._open()
        self.rotate()

    def rotate(self) -> None:
        """Begin anew when the file is full; to be called from time to time."""
        if os.fstat(_STDERR).st_size < self._limit:
            return
        self._point_at(os.devnull)  # Windows moves no file that is open
        with suppress(OSError):
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with suppress(OSError):
            self._open()

    def _open(self) -> None:
        self._point_at(self._path)

    @staticmethod
    def _point_at(path: str | Path) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for standard in (_STDOUT, _STDERR):
            os.dup2(file, standard)
        os.close(file)


def read_lines(read: Callable[[], bytes], limit: int) -> Iterator[bytes | None]:
    """Cut what comes into lines.

    Args:
        read: Gives the next bytes, none at the end.
        limit: Bytes of a line.

    Yields:
        Each line without its line break; None for one that is too long, of which never more than the limit is held.
        What follows the last line break is half a message of someone who has gone, and is dropped.
    """
    held, skipping = bytearray(), False
    while chunk := read():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            held += end
            yield None if skipping or len(held) > limit else bytes(held)
            held.clear()
            skipping = False
        held += rest
        if len(held) > limit:
            held.clear()
            skipping = True


class LineWriter:
    """Writes whole lines; several threads may do so at once."""

    def __init__(self, file: int, on_broken: Callable[[], None]) -> None:
        """Write to a file descriptor.

        Args:
            file: The descriptor.
            on_broken: Called when the reader has gone.
        """
        self._file, self._on_broken = file, on_broken
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Write a line, which brings its line break; waits when the reader is slow."""
        data = line.encode("ascii")
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError:
                self._on_broken()
