"""Class tables in CSV and QML files."""

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor


@pytest.fixture
def files(plugin_module, qgis_app):
    return plugin_module("plugin.class_files")


@pytest.fixture
def entries(plugin_module):
    entry = plugin_module("plugin.classes").ClassEntry
    return [entry(3, 'Wäßer; "deep", cold', "#0072b2"), entry(0, "<feld> & wiese", "#e69f00")]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mit Leer zeichen ä"
    folder.mkdir()
    return folder


def as_tuples(items):
    return [(item.id, item.name, item.color) for item in items]


def test_csv_round_trip(files, entries, folder):
    path = folder / "klassen.csv"
    files.write_csv(entries, path)
    assert path.read_text("utf-8").startswith("id,name,color\n")
    assert as_tuples(files.read_csv(path)) == as_tuples(entries)
    assert [p.name for p in folder.iterdir()] == ["klassen.csv"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfid;name;color\r\n1;Stra\xc3\x9fe;#ff0000\r\n\r\n2;See;\r\n",
        "ID\tName\n1\tStraße\n2\tSee\n".encode("utf-16"),
        "class_id,class_name,colour\n1,Straße,red\n2,See\n".encode("cp1252"),
    ],
)
def test_csv_of_other_programs(files, folder, data):
    path = folder / "a.csv"
    path.write_bytes(data)
    wishes = files.read_csv(path)
    assert [(wish.id, wish.name) for wish in wishes] == [(1, "Straße"), (2, "See")]
    assert wishes[1].color is None and wishes[0].color in ("#ff0000", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name,color\n1,water,#0000ff\nx,field,\n", "Line 3 .* id 'x' is not a whole number"),
        ("id,name,color\n-1,water,\n", "Line 2 .* '-1'"),
        ("id,name,color\n1,,\n", "Line 2 .* name is missing"),
        ("id,name,color\n\n1,water,blau\n", "Line 3 .* 'blau' is not a colour"),
        ("id,name,color\n1,water,\n2,Water,\n", "Line 3 .*'water' is already in line 2"),
        ("id,name,color\n1,water,\n1,field,\n", "Line 3 .*1 is already in line 2"),
        ("1,water,#0000ff\n", "id,name,color"),
        ("id,name,color\n", "holds no class"),
        ("", "holds no class"),
    ],
)
def test_broken_csv_names_the_line(files, folder, text, message):
    path = folder / "a.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(files.ClassFileError, match=message):
        files.read_csv(path)


def test_files_that_cannot_be_read_or_written(files, entries, folder):
    for read in (files.read_csv, files.read_qml):
        with pytest.raises(files.ClassFileError, match="cannot be read"):
            read(folder / "none")
    for write in (files.write_csv, files.write_qml):
        with pytest.raises(files.ClassFileError, match="cannot be written"):
            write(entries, folder / "none" / "a")


def test_qgis_loads_the_style_that_is_written(files, entries, folder):
    path = folder / "stil.qml"
    files.write_qml(entries, path)
    raster = folder / "labels.asc"
    raster.write_text("ncols 2\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n0 3\n")
    layer = QgsRasterLayer(str(raster), "labels", "gdal")
    _, done = layer.loadNamedStyle(str(path))
    assert done and isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    classes = [(int(c.value), c.label, c.color.name()) for c in layer.renderer().classes()]
    assert classes == as_tuples(entries)

    layer.saveNamedStyle(str(folder / "again.qml"))
    assert as_tuples(files.read_qml(folder / "again.qml")) == as_tuples(entries)


def test_categorised_vector_styles(files, folder):
    layer = QgsVectorLayer("Polygon?field=kind:string", "a", "memory")
    symbol = QgsFillSymbol.createSimple({"color": "10,20,30,70"})
    other = QgsFillSymbol.createSimple({"color": "200,100,50,255"})
    categories = [
        QgsRendererCategory("4", symbol, "Wald"),
        QgsRendererCategory("moor", other, ""),
        QgsRendererCategory(None, other.clone(), "all other"),
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("kind", categories))
    layer.saveNamedStyle(str(folder / "v.qml"))
    assert as_tuples(files.read_qml(folder / "v.qml")) == [
        (4, "Wald", "#0a141e"),
        (None, "moor", "#c86432"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "not a QGIS style"),
        ("<qgis/>", "holds no classes"),
        ('<!DOCTYPE q [<!ENTITY a "aa">]><qgis>&a;</qgis>', "entities"),
    ],
)
def test_other_files_are_no_styles(files, folder, text, message):
    path = folder / "a.qml"
    path.write_text(text)
    with pytest.raises(files.ClassFileError, match=message):
        files.read_qml(path)


def test_colours_of_the_style_are_the_ones_given(files, folder, plugin_module):
    entry = plugin_module("plugin.classes").ClassEntry(1, "a", "#abcdef")
    files.write_qml([entry], folder / "a.qml")
    assert QColor(files.read_qml(folder / "a.qml")[0].color) == QColor("#abcdef")
