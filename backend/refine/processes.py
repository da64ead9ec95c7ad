"""Processes for DenseCRF, which holds Python's lock while it works; they import no torch."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
from loky import ProcessPoolExecutor

_INTERVAL = 1.0  # seconds between looks at the parent


def refining_processes(workers: int) -> ProcessPoolExecutor:
    """Start processes of one thread each, which end with this one even when it is killed."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return ProcessPoolExecutor(workers, env=single, initializer=_end_with, initargs=(os.getpid(),))


def _end_with(parent: int) -> None:
    """Watch the parent; the pool's own processes would wait for work for ever."""
    # A terminal's Ctrl-C goes to these processes as well. The parent ends them; a pool of which some have ended by
    # themselves in the middle of a block may be waited for without end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        # Where orphans get another parent, the first is telling; elsewhere only the second.
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(_INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
