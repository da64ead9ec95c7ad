"""``models``: list, show, verify, add and remove models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click


@dataclass(frozen=True)
class _Listed:
    """A model as ``models list`` tells of it.

    Attributes:
        name: What ``--model`` takes.
        path: None for torchvision's.
        bytes: Size of the file, None for torchvision's.
        checksum: How the file stands to its recorded checksum, see ``ChecksumState``; None for torchvision's.
        default: Whether it is used when none is named.
        hidden: Whether a model found earlier has the same name, so that only the path leads to this one.
        about: What the card says in short.
    """

    name: str
    path: str | None
    bytes: int | None
    checksum: str | None
    default: bool
    hidden: bool
    about: str


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """The models that can be used; lists them when nothing else is asked for."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def list_models(as_json: bool = False) -> None:
    """List the models, the default first."""
    from ..encoders.catalogue import model_folders
    from ..estimate import size

    models, folders = _listed(), [str(folder) for folder in model_folders()]
    if as_json:
        click.echo(json.dumps({"models": [asdict(model) for model in models], "folders": folders}))
        return
    for model in models:
        notes = [note for note, is_so in (("default", model.default), ("hidden", model.hidden)) if is_so]
        click.echo(model.name + (f"  ({', '.join(notes)})" if notes else ""))
        if model.path is None:
            click.echo("    downloaded from torchvision on first use")
        else:
            click.echo(f"    {model.path}")
            click.echo(f"    {size(model.bytes or 0)}, checksum {model.checksum}")
        click.echo(f"    {model.about}")
    if any(model.hidden for model in models):
        click.echo("A hidden model has the name of one above; name it by its path.")
    click.echo("Folders that are searched: " + ", ".join(folders))


@command.command()
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """Print the card of a model.

    It tells what the model NAME, or the default one, was trained on, and for which imagery.
    """
    from ..encoders.catalogue import TORCHVISION, find_model, model_files
    from ..encoders.model_card import model_card, torchvision_card

    if name is None:
        name = next((str(path) for path in model_files()), next(iter(TORCHVISION)))
    click.echo(torchvision_card(name) if name in TORCHVISION else model_card(find_model(name)), nl=False)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Check models: load them, and compare their checksums.

    Every value is looked at, of each NAME, or of all model files. Ends with 0 where all are fine, with 2 where one is
    not.
    """
    from ..encoders.catalogue import TORCHVISION, find_model, load_model, model_files
    from ..encoders.checksums import recorded_sha256
    from ..encoders.verification import verify_model
    from ..errors import ModelError

    if not names and not any(model_files()):
        click.echo("There is no model file to verify.")
    ended = 0
    chosen = [None if name in TORCHVISION else find_model(name) for name in names] or [*model_files()]
    for path, name in zip(chosen, names or [path.stem for path in model_files()], strict=True):
        try:
            if path is None:
                load_model(name)
            else:
                verify_model(path)
            known = path is None or recorded_sha256(path) is not None
            click.echo(f"{name}: OK{'' if known else ', but no checksum is recorded for it'}")
        except ModelError as error:
            click.echo(f"{name}: {error}")
            ended = 2
    if ended:
        raise click.exceptions.Exit(ended)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What the model is called.  [default: the file's name]")
@click.option("--sha256", metavar="HEX", help="The checksum that the file must have, of its publisher.")
@click.option("--replace", is_flag=True, help="Take the place of another model of this name.")
def add(file: Path, name: str | None, sha256: str | None, replace: bool) -> None:
    """Copy a model into your own folder.

    FILE has to be one that can be used. Its checksum is recorded, so that damage is told from then on.

    A card, a text in Markdown with the model's name and the ending .md, is taken along.
    """
    from ..encoders.own_models import add_model

    path = add_model(file, name, sha256, replace)
    click.echo(f"Added {path.stem} as {path}.")


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a model from your own folder."""
    from ..encoders.own_models import remove_model

    click.echo(f"Removed {remove_model(name)}.")


def _listed() -> list[_Listed]:
    from ..card_text import first_paragraph
    from ..encoders.catalogue import TORCHVISION, model_files
    from ..encoders.model_card import model_card, torchvision_card
    from ..encoders.verification import checksum_state
    from ..errors import ModelError

    found: list[_Listed] = []
    for path in model_files():
        try:
            about = first_paragraph(model_card(path))
        except ModelError as error:
            about = str(error)
        hidden = any(path.stem == model.name for model in found)
        state = checksum_state(path)
        found.append(_Listed(path.stem, str(path), path.stat().st_size, state, not found, hidden, about))
    for name in TORCHVISION:
        about = first_paragraph(torchvision_card(name))
        found.append(_Listed(name, None, None, None, not found, False, about))
    return found
