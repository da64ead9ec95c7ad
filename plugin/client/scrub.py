"""What a child process gets from QGIS: an environment without QGIS's own libraries, and no window.

QGIS sets variables that lead another Python astray: with PYTHONHOME it does not start at all, with PYTHONEXECUTABLE
an environment's Python believes to be the base interpreter, with PROJ_DATA or LD_LIBRARY_PATH rasterio loads
QGIS's files instead of its own.
"""

from __future__ import annotations

import os
import re
import subprocess  # nosec B404 # argument lists only, never a shell
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REMOVED = frozenset(
    [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONEXECUTABLE",
        "PYTHONUSERBASE",
        "PYTHONPLATLIBDIR",
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
        "__PYVENV_LAUNCHER__",
        "VIRTUAL_ENV",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "QGIS_PREFIX_PATH",
        "QGIS_PLUGINPATH",
        "PROJ_DATA",
        "PROJ_LIB",
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
    ]
)
_REMOVED_PREFIX = "DYLD_"
_CERTIFICATES = frozenset(["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
_SET = {
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # Python 3.11 and later; before, the working folder is kept empty instead
}
_SYSTEM_PREFIXES = frozenset(["", "/usr", "/usr/local"])  # a packaged QGIS names these; they are everybody's
_QGIS_FOLDER = re.compile(r"(qgis|osgeo4w)", re.IGNORECASE)


def child_environment(base: Mapping[str, str], backend_root: Path | None = None) -> dict[str, str]:
    """The environment for a child process.

    Args:
        base: The parent's environment, usually ``os.environ``.
        backend_root: The folder that holds the package ``backend``, for a child that imports it.
    """
    environment = {}
    for name, value in base.items():
        key = name.upper()
        if key in _REMOVED or key.startswith(_REMOVED_PREFIX):
            continue
        if key in _CERTIFICATES and of_qgis(value, base):
            continue
        environment[name] = _without_qgis(value, base) if key == "PATH" else value
    environment.update(_SET)
    if backend_root is not None:
        environment["PYTHONPATH"] = str(backend_root)
    return environment


def of_qgis(path: str, base: Mapping[str, str]) -> bool:
    """Whether a path lies inside a QGIS or OSGeo4W installation.

    Args:
        path: A file or folder; it need not exist.
        base: The environment that may name the installation.
    """
    path = _plain(path)
    for variable in ("OSGEO4W_ROOT", "QGIS_PREFIX_PATH"):
        root = _plain(base.get(variable, ""))
        if root not in _SYSTEM_PREFIXES and _inside(path, root):
            return True
    home = _plain(base.get("USERPROFILE") or base.get("HOME", ""))
    if home and _inside(path, home):
        path = path[len(home) :]  # the home of a user called qgis is no installation of QGIS
    return any(_QGIS_FOLDER.match(part) for part in path.split("/"))


def popen_options() -> dict[str, Any]:
    """Options for ``subprocess.Popen``: no window on Windows, a group of its own elsewhere.

    The group lets the child's own children be ended with it, and keeps a Ctrl+C in the terminal that QGIS was
    started from away from the child.
    """
    if sys.platform == "win32":
        startup = subprocess.STARTUPINFO()
        startup.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        startup.wShowWindow = subprocess.SW_HIDE
        return {"creationflags": subprocess.CREATE_NO_WINDOW, "startupinfo": startup}
    return {"start_new_session": True}


def _without_qgis(search_path: str, base: Mapping[str, str]) -> str:
    return os.pathsep.join(
        folder for folder in search_path.split(os.pathsep) if folder and not of_qgis(folder, base)
    )


def _plain(path: str) -> str:
    return path.strip('"').replace("\\", "/").rstrip("/")


def _inside(path: str, folder: str) -> bool:
    # Windows and macOS do not tell upper from lower case, and on Linux nobody has two such folders.
    return f"{path}/".lower().startswith(f"{folder}/".lower())
