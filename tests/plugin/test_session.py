"""The session: it lives in the project, moves with it, and outlives layers that go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer

CRS = QgsCoordinateReferenceSystem("EPSG:26917")


@pytest.fixture
def session(plugin_module, qgis_new_project):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    yield session
    session.close()


@pytest.fixture
def raster(make_geotiff, tmp_path) -> QgsRasterLayer:
    layer = QgsRasterLayer(str(make_geotiff("data/orthophoto.tif")), "orthophoto")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def support(plugin_module, tmp_path):
    (tmp_path / "data").mkdir(exist_ok=True)
    layer = plugin_module("plugin.support_layer").create_support_layer(tmp_path / "data" / "s.gpkg", CRS, "s")
    QgsProject.instance().addMapLayer(layer)
    return layer


def fill(session, raster, support) -> None:
    session.set_raster(raster)
    session.set_bands([3, 2, 1])
    session.set_stretch(raster.id(), [[1.0, 2.0, 3.0], [101.0, 102.0, 103.0]])
    session.set_support(support)
    session.classes.add("forest", "#00ff00")
    session.classes.add("water", "#0000ff", id=7)
    session.set_options(scale=2.0, crf=False, model="resnet50")


def state(session) -> tuple:
    return (
        session.classes.to_dict(),
        session.options,
        session.choice and session.choice.bands,
        session.choice.stretch,
    )


def test_comes_back_with_the_project(session, raster, support, tmp_path, qtbot) -> None:
    fill(session, raster, support)
    before = state(session)
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    project.clear()
    assert session.raster is None and session.support is None and session.classes.entries() == ()
    with qtbot.waitSignal(session.loaded):
        assert project.read(str(tmp_path / "project.qgz"))
    assert state(session) == before
    assert session.raster.source() == raster_source(tmp_path)
    assert session.support.isValid()


def raster_source(folder: Path) -> str:
    return str(folder / "data" / "orthophoto.tif")


def test_moves_with_the_project_folder(session, raster, support, tmp_path) -> None:
    fill(session, raster, support)
    before = state(session)
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    assert str(tmp_path) not in project.readEntry("protolabel", "session")[0]
    project.clear()
    moved = tmp_path / "moved to ünicode"
    moved.mkdir()
    for name in ("project.qgz", "data"):
        shutil.move(str(tmp_path / name), str(moved / name))
    assert project.read(str(moved / "project.qgz"))
    assert state(session) == before
    assert session.raster.source() == str(moved / "data" / "orthophoto.tif")
    assert session.support.source().startswith(str(moved / "data" / "s.gpkg"))


def test_support_layer_that_was_removed_from_the_project_is_opened_again(
    session, raster, support, tmp_path
) -> None:
    fill(session, raster, support)
    project = QgsProject.instance()
    id = support.id()
    assert project.write(str(tmp_path / "project.qgz"))
    text = project.readEntry("protolabel", "session")[0]
    project.removeMapLayer(id)
    assert session.support is None
    project.writeEntry("protolabel", "session", text)
    session.load()
    assert session.support is not None and session.support.source().partition("|")[0] == str(
        tmp_path / "data" / "s.gpkg"
    )


def test_layers_that_go(session, raster, support, qtbot) -> None:
    fill(session, raster, support)
    with qtbot.waitSignals([session.rasterChanged, session.changed]):
        QgsProject.instance().removeMapLayer(raster.id())
    assert session.raster is None and session.choice is None
    assert len(session.classes.entries()) == 2
    with qtbot.waitSignal(session.supportChanged):
        QgsProject.instance().removeMapLayer(support.id())
    assert session.support is None


def test_several_rasters_share_classes_and_polygons(session, raster, support, make_geotiff) -> None:
    fill(session, raster, support)
    other = QgsRasterLayer(str(make_geotiff("data/other.tif")), "other")
    QgsProject.instance().addMapLayer(other)
    session.set_raster(other)
    assert session.choice.bands is None and session.choice.stretch is None
    assert session.support.id() == support.id() and len(session.classes.entries()) == 2
    assert [layer.id() for layer in session.other_rasters()] == [raster.id()]
    session.set_raster(raster)
    assert session.choice.bands == (3, 2, 1) and session.choice.stretch[0] == (1.0, 2.0, 3.0)


def test_another_raster_that_goes(session, raster, support, make_geotiff, qtbot) -> None:
    """Its polygons teach no longer, so previews have to be made anew."""
    fill(session, raster, support)
    other = QgsRasterLayer(str(make_geotiff("data/other.tif")), "other")
    QgsProject.instance().addMapLayer(other)
    session.set_raster(other)
    with qtbot.waitSignal(session.changed):
        QgsProject.instance().removeMapLayer(raster.id())
    assert session.raster is other and session.other_rasters() == []


def test_layers_of_servers_teach_nothing(session, raster, support, tmp_path) -> None:
    """Polygons may be drawn on one before a part of it is exported; the backend cannot read it."""
    (tmp_path / "0" / "0").mkdir(parents=True)
    layer = QgsRasterLayer(f"type=xyz&url=file://{tmp_path}/{{z}}/{{x}}/{{y}}.png&zmax=0", "tiles", "wms")
    QgsProject.instance().addMapLayer(layer)
    session.set_raster(layer)
    fill(session, raster, support)
    assert session.raster is raster and session.other_rasters() == []


def test_new_bands_need_a_new_stretch(session, raster) -> None:
    session.set_raster(raster)
    session.set_stretch(raster.id(), [[0.0], [1.0]])
    session.set_bands([1])
    assert session.choice.stretch is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 99, "raster": "x"}', '{"rasters": [{}]}', '{"rasters": 1}', '{"options": []}',
     '{"options": {"crf": "maybe", "unknown": 1}}', '{"rasters": [{"layer_id": "a", "stretch": [1]}]}',
     '{"classes": 3}'],
)  # fmt: skip
def test_what_is_not_understood_is_left_out(session, text: str) -> None:
    QgsProject.instance().writeEntry("protolabel", "session", text)
    session.load()
    assert session.raster is None
    session.classes.add("forest")
    assert session.classes.entries()[0].name == "forest"
    assert isinstance(session.options.crf, bool)
