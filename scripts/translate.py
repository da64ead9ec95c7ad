"""Brings the translations up to date with the texts in the plugin's code, and compiles them.

    python3 scripts/translate.py de fr

Every ``tr("text")`` goes into ``resources/i18n/protolabel_LANGUAGE.ts``, where Qt Linguist or any editor fills in what
is missing; what was translated stays, texts that are gone go. Qt's own pylupdate files texts under the class that they
are in, but the plugin looks all of them up in one context.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "resources" / "i18n"
CONTEXT = "Protolabel"


def texts(code: str) -> Iterator[str]:
    """The texts that a module's code gives to ``tr``."""
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"):
            continue
        text = node.args[0] if node.args else None
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
            raise SystemExit(
                f"Line {node.lineno}: tr() takes one text, as it stands; use .format() outside of it."
            )
        yield text.value


def sources() -> dict[str, list[str]]:
    """All texts of the plugin, each with the files that it is in."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "plugin").rglob("*.py")):
        try:
            for text in texts(path.read_text(encoding="utf-8")):
                found.setdefault(text, []).append(path.relative_to(ROOT).as_posix())
        except SystemExit as error:
            raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from error
    return found


def translated(path: Path) -> dict[str, str]:
    """What a .ts file has translated already."""
    if not path.exists():
        return {}
    messages = ElementTree.parse(path).getroot().iter("message")
    pairs = ((m.findtext("source", ""), m.findtext("translation", "")) for m in messages)
    return {source: translation for source, translation in pairs if translation}


def update(language: str) -> tuple[Path, int]:
    """Write a language's .ts file; returns it, and how many texts it lacks."""
    path = FOLDER / f"protolabel_{language}.ts"
    known, missing = translated(path), 0
    root = ElementTree.Element("TS", {"version": "2.1", "language": language, "sourcelanguage": "en"})
    context = ElementTree.SubElement(root, "context")
    ElementTree.SubElement(context, "name").text = CONTEXT
    for text, files in sources().items():
        message = ElementTree.SubElement(context, "message")
        for file in dict.fromkeys(files):
            ElementTree.SubElement(message, "location", {"filename": f"../../{file}"})
        ElementTree.SubElement(message, "source").text = text
        translation = ElementTree.SubElement(message, "translation")
        if text in known:
            translation.text = known[text]
        else:
            translation.set("type", "unfinished")
            missing += 1
    ElementTree.indent(root)
    FOLDER.mkdir(parents=True, exist_ok=True)
    body = ElementTree.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n', encoding="utf-8")
    return path, missing


def main(languages: list[str]) -> None:
    """Update the named languages, or all that there are."""
    known = [path.stem.partition("_")[2] for path in sorted(FOLDER.glob("protolabel_*.ts"))]
    chosen = languages or known
    if not chosen:
        raise SystemExit("There is no translation yet; name a language, for example: scripts/translate.py de")
    for language in chosen:
        path, missing = update(language)
        print(f"{path.relative_to(ROOT)}: {missing} texts are not translated")
        lrelease = shutil.which("lrelease") or shutil.which("lrelease-qt5") or shutil.which("lrelease6")
        if lrelease is None:
            raise SystemExit(
                "lrelease is missing; install it (Debian: qttools5-dev-tools), then run this again."
            )
        subprocess.run([lrelease, "-silent", str(path)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
