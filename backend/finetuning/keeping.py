"""Saves the model of a run among the user's own models."""

from __future__ import annotations

from pathlib import Path

from ..encoders.own_models import add_model
from .options import FinetuningError
from .run_folder import RunFolder


def keep_tuned(folder: str | Path, name: str, replace: bool = False, keep_worse: bool = False) -> Path:
    """Save the best model of a run that has ended, with its card.

    Args:
        folder: Of the run.
        name: What the model is called from now on.
        replace: Whether it may take the place of another model of this name.
        keep_worse: Whether it is saved although it labels the hold-out worse than the model that it began from.

    Returns:
        The file in the user's folder.

    Raises:
        FinetuningError: When the run has not ended, or its model is worse and that is not wanted.
        ModelError: When the name cannot be had.
        OutputError: When it cannot be written.
    """
    run = RunFolder(Path(folder))
    result = run.result()
    if result["verdict"] == "worse" and not keep_worse:
        raise FinetuningError(
            "The tuned model labels the hold-out worse than the model it began from, so it is not saved; it stays in "
            f"{run.folder}, and --keep-worse saves it all the same."
        )
    _, _, text = result["card"].partition("\n")
    run.write_card(f"# {name}\n{text}")
    return add_model(run.best, name, replace=replace)
