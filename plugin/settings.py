"""What the user has chosen once for all projects; kept in QGIS's settings under ``protolabel/``."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields

from qgis.core import QgsSettings

_PREFIX = "protolabel/"


@dataclass(frozen=True)
class Settings:
    """The settings; ``replace(Settings.load(), device="cpu").save()`` changes one.

    Attributes:
        python: The Python or environment that the user brought along, empty for the managed environment.
        folder: Where the managed environment is kept, empty for the usual place.
        wheels: The folder of wheels to install from, empty for the network.
        build: "cpu", "cuda", or "auto" for what fits the machine.
        use_proxy: Whether QGIS's proxy serves the installation.
        device: What labelling runs on: "auto", "cpu", "cuda" or "cuda:1".
        model: The encoder that a new session starts with, empty for the default one.
    """

    python: str = ""
    folder: str = ""
    wheels: str = ""
    build: str = "auto"
    use_proxy: bool = True
    device: str = "auto"
    model: str = ""

    @classmethod
    def load(cls) -> Settings:
        """Read them; what is missing or of another type is at its default."""
        stored, values = QgsSettings(), {}
        for field in fields(cls):
            with contextlib.suppress(TypeError):  # when the value cannot be converted
                key = _PREFIX + field.name
                value = stored.value(key, field.default, type=type(field.default))
                if isinstance(value, type(field.default)):
                    values[field.name] = value
        return cls(**values)

    def save(self) -> None:
        """Write them; defaults are not written, so that they may change with a version."""
        stored = QgsSettings()
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                stored.remove(_PREFIX + field.name)
            else:
                stored.setValue(_PREFIX + field.name, value)
