"""What is read beside a raster: by QGIS its style, ``<stem>.qml``, by GDAL its names, ``.aux.xml``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree  # nosec B405 - expat since 2.4.1 stops entities that grow

from ..errors import OutputError
from .palette import Color, hex_color
from .parts import part_path
from .support import ClassInfo

# Viridis at equal steps: even to the eye, in grey print and for colour-blind eyes.
_VIRIDIS: tuple[Color, ...] = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VERSION = "3.22.0"  # the oldest QGIS that is supported; newer ones convert what has changed since


def write_qml(path: str | Path, classes: Sequence[ClassInfo], colors: Mapping[int, Color]) -> Path:
    """Write the style of a label map: one entry per class, with its name.

    Args:
        path: The label map or the style itself; the ending becomes ``.qml``.
        classes: In the order of the legend.
        colors: Red, green and blue, 0..255, by class id.

    Returns:
        The style's path.

    Raises:
        OutputError: When it cannot be written.
    """
    renderer = _renderer("paletted")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for info in classes:
        entry = {
            "value": str(info.id),
            "color": hex_color(colors[info.id]),
            "label": _xml_text(info.name),
            "alpha": "255",
        }
        ElementTree.SubElement(palette, "paletteEntry", entry)
    return _write(path, renderer)


def write_confidence_qml(path: str | Path, low: float = 0.0, high: float = 100.0, band: int = 1) -> Path:
    """Write the style of a confidence raster: viridis from dark (unsure) to bright (sure).

    Args:
        path: The raster or the style itself; the ending becomes ``.qml``.
        low, high: The values with the first and the last colour.
        band: The band with the confidence, from 1.

    Returns:
        The style's path.

    Raises:
        OutputError: When it cannot be written.
    """
    bounds = {"classificationMin": _number(low), "classificationMax": _number(high)}
    renderer = _renderer("singlebandpseudocolor", band=str(band), **bounds)
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"),
        "colorrampshader",
        {
            "colorRampType": "INTERPOLATED",
            "classificationMode": "1",
            "clip": "0",
            "minimumValue": _number(low),
            "maximumValue": _number(high),
        },
    )
    last = len(_VIRIDIS) - 1
    ramp = ElementTree.SubElement(shader, "colorramp", {"type": "gradient", "name": "[source]"})
    options = ElementTree.SubElement(ramp, "Option", {"type": "Map"})
    stops = ":".join(f"{i / last:g};{_rgba(color)}" for i, color in enumerate(_VIRIDIS) if 0 < i < last)
    gradient = {
        "color1": _rgba(_VIRIDIS[0]),
        "color2": _rgba(_VIRIDIS[-1]),
        "discrete": "0",
        "rampType": "gradient",
        "stops": stops,
    }
    for name, text in gradient.items():
        ElementTree.SubElement(options, "Option", {"type": "QString", "name": name, "value": text})
    for i, color in enumerate(_VIRIDIS):
        value = _number(low + (high - low) * i / last)
        item = {"value": value, "label": value, "color": hex_color(color), "alpha": "255"}
        ElementTree.SubElement(shader, "item", item)
    return _write(path, renderer)


def add_category_names(aux: Path, names: Sequence[str]) -> None:
    """Put the names of band 1's values into GDAL's sidecar: in a GeoTIFF it finds no names.

    Args:
        aux: ``<raster file>.aux.xml``; what it holds already, like a coordinate system, is kept.
        names: By value from 0 on.

    Raises:
        OSError: When it cannot be written.
    """
    root = ElementTree.Element("PAMDataset")
    if aux.exists():  # which GDAL has just written
        root = ElementTree.fromstring(aux.read_bytes())  # nosec B314 - see the import
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        band = ElementTree.SubElement(root, "PAMRasterBand", {"band": "1"})
    for old in band.findall("CategoryNames"):
        band.remove(old)
    categories = ElementTree.SubElement(band, "CategoryNames")
    for name in names:
        ElementTree.SubElement(categories, "Category").text = _xml_text(name)
    ElementTree.indent(root)
    aux.write_bytes(ElementTree.tostring(root, encoding="utf-8") + b"\n")


def category_names_beside(raster: str | Path) -> list[str]:
    """The names of band 1's values, from 0 on, in GDAL's sidecar of a raster; none without it."""
    try:
        root = ElementTree.fromstring(Path(f"{raster}.aux.xml").read_bytes())  # nosec B314 - see the import
    except (OSError, ValueError, ElementTree.ParseError):
        return []
    found = root.findall("PAMRasterBand[@band='1']/CategoryNames/Category")
    return [(category.text or "").strip() for category in found]


def _xml_text(text: str) -> str:
    """Replace the characters that XML cannot hold, not even escaped."""
    return _NOT_XML.sub(" ", text)


def _renderer(kind: str, band: str = "1", **attributes: str) -> ElementTree.Element:
    fixed = {"type": kind, "band": band, "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ElementTree.Element("rasterrenderer", {**fixed, **attributes})
    ElementTree.SubElement(renderer, "rasterTransparency")
    origin = ElementTree.SubElement(renderer, "minMaxOrigin")
    # Without this QGIS may replace the range by the statistics of what is on the screen.
    for name, text in (("limits", "None"), ("extent", "WholeRaster"), ("statAccuracy", "Estimated")):
        ElementTree.SubElement(origin, name).text = text
    return renderer


def _write(path: str | Path, renderer: ElementTree.Element) -> Path:
    target = Path(path).with_suffix(".qml")
    root = ElementTree.Element("qgis", {"version": _VERSION, "styleCategories": "Symbology"})
    pipe = ElementTree.SubElement(root, "pipe")
    resampling = {
        "enabled": "false",
        "maxOversampling": "2",
        "zoomedInResamplingMethod": "nearestNeighbour",
        "zoomedOutResamplingMethod": "nearestNeighbour",
    }
    ElementTree.SubElement(ElementTree.SubElement(pipe, "provider"), "resampling", resampling)
    pipe.append(renderer)
    ElementTree.SubElement(pipe, "brightnesscontrast", {"brightness": "0", "contrast": "0", "gamma": "1"})
    ElementTree.SubElement(pipe, "huesaturation", {"saturation": "0", "grayscaleMode": "0"})
    ElementTree.SubElement(pipe, "rasterresampler", {"maxOversampling": "2"})
    ElementTree.SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    text = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    text += ElementTree.tostring(root, encoding="unicode") + "\n"
    part = part_path(target, "style")
    try:
        try:
            part.write_bytes(text.encode())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"The style {target} cannot be written ({reason}); choose a folder that can be written to."
        ) from error
    return target


def _number(value: float) -> str:
    return f"{value:g}"


def _rgba(color: Color) -> str:
    return ",".join(str(channel) for channel in (*color, 255))
