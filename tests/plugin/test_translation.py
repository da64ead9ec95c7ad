"""Translations: collected from the code, compiled, found by the locale."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from qgis.PyQt.QtCore import QCoreApplication

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "resources" / "i18n").glob("*.ts"))


@pytest.fixture
def translation(plugin_module):
    return plugin_module("plugin.translation")


@pytest.fixture
def collector(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("translate", ROOT / "scripts" / "translate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "plugin").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "resources" / "i18n")
    return module


def test_texts_are_collected_from_the_code_and_translations_kept(collector, tmp_path):
    code = tmp_path / "plugin" / "a.py"
    code.write_text(
        'tr("Draw")\ntr("one "\n   "text").format(1)\nself.tr("no")\ntr("Draw")\n', encoding="utf-8"
    )
    path, missing = collector.update("de")
    assert missing == 2
    path.write_text(
        path.read_text("utf-8").replace(
            '<translation type="unfinished" />', "<translation>Ä</translation>", 1
        ),
        "utf-8",
    )
    code.write_text('tr("Draw")\ntr("new")\n', encoding="utf-8")
    assert collector.update("de") == (path, 1)
    found = {m.findtext("source"): m.findtext("translation") for m in ElementTree.parse(path).iter("message")}
    assert found == {"Draw": "Ä", "new": ""}


def test_texts_that_nobody_can_translate_are_told(collector, tmp_path):
    (tmp_path / "plugin" / "a.py").write_text('tr(f"{x} polygons")\n', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"plugin/a\.py: Line 1"):
        collector.sources()


def test_all_texts_of_the_plugin_can_be_collected(collector, monkeypatch):
    monkeypatch.setattr(collector, "ROOT", ROOT)
    assert len(collector.sources()) > 100


@pytest.mark.parametrize("locale", ["de", "de_AT"])
def test_plugin_speaks_the_language_of_the_locale(
    translation, collector, tmp_path, monkeypatch, qgis_app, locale
):
    if shutil.which("lrelease") is None:
        pytest.skip("needs Qt's lrelease")
    (tmp_path / "plugin" / "a.py").write_text('tr("Label map of nowhere")\n', encoding="utf-8")
    path, _ = collector.update("de")
    text = path.read_text("utf-8")
    path.write_text(
        text.replace('<translation type="unfinished" />', "<translation>Karte</translation>"), "utf-8"
    )
    collector.main(["de"])
    monkeypatch.setattr(translation, "_FOLDER", path.parent)
    installed = translation.install_translator(locale)
    try:
        assert translation.tr("Label map of nowhere") == "Karte"
    finally:
        QCoreApplication.removeTranslator(installed)
    assert translation.tr("Label map of nowhere") == "Label map of nowhere"


def test_other_languages_stay_english(translation, tmp_path, monkeypatch, qgis_app):
    monkeypatch.setattr(translation, "_FOLDER", tmp_path)
    assert translation.install_translator("xx") is None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_translations_keep_the_placeholders(path):
    for message in ElementTree.parse(path).iter("message"):
        source, translated = message.findtext("source", ""), message.findtext("translation", "")
        if translated:
            assert sorted(re.findall(r"{[^}]*}", source)) == sorted(re.findall(r"{[^}]*}", translated)), (
                source
            )
    assert path.with_suffix(".qm").is_file(), "compile it with: make translate"
