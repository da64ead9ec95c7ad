"""The journal of an evaluation: an append-only file of counts from which an interrupted one continues."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError, ProtolabelError
from .counts import Counts

Block = tuple[int, int]
"""Seed of the run and first episode of a block."""


class JournalError(ProtolabelError):
    """A journal that belongs to another evaluation or is damaged."""


class Journal:
    """JSON lines: the settings of the evaluation first, then the counts of one block of episodes each.

    A line counts once its end of line is there. A process that is killed while it writes leaves part of a line, which
    the next one cuts off. Nothing that was written is ever written again.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], labels: int) -> None:
        """Open a journal, or begin one.

        Args:
            path: The file; its folder is made.
            settings: Whatever the counts depend on, as JSON takes it; a journal of other settings is refused.
            labels: How many labels are counted, the background among them.

        Raises:
            JournalError: When the file is of other settings, or damaged before its last line.
            OutputError: When it cannot be written.
        """
        self.path, self._labels = path, labels
        self.blocks: dict[Block, Counts] = {}
        header = {
            "protolabel": "evaluation",
            "labels": labels,
            "settings": json.loads(json.dumps(dict(settings))),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                os.truncate(path, len(whole))
        except OSError as error:
            raise OutputError(
                f"The journal {path} cannot be written ({error.strerror}); choose another output folder."
            ) from error
        if not whole:
            self._append(header)
            return
        records = [self._parse(line, number) for number, line in enumerate(whole.splitlines(), start=1)]
        self._check_header(records[0], header)
        for number, record in enumerate(records[1:], start=2):
            self._take(record, number)

    def write(self, block: Block, episodes: int, counts: Counts) -> None:
        """Append the counts of a block; they are on the disk when this returns."""
        seed, first = block
        self._append(
            {
                "seed": seed,
                "first": first,
                "episodes": episodes,
                "confusion": counts.confusion.tolist(),
                "absent": counts.absent.tolist(),
            }
        )
        self.blocks[block] = counts

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"The journal {self.path} cannot be written ({error.strerror}); "
                "what it holds is whole: mend the disk and start again to continue."
            ) from error

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise self._damaged(number)
        return record

    def _check_header(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if found == wanted:
            return
        before, now = found.get("settings"), wanted["settings"]
        if found.get("protolabel") != "evaluation" or not isinstance(before, dict):
            raise JournalError(
                f"{self.path} is not the journal of an evaluation; choose another output folder."
            )
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        raise JournalError(
            f"{self.path} belongs to an evaluation with other settings ({', '.join(changed) or 'classes'}); "
            "choose another output folder, or remove it to start anew."
        )

    def _take(self, record: Mapping[str, Any], number: int) -> None:
        try:
            block = int(record["seed"]), int(record["first"])
            counts = Counts(
                np.array(record["confusion"], np.int64).reshape(self._labels, self._labels),
                np.array(record["absent"], np.int64).reshape(self._labels),
            )
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise self._damaged(number) from error
        self.blocks[block] = counts

    def _damaged(self, number: int) -> JournalError:
        return JournalError(
            f"Line {number} of the journal {self.path} is damaged; remove the file to start anew."
        )
