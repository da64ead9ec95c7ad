"""What ends a training before its last iteration, told in one sentence; the same command goes on with it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import lightning
from filelock import FileLock, Timeout

from ..errors import Cancelled, OutputError, ProtolabelError
from .checkpoints import causes


@contextmanager
def alone_in(folder: Path, trainer: lightning.Trainer) -> Iterator[None]:
    """Within, no other training can be started in the folder; the system frees it even if this process is killed.

    Args:
        folder: Of the run.
        trainer: Tells whether this is the first of several processes, which speaks for all.

    Raises:
        ProtolabelError: When one is at work there.
    """
    lock = FileLock(folder / "lock")
    try:
        if trainer.is_global_zero:
            with suppress(NotImplementedError):  # some network drives have no locks
                lock.acquire(timeout=0)
        yield
    except Timeout as error:
        raise ProtolabelError(
            f"Another process is training in {folder}; wait for it, or choose another name."
        ) from error
    finally:
        lock.release()


@contextmanager
def interruptions_told(folder: Path, trainer: lightning.Trainer) -> Iterator[None]:
    """Within, Lightning trains.

    Args:
        folder: Of the run.
        trainer: Lightning's.

    Raises:
        Cancelled: After Ctrl+C or SIGTERM, for which Lightning exits without a word.
        ProtolabelError: When a process that reads episodes was killed, or logs or pictures cannot be written.
    """
    stopped = Cancelled(
        f"Stopped; the same command goes on from the last checkpoint in {folder}, if there is one."
    )
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        raise stopped from error
    except Exception as error:
        # Batch systems send SIGTERM to the loader's processes too; in the middle of torch.save, Ctrl+C is but the cause
        # of another error.
        interrupted = any(isinstance(cause, KeyboardInterrupt) for cause in causes(error))
        killed = isinstance(error, RuntimeError) and "DataLoader worker" in str(error)
        if interrupted or (killed and trainer.received_sigterm):
            raise stopped from error
        reason = " ".join(str(error).split()).rstrip(".")
        if killed:
            raise ProtolabelError(
                f"A process that reads episodes was killed ({reason}); lower run.workers, and the same command goes on."
            ) from error
        if isinstance(error, OSError):
            raise OutputError(
                f"The training in {folder} cannot go on ({reason}); mend the disk or the folder, and the same command "
                "goes on."
            ) from error
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)  # Lightning switches Ctrl+C off while it stops
