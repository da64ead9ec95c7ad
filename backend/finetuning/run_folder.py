"""The folder of a run: what it was asked for, its journal, its checkpoint, its models, its picture, its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image

from ..training.checkpoints import read_checkpoint, told_unwritable, write_checkpoint
from .options import FinetuneOptions, FinetuningError

_OPTIONS = "finetuning.json"


class RunFolder:
    """Where a run keeps everything; each file appears under its name only when it is whole.

    Attributes:
        folder: The folder.
        best: The best model so far, with its card beside it.
        journal: One JSON object a line, in the order of the iterations.
        picture: An episode, replaced now and then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best, self.card = folder / "best.safetensors", folder / "best.md"
        self.journal, self.picture = folder / "journal.jsonl", folder / "example.png"
        self._checkpoint, self._result = folder / "last.ckpt", folder / "result.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, no other run can be started here; the system frees the folder even if this process is killed.

        Raises:
            FinetuningError: When one is at work here.
            OutputError: When the folder cannot be written.
        """
        with told_unwritable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        with told_unwritable(self.folder), suppress(NotImplementedError):  # some network drives have no locks
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise FinetuningError(
                    f"Another fine-tuning is at work in {self.folder}; wait for it, or choose another folder."
                ) from error
        try:
            yield
        finally:
            lock.release()

    def require_free(self) -> None:
        """Check that there is no run here.

        Raises:
            FinetuningError: When there is one.
        """
        if (self.folder / _OPTIONS).exists():
            raise FinetuningError(
                f"{self.folder} holds a fine-tuning already; resume it, or choose another folder for a new one."
            )

    def claim(self, options: FinetuneOptions) -> None:
        """Keep what a new run was asked for, once it is known that it can be done.

        Raises:
            FinetuningError: When there is a run here already.
            OutputError: When it cannot be written.
        """
        self.require_free()
        self._write(_OPTIONS, options.to_json())

    def options(self) -> FinetuneOptions:
        """What the run here was asked for.

        Raises:
            FinetuningError: When there is none.
        """
        path = self.folder / _OPTIONS
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FinetuningError(
                f"There is no fine-tuning in {self.folder} that could be resumed; choose the folder of one."
            ) from error
        return FinetuneOptions.from_json(values if isinstance(values, dict) else {}, str(path))

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the run is resumed from; what was kept before stays until this is whole.

        Raises:
            OutputError: When it cannot be written.
        """
        write_checkpoint(checkpoint, self._checkpoint)

    def restore(self) -> dict[str, Any] | None:
        """What the run is resumed from, None where it was ended before its first checkpoint.

        Raises:
            ProtolabelError: When it is damaged.
        """
        return read_checkpoint(self._checkpoint) if self._checkpoint.exists() else None

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line to the journal.

        Raises:
            OutputError: When it cannot be written.
        """
        with told_unwritable(self.journal), self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def forget_after(self, iteration: int) -> None:
        """Take back the lines of iterations that a resumed run does again, and what a kill left of a line.

        Raises:
            OutputError: When it cannot be written.
        """
        kept = [json.dumps(entry) + "\n" for entry in self.entries() if entry["iteration"] <= iteration]
        self._write(self.journal.name, "".join(kept))

    def entries(self) -> Iterator[dict[str, Any]]:
        """The lines of the journal."""
        with suppress(FileNotFoundError), self.journal.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError):  # half a line
                    yield json.loads(line)

    def draw(self, picture: Image.Image) -> None:
        """Replace the picture, where that is possible: no run ends for it.

        Windows does not let a file be replaced while somebody looks at it; the next one will be.
        """
        part = self.picture.with_name(self.picture.name + ".part")
        with suppress(OSError):
            try:
                picture.save(part, "PNG")
                part.replace(self.picture)
            finally:
                part.unlink(missing_ok=True)

    def write_card(self, text: str) -> None:
        """Write the card of the best model.

        Raises:
            OutputError: When it cannot be written.
        """
        self._write(self.card.name, text)

    def finish(self, result: dict[str, Any]) -> None:
        """Keep the result.

        Raises:
            OutputError: When it cannot be written.
        """
        self._write(self._result.name, result)

    def result(self) -> dict[str, Any]:
        """The result of a run that has ended.

        Raises:
            FinetuningError: When there is none.
        """
        try:
            values: dict[str, Any] = json.loads(self._result.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FinetuningError(
                f"There is no fine-tuning in {self.folder} that has ended; resume it first, or choose another folder."
            ) from error
        return values

    def _write(self, name: str, content: str | dict[str, Any]) -> None:
        path = self.folder / name
        part = path.with_name(name + ".part")
        text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
        with told_unwritable(path):
            try:
                part.write_text(text, encoding="utf-8", newline="\n")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
