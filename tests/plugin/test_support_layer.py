"""The support layer: made, drawn into, styled, counted, written as it is, filled from other layers."""

import os
import subprocess
import time

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

UTM = QgsCoordinateReferenceSystem("EPSG:32632")
BOX = "POLYGON((500000 5000000, 500010 5000000, 500010 5000020, 500000 5000020, 500000 5000000))"
BOWTIE = "POLYGON((0 0, 10 10, 10 0, 0 10, 0 0))"


@pytest.fixture
def support(plugin_module, qgis_new_project):
    return plugin_module("plugin.support_layer")


@pytest.fixture
def table(plugin_module, qgis_new_project):
    table = plugin_module("plugin.classes").ClassTable()
    table.add("water", "#0000ff")
    table.add("field", "#ffff00")
    return table


@pytest.fixture
def layer(support, tmp_path):
    folder = tmp_path / "mit Leer zeichen äß"
    folder.mkdir()
    return support.create_support_layer(folder / "Stützflächen.gpkg", UTM, "Support")


@pytest.fixture
def water(table):
    return table.entries()[0]


def box(x=0.0, y=0.0, width=10.0, height=20.0):
    return QgsGeometry.fromRect(
        QgsRectangle(500_000 + x, 5_000_000 + y, 500_000 + x + width, 5_000_000 + y + height)
    )


def rows(layer):
    return [(f["class_id"], f["class_name"], f["use"]) for f in layer.getFeatures()]


def polygons_of(wkts, fields="kind:string", crs="EPSG:32632", kind="Polygon"):
    """A layer in memory with (wkt, values...) rows."""
    layer = QgsVectorLayer(
        f"{kind}?crs={crs}" + "".join(f"&field={field}" for field in fields.split(",")), "source", "memory"
    )
    features = []
    for wkt, *values in wkts:
        feature = QgsFeature(layer.fields())
        feature.setAttributes(values)
        if wkt is not None:
            feature.setGeometry(QgsGeometry.fromWkt(wkt))
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    return layer


def test_a_new_layer(support, layer, tmp_path):
    assert layer.isValid() and layer.crs() == UTM and layer.featureCount() == 0
    assert layer.wkbType() == QgsWkbTypes.Type.MultiPolygon
    assert layer.fields().names() == ["fid", "class_id", "class_name", "use"]
    assert support.is_support_layer(layer)
    assert not support.is_support_layer(None)
    assert not support.is_support_layer(polygons_of([]))
    assert not support.is_support_layer(
        QgsVectorLayer("Polygon?field=class_id:string&field=class_name:string&field=use:string", "", "memory")
    )
    assert [p.name for p in (tmp_path / "mit Leer zeichen äß").iterdir()] == ["Stützflächen.gpkg"]


def test_a_raster_without_a_coordinate_system(support, tmp_path):
    layer = support.create_support_layer(tmp_path / "a", QgsCoordinateReferenceSystem(), "Support")
    assert (tmp_path / "a.gpkg").exists()
    assert layer.isValid() and not layer.crs().isValid()


def test_places_where_no_layer_can_be_made(support, tmp_path):
    (tmp_path / "there.gpkg").write_bytes(b"something")
    with pytest.raises(support.SupportLayerError, match="exists already"):
        support.create_support_layer(tmp_path / "there.gpkg", UTM, "a")
    assert (tmp_path / "there.gpkg").read_bytes() == b"something"
    with pytest.raises(support.SupportLayerError, match="does not exist"):
        support.create_support_layer(tmp_path / "none" / "a.gpkg", UTM, "a")


