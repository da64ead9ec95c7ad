"""``models``."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """List the models that can be used, the default first."""
    from ..encoders.catalogue import TORCHVISION, model_files, model_folders

    files = list(model_files())
    for number, path in enumerate(files):
        click.echo(f"{path.stem}{'  (default)' if number == 0 else ''}  {path}")
    for number, name in enumerate(TORCHVISION):
        default = "  (default)" if not files and number == 0 else ""
        click.echo(f"{name}{default}  downloaded from torchvision on first use")
    click.echo("Folders that are searched: " + ", ".join(str(folder) for folder in model_folders()))
