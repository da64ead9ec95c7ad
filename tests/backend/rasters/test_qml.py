"""The styles are well-formed, hold every class, and are written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from backend.errors import OutputError
from backend.rasters.palette import colors_for
from backend.rasters.qml import add_category_names, write_confidence_qml, write_qml
from backend.rasters.support import ClassInfo

_CLASSES = (ClassInfo(0, 'a < b & "c"'), ClassInfo(7, "Straße\x0bé"), ClassInfo(65_534, "water"))


def _renderer(path: Path) -> ElementTree.Element:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE qgis")
    root = ElementTree.fromstring(text)
    assert root.tag == "qgis" and root.get("version", "").startswith("3.22")
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    return renderer


def test_label_style_holds_every_class(tmp_path: Path) -> None:
    colors = colors_for(_CLASSES)
    style = write_qml(tmp_path / "map.v2.tif", _CLASSES, colors)
    assert style == tmp_path / "map.v2.qml"
    renderer = _renderer(style)
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    entries = renderer.findall("colorPalette/paletteEntry")
    assert [entry.get("value") for entry in entries] == ["0", "7", "65534"]
    assert [entry.get("label") for entry in entries] == ['a < b & "c"', "Straße é", "water"]
    assert [entry.get("color") for entry in entries] == [
        "#{:02x}{:02x}{:02x}".format(*c) for c in colors.values()
    ]
    assert {entry.get("alpha") for entry in entries} == {"255"}
    assert [file.name for file in tmp_path.iterdir()] == ["map.v2.qml"]


def test_label_style_is_deterministic_and_replaces(tmp_path: Path) -> None:
    colors = colors_for(_CLASSES)
    (tmp_path / "map.qml").write_text("old")
    first = write_qml(tmp_path / "map.qml", _CLASSES, colors).read_bytes()
    assert write_qml(tmp_path / "map.tif", _CLASSES, colors).read_bytes() == first


def test_confidence_style_is_continuous(tmp_path: Path) -> None:
    renderer = _renderer(write_confidence_qml(tmp_path / "confidence.tif", low=0, high=200, band=2))
    assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", "2")
    assert (renderer.get("classificationMin"), renderer.get("classificationMax")) == ("0", "200")
    shader = renderer.find("rastershader/colorrampshader")
    assert shader is not None and shader.get("colorRampType") == "INTERPOLATED"
    values = [float(item.get("value", "nan")) for item in shader.findall("item")]
    assert values == sorted(values) and (values[0], values[-1]) == (0.0, 200.0)


def test_failure_names_the_style_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"map\.qml"):
        write_qml(tmp_path / "missing" / "map.tif", _CLASSES, colors_for(_CLASSES))
    with pytest.raises(OutputError, match=r"map\.qml"):
        write_confidence_qml(tmp_path / "file" / "map.tif")
    (tmp_path / "taken.qml").mkdir()
    with pytest.raises(OutputError, match=r"taken\.qml"):
        write_confidence_qml(tmp_path / "taken.tif")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "taken.qml"]


def test_category_names_join_an_earlier_sidecar(tmp_path: Path) -> None:
    aux = tmp_path / "map.tif.aux.xml"
    aux.write_text(
        '<PAMDataset><SRS>X</SRS><PAMRasterBand band="1"><UnitType>m</UnitType></PAMRasterBand></PAMDataset>'
    )
    add_category_names(aux, ["", "a & b\x00"])
    add_category_names(aux, ["", "a & b\x00"])
    root = ElementTree.fromstring(aux.read_bytes())
    assert (root.findtext("SRS"), root.findtext("PAMRasterBand/UnitType")) == ("X", "m")
    assert [name.text or "" for name in root.findall("PAMRasterBand/CategoryNames/Category")] == [
        "",
        "a & b ",
    ]
