"""How Lightning writes and reads checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from .checkpoints import told_damaged, write_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames: what is under the name is always whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; Lightning calls this.

        Raises:
            OutputError: When it cannot be written.
        """
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint; Lightning calls this.

        Raises:
            ProtolabelError: When it is damaged.
        """
        with told_damaged(path):
            checkpoint: dict[str, Any] = super().load_checkpoint(path, *arguments, **options)
        return checkpoint
