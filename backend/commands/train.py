"""``train CONFIG [key=value ...]``."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("changes", nargs=-1)
@click.option("--progress/--no-progress", default=True, show_default=True, help="Show a progress bar.")
def command(config: Path, changes: tuple[str, ...], progress: bool) -> None:
    """Train an encoder by episodes as CONFIG (.yaml) says; "optimizer.lr=0.01" changes a key.

    A training that was interrupted goes on from its last checkpoint when the same command is given again.
    """
    from ..training.configuration import read_experiment

    experiment = read_experiment(config, changes)
    from ..training.loop import train

    # Lightning tells of its own products, and warns of what is meant: batch normalisation that stays as it is, and a
    # loader that begins where the run stands.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    model = train(experiment, progress)
    click.echo(str(model))
