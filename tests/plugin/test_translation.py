"""Translations: collected from the code, compiled, found by the locale."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from qgis.PyQt.QtCore import QCoreApplication

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for path in (ROOT / "plugin").rglob("*.py") if path.parent.name != "client")
# What shows its texts to the user, by the name that it is called by.
SHOWS = {
    "QAction", "QCheckBox", "QGroupBox", "QLabel", "QMenu", "QPushButton", "QRadioButton", "QToolButton",
    "addAction", "addItem", "addRow", "addTab", "setAccessibleName", "setDefaultText", "setDialogTitle",
    "setItemData", "setPlaceholderText", "setStatusTip", "setSuffix", "setText", "setTitle", "setToolTip",
    "setWhatsThis", "setWindowTitle", "pushMessage", "pushInfo", "pushWarning", "reportError", "setProgressText",
    "say", "warn", "_say", "_button", "show_idle", "ClassError", "ClassFileError", "NotReadyError",
    "QgsProcessingException", "SetupError", "SupportLayerError", "BackendMissingError",
}  # fmt: skip
SENTENCES = {"setToolTip", "warn", "ClassError", "ClassFileError", "NotReadyError", "SupportLayerError"}
UNWANTED = {
    "...": "…",
    " …": "…",
    "coordinate system": "CRS",
    "provider": "layer, or where it comes from",
    "training": "support polygons",
    "dialog box": "dialog",
    "color ": "colour",
}
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


def calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    """All calls, with the last part of the name that is called."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield (
                node,
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""),
            )


def untranslated(source: str) -> list[str]:
    """Texts with words that reach the user as they stand."""
    found = []
    for call, name in calls(source):
        if name in SHOWS:
            for argument in call.args[:1] if name == "addItem" else call.args:  # the second one is data
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                texts = [part.value for part in parts if isinstance(part, ast.Constant)]
                words = [
                    text for text in texts if isinstance(text, str) and re.search(r"[A-Za-z]{2} ?\w", text)
                ]
                # Names of objects, icons and versions of a program are no texts.
                found += [text for text in words if name != "_button" or " " in text]
    return [
        text for text in found if text not in ("Protolabel", "support", "validation", "cpu", "cuda", "auto")
    ]


def texts_of(path: Path) -> list[tuple[str, str]]:
    """Every text of a module, with the name of what it is given to directly."""
    found = []
    for call, name in calls(path.read_text(encoding="utf-8")):
        for argument in [call] if name == "tr" else call.args:
            inner = argument
            while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                inner = inner.func.value  # tr("...").format(...)
            if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "tr":
                found.append((inner.args[0].value, name))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_user_reads_can_be_translated(path):
    assert untranslated(path.read_text(encoding="utf-8")) == []


def test_what_cannot_be_translated_is_found():
    assert untranslated('label.setText("Choose a raster")') == ["Choose a raster"]
    assert untranslated('label.setText(f"Layer {name}")') == ["Layer "]
    assert untranslated('label.setText(tr("Choose a raster")); label.setObjectName("a name")') == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_are_of_one_style(path):
    for text, name in texts_of(path):
        said = re.sub(r"{[^}]*}", "x", text).lower()
        is_list = "," in text and ", " not in text  # of words to search by
        for word, better in [] if is_list else UNWANTED.items():
            assert word not in said or text.endswith(" ..."), f"{text!r}: say {better!r}"
        if name in SENTENCES and " " in text and not text.endswith("}"):
            assert text.rstrip(")").endswith((".", "?", "…")), f"{text!r} is no sentence"
        assert "  " not in text, text
