"""Texts of the plugin in the user's language."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication, QTranslator

_FOLDER = Path(__file__).resolve().parent.parent / "resources" / "i18n"


def tr(text: str) -> str:
    """Translate a text of this plugin."""
    return QCoreApplication.translate("Protolabel", text)


def install_translator(locale: str) -> QTranslator | None:
    """Let :func:`tr` speak another language.

    Args:
        locale: "de" or "de_AT"; the language alone serves where there is no file for the country.

    Returns:
        What has to be kept as long as it shall be used, and to be given to ``QCoreApplication.removeTranslator``
        then; None when the plugin is not translated into this language.
    """
    translator = QTranslator()
    # Qt shortens "de_AT" to "de" by itself until it finds a file.
    if not translator.load(f"protolabel_{locale}", str(_FOLDER)):
        return None
    QCoreApplication.installTranslator(translator)
    return translator
