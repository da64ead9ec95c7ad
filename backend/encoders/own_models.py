"""Models that the user adds to their own folder, and removes from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ModelError, OutputError
from .catalogue import TORCHVISION, model_files, model_folders, shipped_folder, user_folder
from .checkpoint import file_sha256, load_checkpoint
from .checksums import parse_sha256, record_path, record_text
from .model_card import card_path

_ENDING = ".safetensors"
_LONGEST = 200  # bytes of a name; with the endings, files may have 255
_FORBIDDEN = '/\\:*?"<>|'  # in the names of files, on some system


def add_model(file: Path, name: str | None = None, sha256: str | None = None, replace: bool = False) -> Path:
    """Copy a model file into the user's folder, with its checksum and, where it has one, its card.

    Args:
        file: A safetensors file; a card ``NAME.md`` beside it is taken along.
        name: What the model is called there, None for the file's name.
        sha256: The checksum that the file must have, None for any.
        replace: Whether it may take the place of another model of this name.

    Returns:
        Where it is now. It is there when it is whole, and what was there before stays until then.

    Raises:
        ModelError: When the file cannot be used or has another checksum, or the name cannot be had.
        OutputError: When the folder cannot be written.
    """
    name = _checked_name(file.name.removesuffix(_ENDING) if name is None else name)
    wanted = None if sha256 is None else parse_sha256(sha256)
    target = user_folder() / (name + _ENDING)
    _check_seen(target)
    found = load_checkpoint(file).sha256
    if wanted not in (None, found):
        raise ModelError(f"The model file {file} has the checksum {found}, not {wanted}; get it again.")
    with _told_unwritable(target):
        same = target.exists() and file_sha256(target) == found
        if target.exists() and not (same or replace):
            raise _taken(target)
        _put(file, target, found, keep_card=same)
    return target


def check_new_name(name: str, replace: bool = False) -> None:
    """Check that a model can be added under a name, before something that takes long makes it.

    Args:
        name: As of :func:`add_model`.
        replace: As well.

    Raises:
        ModelError: When the name cannot be had.
    """
    target = user_folder() / (_checked_name(name) + _ENDING)
    _check_seen(target)
    if target.exists() and not replace:
        raise _taken(target)


def remove_model(name: str) -> Path:
    """Remove a model from the user's folder, with its checksum and its card.

    Args:
        name: The model's name.

    Returns:
        The file that was removed.

    Raises:
        ModelError: When it is not the user's own.
        OutputError: When it cannot be removed.
    """
    if name in TORCHVISION:
        raise ModelError(f"{name} is no model of your own: it comes with torchvision and cannot be removed.")
    target = user_folder() / (_checked_name(name) + _ENDING)
    if not target.is_file():
        raise ModelError(_why_not_removed(target))
    with _told_unwritable(target, "removed"):
        target.unlink()
        for path in (record_path(target), card_path(target)):
            path.unlink(missing_ok=True)
    return target


def _checked_name(name: str) -> str:
    """The name of a model, without the ending of its file.

    Raises:
        ModelError: When no file can be called so, or when it would not be found by this name.
    """
    name = name.removesuffix(_ENDING)
    bad = not name.isprintable() or any(letter in _FORBIDDEN for letter in name)
    if bad or name != name.strip(" .") or name.startswith("-") or not 0 < len(name.encode()) <= _LONGEST:
        raise ModelError(
            f"{name!r} cannot be the name of a model; choose a short one of letters and digits, without a path."
        )
    if name in TORCHVISION:
        raise ModelError(f"{name} is the name of torchvision's model; choose another --name.")
    return name


def _taken(target: Path) -> ModelError:
    return ModelError(
        f"Another model {target.stem} is in {target.parent} already; choose another --name, or add --replace."
    )


def _check_seen(target: Path) -> None:
    """A model of the same name in a folder that is searched earlier would hide this one.

    Raises:
        ModelError: When there is one.
    """
    for folder in model_folders():
        if folder.resolve() == target.parent.resolve():
            return
        if (folder / target.name).is_file():
            what = "the shipped model" if folder == shipped_folder() else f"the model in {folder}"
            raise ModelError(
                f"{target.stem} is the name of {what}, which is found first; choose another --name."
            )


def _why_not_removed(target: Path) -> str:
    for path in model_files():
        if path.name == target.name:
            if path.parent == shipped_folder():
                return (
                    f"{path.stem} is shipped with Protolabel and cannot be removed; only your own models can."
                )
            return f"{path} is not in your folder {target.parent}; remove the file yourself if it is yours."
    own = sorted(path.stem for path in model_files() if path.parent == target.parent)
    return f"There is no model {target.stem} in {target.parent}; it has {', '.join(own) or 'none'}."


def _put(file: Path, target: Path, sha256: str, keep_card: bool) -> None:
    """Write model, checksum and card beside their places, and then put them there.

    The model comes first: should all end between them, its old checksum tells of it.

    Args:
        file: The model file.
        target: Its place.
        sha256: Of its bytes.
        keep_card: Whether a card that is there already stays when ``file`` has none.

    Raises:
        ModelError: When the file changed meanwhile.
        OSError: When it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[Path, Path] = {}
    in_place = target.exists() and target.samefile(file)
    try:
        if not in_place:
            part = parts[target] = _part(target)
            shutil.copyfile(file, part)
            if file_sha256(part) != sha256:
                raise ModelError(f"The model file {file} changed while it was copied; add it again.")
        record = record_path(target)
        parts[record] = _part(record)
        parts[record].write_text(record_text(target, sha256), encoding="utf-8", newline="\n")
        card = card_path(target)
        if not in_place and card_path(file).is_file():
            parts[card] = _part(card)
            shutil.copyfile(card_path(file), parts[card])
        for path, part in parts.items():
            part.replace(path)
        if not keep_card and card not in parts:
            card.unlink(missing_ok=True)  # of the model that was replaced
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@contextmanager
def _told_unwritable(target: Path, done: str = "written") -> Iterator[None]:
    """Raises OutputError in the place of what the system raises on a full or write-protected disk."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{target} cannot be {done} ({error.strerror or error}); see to the disk and the rights to the folder, "
            "then try again."
        ) from error
