"""Class tables in files: CSV with the columns id, name and color, and QGIS styles (QML)."""

from __future__ import annotations

import csv
import io
import os
import re
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree  # nosec B405

from qgis.core import QgsMapLayer, QgsPalettedRasterRenderer, QgsRasterLayer, QgsReadWriteContext
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtXml import QDomDocument

from .classes import ClassEntry, ClassWish
from .translation import tr

_COLUMNS = ("id", "name", "color")
_ALIASES = {"class_id": "id", "class_name": "name", "class": "name", "colour": "color"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LARGEST = 50_000_000  # bytes; styles and tables are far smaller


class ClassFileError(Exception):
    """A file of classes that cannot be read or written; the message is one sentence."""


def write_csv(entries: Sequence[ClassEntry], path: str | Path) -> None:
    """Write the columns id, name and color, in UTF-8.

    Raises:
        ClassFileError: When the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((entry.id, entry.name, entry.color) for entry in entries)
    _write(Path(path), text.getvalue())


def read_csv(path: str | Path) -> list[ClassWish]:
    """Read classes; columns may be separated by commas, semicolons or tabs, and ids and colours may be missing.

    Raises:
        ClassFileError: When the file cannot be read; the message tells the line.
    """
    text = _read(Path(path))
    head = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    wishes: list[ClassWish] = []
    columns: dict[str, int] = {}
    first: dict[object, int] = {}
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells, path)
                continue
            wish = _wish(cells, columns, path, rows.line_num)
            for key in (wish.id, wish.name.casefold() if wish.name else None):
                if key is not None and first.setdefault(key, rows.line_num) != rows.line_num:
                    raise _line_error(
                        path,
                        rows.line_num,
                        tr("{value} is already in line {line}").format(value=repr(key), line=first[key]),
                    )
            wishes.append(wish)
    except csv.Error as error:
        raise _line_error(path, rows.line_num, str(error)) from error
    if not wishes:
        raise ClassFileError(
            tr("{path} holds no class; write the columns id, name and color, with one class a line.").format(
                path=path
            )
        )
    return wishes


def write_qml(entries: Sequence[ClassEntry], path: str | Path) -> None:
    """Write the style of a label map, as QGIS writes the one of a paletted raster.

    Raises:
        ClassFileError: When the file cannot be written.
    """
    classes = [
        QgsPalettedRasterRenderer.Class(entry.id, QColor(entry.color), _NOT_XML.sub(" ", entry.name))
        for entry in entries
    ]
    layer = QgsRasterLayer("", "", "gdal")  # invalid, but with a pipe that can be written
    layer.setRenderer(QgsPalettedRasterRenderer(None, 1, classes))
    document = QDomDocument()
    error = layer.exportNamedStyle(document, QgsReadWriteContext(), QgsMapLayer.StyleCategory.Symbology)
    if error:
        raise ClassFileError(tr("The style cannot be made ({reason}).").format(reason=error))
    _write(Path(path), document.toString(2))


def read_qml(path: str | Path) -> list[ClassWish]:
    """Read the classes of a paletted raster style or of a categorised vector style.

    Raises:
        ClassFileError: When the file cannot be read or holds another style.
    """
    text = _read(Path(path))
    if "<!ENTITY" in text:  # the one thing that makes the parser unsafe
        raise ClassFileError(
            tr("{path} defines XML entities; save the style again in QGIS.").format(path=path)
        )
    try:
        root = ElementTree.fromstring(text)  # nosec B314
    except ElementTree.ParseError as error:
        raise ClassFileError(
            tr("{path} is not a QGIS style ({reason}); choose a file that QGIS saved as .qml.").format(
                path=path, reason=error
            )
        ) from error
    palette = root.findall(".//rasterrenderer[@type='paletted']/colorPalette/paletteEntry")
    renderer = root.find(".//renderer-v2[@type='categorizedSymbol']")
    wishes = list(_palette(palette)) if renderer is None else list(_categories(renderer))
    if not wishes:
        raise ClassFileError(
            tr(
                "{path} holds no classes; choose the style of a paletted raster or of a layer with categories."
            ).format(path=path)
        )
    return wishes


def _columns(cells: Sequence[str], path: str | Path) -> dict[str, int]:
    names = [_ALIASES.get(cell.lower(), cell.lower()) for cell in cells]
    columns = {name: index for index, name in enumerate(names) if name in _COLUMNS}
    if "name" not in columns:
        raise ClassFileError(
            tr("Line 1 of {path} names no column 'name'; begin the file with id,name,color.").format(
                path=path
            )
        )
    return columns


def _wish(cells: Sequence[str], columns: dict[str, int], path: str | Path, line: int) -> ClassWish:
    values = {name: cells[index] for name, index in columns.items() if index < len(cells)}
    id = values.get("id", "")
    if id and not re.fullmatch("[0-9]{1,9}", id):
        raise _line_error(path, line, tr("the id {value} is not a whole number").format(value=repr(id)))
    if not values.get("name"):
        raise _line_error(path, line, tr("the name is missing"))
    color = values.get("color", "")
    if color and not QColor.isValidColor(color):
        raise _line_error(path, line, tr("{value} is not a colour like #1f78b4").format(value=repr(color)))
    return ClassWish(int(id) if id else None, values["name"], QColor(color).name() if color else None)


def _line_error(path: str | Path, line: int, reason: str) -> ClassFileError:
    return ClassFileError(
        tr("Line {line} of {path} cannot be used: {reason}; correct it.").format(
            line=line, path=path, reason=reason
        )
    )


def _palette(entries: Iterable[ElementTree.Element]) -> Iterable[ClassWish]:
    for entry in entries:
        id = _id(entry.get("value"))
        if id is not None:
            yield ClassWish(id, entry.get("label") or None, _color(entry.get("color")))


def _categories(renderer: ElementTree.Element) -> Iterable[ClassWish]:
    symbols = {symbol.get("name"): symbol for symbol in renderer.findall("symbols/symbol")}
    for category in renderer.findall("categories/category"):
        value, label = category.get("value") or "", category.get("label") or ""
        if not value or value == "NULL":  # "all other values"
            continue
        symbol = symbols.get(category.get("symbol"))
        yield ClassWish(_id(value), label.strip() or value, _symbol_color(symbol))


def _symbol_color(symbol: ElementTree.Element | None) -> str | None:
    """The fill of a symbol: "red,green,blue,alpha"; newer versions of QGIS append the same in another form."""
    if symbol is None:
        return None
    for tag, key, value in (("Option", "name", "value"), ("prop", "k", "v")):
        for option in symbol.iter(tag):
            if option.get(key) in ("color", "line_color") and "," in (option.get(value) or ""):
                parts = (option.get(value) or "").split(",")[:3]
                if len(parts) == 3 and all(part.isdecimal() and int(part) < 256 for part in parts):
                    return QColor(*(int(part) for part in parts)).name()
    return None


def _id(value: str | None) -> int | None:
    """A whole number that is not negative, else None; QGIS also writes 3.0."""
    match = re.fullmatch(r"([0-9]{1,9})(\.0*)?", (value or "").strip())
    return int(match.group(1)) if match else None


def _color(value: str | None) -> str | None:
    color = QColor(value or "")
    return color.name() if color.isValid() else None


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise ClassFileError(
                tr("{path} is too large for a file of classes; choose another one.").format(path=path)
            )
        data = path.read_bytes()
    except OSError as error:
        raise ClassFileError(
            tr("{path} cannot be read ({reason}); choose another file.").format(
                path=path, reason=error.strerror or error
            )
        ) from error
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding)
    raise ClassFileError(tr("{path} is not a text file; save it in UTF-8.").format(path=path))


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        try:
            part.write_bytes(text.encode())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise ClassFileError(
            tr("{path} cannot be written ({reason}); choose a folder that can be written to.").format(
                path=path, reason=error.strerror or error
            )
        ) from error