def test_a_folder_that_cannot_be_written_to(plugin_module, support, layer, water, monkeypatch, tmp_path):
    support.add_polygon(layer, box(), water)
    folder = tmp_path / "read only"
    folder.mkdir()
    if os.geteuid() == 0:  # for whom there are no permissions

        def refuse(**_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(plugin_module("plugin.support_package").tempfile, "TemporaryFile", refuse)
    else:
        folder.chmod(0o500)
    for action in (
        lambda: support.create_support_layer(folder / "a.gpkg", UTM, "a"),
        lambda: support.snapshot(layer, folder / "a.gpkg", [1]),
    ):
        with pytest.raises(support.SupportLayerError, match=r"Permission denied.*choose another folder"):
            action()
    assert list(folder.iterdir()) == []


def test_polygons_are_steps_of_the_layers_undo(support, layer, water, table):
    repaints = []
    layer.repaintRequested.connect(lambda *_: repaints.append(1))
    fid = support.add_polygon(layer, box(), water)
    assert repaints
    support.add_polygon(layer, box(50), table.entries()[1], use=support.VALIDATION)
    assert fid < 0
    assert rows(layer) == [(1, "water", "support"), (2, "field", "validation")]
    assert layer.undoStack().undoText() == "Add polygon of field"
    layer.undoStack().undo()
    layer.undoStack().undo()
    assert rows(layer) == [] and not layer.undoStack().canUndo()
    layer.undoStack().redo()
    assert layer.commitChanges()
    again = QgsVectorLayer(layer.source(), "again", "ogr")
    assert rows(again) == [(1, "water", "support")]
    assert next(again.getFeatures()).geometry().area() == pytest.approx(200)


@pytest.mark.parametrize(
    ("wkt", "area"),
    [
        (BOX, 200),
        ("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 1, 0 0)), ((5 5, 6 5, 6 6, 5 6, 5 5)))", 2),
        ("POLYGON Z((0 0 5, 1 0 5, 1 1 5, 0 1 5, 0 0 5))", 1),
        ("CURVEPOLYGON(CIRCULARSTRING(0 0, 1 1, 2 0, 1 -1, 0 0))", 3.1416),
        (BOWTIE, 50),
        ("POLYGON((0 0, 10 0, 10 10, 0 10, 0 0, -5 0, 0 0))", 100),
    ],
)
def test_geometries_are_made_fit(support, layer, water, wkt, area):
    support.add_polygon(layer, QgsGeometry.fromWkt(wkt), water)
    geometry = next(layer.getFeatures()).geometry()
    assert geometry.wkbType() == QgsWkbTypes.Type.MultiPolygon
    assert geometry.isGeosValid() and geometry.area() == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize(
    "wkt", ["POLYGON EMPTY", "POLYGON((0 0, 1 1, 0 0, 0 0))", "LINESTRING(0 0, 1 1)", "POINT(1 1)", None]
)
def test_what_encloses_no_area_is_refused(support, layer, water, wkt):
    geometry = QgsGeometry.fromWkt(wkt) if wkt else QgsGeometry()
    with pytest.raises(support.SupportLayerError, match="encloses no area"):
        support.add_polygon(layer, geometry, water)
    assert rows(layer) == [] and not layer.undoStack().canUndo()


def test_a_layer_that_cannot_be_edited(support, layer, water):
    layer.setReadOnly(True)
    with pytest.raises(support.SupportLayerError, match="cannot be edited"):
        support.add_polygon(layer, box(), water)


def test_a_file_that_cannot_be_written(support, layer, water, monkeypatch):
    """On a read-only disk QGIS would notice that only when the edits are saved."""
    monkeypatch.setattr(support.os, "access", lambda path, mode: False)
    with pytest.raises(support.SupportLayerError, match="cannot be edited"):
        support.add_polygon(layer, box(), water)
    assert not layer.isEditable()


def test_style(support, layer, table, water):
    support.add_polygon(layer, box(0, 0, 40, 40), water)
    support.add_polygon(layer, box(60, 0, 40, 40), table.entries()[1], use=support.VALIDATION)
    removed = table.add("road", "#ff0000")
    support.add_polygon(layer, box(120, 0, 40, 40), removed)
    table.remove(removed.id)
    support.style_support_layer(layer, table.entries())
    assert [item.label() for item in layer.renderer().legendSymbolItems()] == ["water", "field"]
    assert not layer.labelsEnabled()

    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(UTM)
    settings.setBackgroundColor(QColor("white"))
    settings.setExtent(QgsRectangle(499_990, 4_999_990, 500_170, 5_000_050))
    settings.setOutputSize(QSize(720, 240))  # 4 pixels a metre
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()

    def at(x, y):
        return image.pixelColor(round((x + 10) * 4), round((50 - y) * 4)).getRgb()[:3]

    assert at(20, 20)[2] == 255 and 120 < at(20, 20)[0] < 220, "the fill is semi-transparent"
    assert at(140, 20) == (255, 255, 255), "a removed class is not drawn"
    solid = [at(i / 4, 40)[0] < 100 for i in range(16, 144)]
    dashed = [at(60 + i / 4, 40)[2] < 100 for i in range(16, 144)]
    assert all(solid), "support has a solid outline"
    assert 0.3 < sum(dashed) / len(dashed) < 0.95, "validation has a dashed one"


def test_names_follow_the_table(support, layer, table, water):
    support.add_polygon(layer, box(), water)
    support.add_polygon(layer, box(30), table.entries()[1])
    table.rename(1, "lake")
    assert support.update_class_names(layer, table.entries()) == 1
    assert [row[1] for row in rows(layer)] == ["lake", "field"]
    assert support.update_class_names(layer, table.entries()) == 0
    layer.undoStack().undo()
    assert [row[1] for row in rows(layer)] == ["water", "field"]


def test_counts(support, layer, table, water):
    count = support.PolygonCount
    assert support.count_polygons(layer, UTM, 0.25) == {}
    support.add_polygon(layer, box(), water)
    support.add_polygon(layer, box(50), water)
    support.add_polygon(layer, box(90), water, use=support.VALIDATION)
    support.add_polygon(layer, box(150), table.entries()[1], use=support.VALIDATION)
    layer.addFeature(QgsFeature(layer.fields()))  # of another tool, not filled in
    assert support.count_polygons(layer, UTM, 0.25) == {1: count(2, 1600, 1), 2: count(0, 0, 1)}
    assert support.count_polygons(layer, UTM, None) == {1: count(2, None, 1), 2: count(0, None, 1)}
    assert support.count_polygons(layer, QgsCoordinateReferenceSystem(), 1.0)[1].pixels == 400
    wgs84 = QgsCoordinateReferenceSystem("EPSG:4326")
    degree = 111_320.0
    pixel = 0.5 / degree * (0.5 / (degree * 0.7071))
    assert support.count_polygons(layer, wgs84, pixel)[1].pixels == pytest.approx(1600, rel=0.02)


def test_counting_is_fast(support, layer, water):
    layer.startEditing()
    layer.addFeatures(
        [support.support_feature(layer, box(i * 20).buffer(5, 8), water, "support") for i in range(500)]
    )
    layer.commitChanges()
    seconds = []
    for crs in (UTM, QgsCoordinateReferenceSystem("EPSG:3857")):
        begin = time.perf_counter()
        assert support.count_polygons(layer, crs, 1.0)[1].polygons == 500
        seconds.append(time.perf_counter() - begin)
    print(f"counted in {seconds[0] * 1e3:.1f} ms and {seconds[1] * 1e3:.1f} ms")
    assert max(seconds) < 0.2  # 10 times what an idle machine takes


def test_a_snapshot_holds_what_is_in_the_layer_now(support, layer, table, water, tmp_path):
    path = tmp_path / "snap shot ä.gpkg"
    support.add_polygon(layer, box(), water)
    layer.commitChanges()
    support.add_polygon(layer, box(50), water)
    support.add_polygon(layer, box(90), water, use=support.VALIDATION)
    support.add_polygon(layer, box(120), table.entries()[1])
    layer.addFeature(QgsFeature(layer.fields()))
    support.snapshot(layer, path, [1])
    taken = QgsVectorLayer(str(path), "taken", "ogr")
    assert taken.crs() == UTM
    assert rows(taken) == [(1, "water", "support")] * 2
    assert [f.geometry().boundingBox().xMinimum() for f in taken.getFeatures()] == [500_000, 500_050]
    del taken
    support.snapshot(layer, path, [2])
    assert rows(QgsVectorLayer(str(path), "taken", "ogr")) == [(2, "field", "support")]
    assert layer.isEditable() and layer.undoStack().canUndo()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [path.name]


def test_a_snapshot_repairs_what_was_edited_elsewhere(support, layer, water, tmp_path):
    layer.startEditing()
    broken = QgsGeometry.fromWkt(BOWTIE)
    broken.convertToMultiType()
    layer.addFeature(support.support_feature(layer, broken, water, "support"))
    layer.addFeature(support.support_feature(layer, QgsGeometry(), water, "support"))
    support.snapshot(layer, tmp_path / "a.gpkg", [1])
    (feature,) = QgsVectorLayer(str(tmp_path / "a.gpkg"), "taken", "ogr").getFeatures()
    assert feature.geometry().isGeosValid() and feature.geometry().area() == pytest.approx(50)


def test_a_snapshot_of_nothing_is_refused(support, layer, water, tmp_path):
    support.add_polygon(layer, box(), water, use=support.VALIDATION)
    with pytest.raises(support.SupportLayerError, match="no support polygon yet"):
        support.snapshot(layer, tmp_path / "a.gpkg", [1, 2])
    assert not (tmp_path / "a.gpkg").exists()


def test_snapshots_are_fast(support, layer, water, tmp_path):
    for i in range(60):
        support.add_polygon(layer, box(i * 30).buffer(5, 8), water)
    seconds = []
    for _ in range(7):
        begin = time.perf_counter()
        support.snapshot(layer, tmp_path / "a.gpkg", [1])
        seconds.append(time.perf_counter() - begin)
    print("snapshots took", [f"{s * 1e3:.1f}" for s in seconds], "ms")
    assert sorted(seconds)[3] < 0.3  # 10 times what an idle machine takes


class TestImport:
    @pytest.fixture
    def take(self, plugin_module, table, layer):
        module = plugin_module("plugin.support_import")

        def take(source, class_field="kind", name_field=None):
            notes = []
            return module.import_polygons(source, class_field, name_field, table, layer, notes), notes

        return take

    def test_texts_become_classes(self, take, table, layer):
        count, notes = take(polygons_of([(BOX, "Road"), (BOX, "WATER"), (BOX, " road "), (BOX, "Barn")]))
        assert count == 4 and notes == []
        assert [(e.id, e.name) for e in table.entries()] == [
            (1, "water"),
            (2, "field"),
            (3, "Barn"),
            (4, "Road"),
        ]
        assert [row[:2] for row in rows(layer)] == [(4, "Road"), (1, "water"), (4, "Road"), (3, "Barn")]
        assert layer.undoStack().count() == 1 and layer.undoStack().undoText() == "Import polygons of source"
        layer.undoStack().undo()
        assert rows(layer) == []
        table.undo_stack.undo()
        assert len(table.entries()) == 2

    def test_numbers_keep_their_ids_where_they_are_free(self, take, table, layer):
        source = polygons_of(
            [(BOX, 1, "Water"), (BOX, 2, "road"), (BOX, 9, "barn"), (BOX, 9, None)],
            "kind:integer,label:string",
        )
        count, notes = take(source, name_field="label")
        assert count == 4
        assert [row[:2] for row in rows(layer)] == [(1, "water"), (3, "road"), (9, "barn"), (9, "barn")]
        assert len(notes) == 1 and "2 → 3" in notes[0]

    def test_numbers_without_names(self, take, table, layer):
        assert take(polygons_of([(BOX, 2.0), (BOX, 7.0)], "kind:double")) == (2, [])
        assert [row[:2] for row in rows(layer)] == [(2, "field"), (7, "Class 7")]

    def test_numbers_stored_as_text(self, take, layer):
        assert take(polygons_of([(BOX, "2"), (BOX, "7")])) == (2, [])
        assert [row[0] for row in rows(layer)] == [2, 7]

    def test_validation_stays_validation(self, take, layer):
        source = polygons_of([(BOX, "a", " Validation"), (BOX, "a", None)], "kind:string,use:string")
        take(source)
        assert [row[2] for row in rows(layer)] == ["validation", "support"]

    def test_what_cannot_be_taken_is_counted(self, take, layer):
        source = polygons_of([(BOX, "a"), (None, "a"), ("POLYGON EMPTY", "a"), (BOX, None), (BOX, "  ")])
        count, notes = take(source)
        assert count == 1
        assert [note.partition(" ")[0] for note in notes] == ["2", "2"]

    def test_reprojection_curves_and_heights(self, take, layer):
        wkt = "CURVEPOLYGON Z(CIRCULARSTRING Z(9 45 1, 9.001 45.001 1, 9.002 45 1, 9.001 44.999 1, 9 45 1))"
        assert take(polygons_of([(wkt, "a")], crs="EPSG:4326", kind="CurvePolygonZ"))[0] == 1
        geometry = next(layer.getFeatures()).geometry()
        assert geometry.wkbType() == QgsWkbTypes.Type.MultiPolygon
        assert geometry.boundingBox().contains(QgsPointXY(500_079, 4_982_950))

    def test_a_layer_without_a_coordinate_system(self, take, layer):
        source = polygons_of([(BOX, "a")])
        source.setCrs(QgsCoordinateReferenceSystem())
        count, notes = take(source)
        assert count == 1 and "no CRS" in notes[0]

    @pytest.mark.parametrize(
        ("source", "field", "message"),
        [
            (lambda: polygons_of([(BOX, "a")]), "none", "no field none; choose one of kind"),
            (lambda: polygons_of([]), "kind", "holds no polygon"),
            (lambda: polygons_of([("POINT(1 1)", "a")], kind="Point"), "kind", "no layer of polygons"),
            (lambda: polygons_of([(BOX, 1.5)], "kind:double"), "kind", "holds 1.5"),
            (lambda: polygons_of([(BOX, 3), (BOX, 70_000)], "kind:integer"), "kind", "70000"),
            (lambda: polygons_of([(BOX, -3)], "kind:integer"), "kind", "-3"),
        ],
    )
    def test_sources_that_cannot_serve(self, support, take, table, layer, source, field, message):
        with pytest.raises(support.SupportLayerError, match=message):
            take(source(), field)
        assert len(table.entries()) == 2 and rows(layer) == []

    def test_a_layer_that_cannot_be_edited_leaves_the_classes(self, support, take, table, layer):
        layer.setReadOnly(True)
        with pytest.raises(support.SupportLayerError, match="cannot be edited"):
            take(polygons_of([(BOX, "barn")]))
        assert len(table.entries()) == 2


def test_the_backend_reads_a_snapshot(support, layer, water, table, tmp_path):
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    python = root / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs the backend's environment")
    support.add_polygon(layer, box(), water)
    support.add_polygon(layer, QgsGeometry.fromWkt(BOWTIE), table.entries()[1])
    path = tmp_path / "snap ä.gpkg"
    support.snapshot(layer, path, [1, 2])
    code = (
        "import sys; from backend.rasters.support_layer import read_layer\n"
        "l = read_layer(sys.argv[1], 'class_id', 'class_name')\n"
        "print(l.ids.tolist(), l.names.tolist(), l.crs, l.notes)"
    )
    done = subprocess.run(
        [str(python), "-c", code, str(path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[1, 2] ['water', 'field'] EPSG:32632 ()"


def test_a_full_disk_leaves_nothing(support, layer, water, tmp_path, monkeypatch):
    support.add_polygon(layer, box(), water)

    class Full:
        def addFeatures(self, *_args):
            return False

        def hasError(self):
            return QgsVectorFileWriter.WriterError.ErrFeatureWriteFailed

        def errorMessage(self):
            return "database or disk is full"

    monkeypatch.setattr(QgsVectorFileWriter, "create", lambda *_args: Full())
    with pytest.raises(support.SupportLayerError, match="disk is full"):
        support.snapshot(layer, tmp_path / "a.gpkg", [1])
    assert not list(tmp_path.glob("*.gpkg"))
