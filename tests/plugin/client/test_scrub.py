"""What children get to see of QGIS's environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def scrub(plugin_module):
    return plugin_module("plugin.client.scrub")


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONEXECUTABLE",
        "PYTHONUSERBASE",
        "VIRTUAL_ENV",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "QGIS_PREFIX_PATH",
        "QGIS_PLUGINPATH",
        "PROJ_DATA",
        "PROJ_LIB",
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "DYLD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
    ],
)
def test_variables_that_lead_children_astray_are_removed(scrub, name):
    assert name not in scrub.child_environment({name: "/x", "HOME": "/home/u"})


def test_everything_else_stays_and_the_safe_settings_come(scrub):
    base = {"HOME": "/home/u", "HTTPS_PROXY": "http://p:1", "LANG": "de_DE.UTF-8"}
    environment = scrub.child_environment(base)
    assert base.items() <= environment.items()
    assert environment["PYTHONIOENCODING"] == "utf-8"
    assert environment["PYTHONUNBUFFERED"] == environment["PYTHONSAFEPATH"] == "1"
    assert "PYTHONPATH" not in environment


def test_backend_root_is_the_only_python_path(scrub):
    environment = scrub.child_environment({"PYTHONPATH": "/qgis/python"}, Path("/plugins/any name"))
    assert environment["PYTHONPATH"] == str(Path("/plugins/any name"))


def test_qgis_folders_leave_the_search_path(scrub):
    folders = [
        "/usr/bin",
        "/Applications/QGIS.app/Contents/MacOS/bin",
        "/opt/qgis-ltr/bin",
        "/osgeo/root/bin",
        "/home/qgis/.local/bin",
    ]
    base = {"PATH": os.pathsep.join(folders), "HOME": "/home/qgis", "OSGEO4W_ROOT": "/osgeo/root"}
    path = scrub.child_environment(base)["PATH"]
    assert path.split(os.pathsep) == ["/usr/bin", "/home/qgis/.local/bin"]


def test_packaged_qgis_does_not_take_the_system_along(scrub):
    base = {"PATH": "/usr/bin", "QGIS_PREFIX_PATH": "/usr", "HOME": "/root"}
    assert scrub.child_environment(base)["PATH"] == "/usr/bin"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (r"C:\Program Files\QGIS 3.40.1\bin", True),
        (r"C:\OSGeo4W\bin", True),
        (r"c:\gis\root\apps\Python312", True),
        (r"C:\Users\qgis\AppData\Local\Programs\Python", False),
        (r"C:\Users\qgis\AppData\Local\Programs\OSGeo4W\bin", True),
        (r"C:\Windows\System32", False),
    ],
)
def test_windows_paths_are_understood(scrub, path, expected):
    base = {"OSGEO4W_ROOT": "C:\\GIS\\root\\", "USERPROFILE": r"C:\Users\qgis"}
    assert scrub.of_qgis(path, base) is expected


def test_certificates_go_only_when_they_are_those_of_qgis(scrub):
    base = {
        "SSL_CERT_FILE": r"C:\OSGeo4W\bin\curl-ca-bundle.crt",
        "SSL_CERT_DIR": "/etc/ssl/certs",
        "REQUESTS_CA_BUNDLE": "/company/ca.pem",
    }
    environment = scrub.child_environment(base)
    assert "SSL_CERT_FILE" not in environment
    assert environment["SSL_CERT_DIR"] == "/etc/ssl/certs"
    assert environment["REQUESTS_CA_BUNDLE"] == "/company/ca.pem"


def test_a_child_starts_although_python_home_is_wrong(scrub):
    environment = scrub.child_environment({**os.environ, "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"})
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print('/nowhere' in sys.path)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        **scrub.popen_options(),
    )
    assert done.stdout.strip() == "False"


def test_options_open_no_window_on_windows(scrub, monkeypatch):
    class Startup:
        dwFlags = 0
        wShowWindow = 1

    for name, value in {"STARTF_USESHOWWINDOW": 1, "SW_HIDE": 0, "CREATE_NO_WINDOW": 0x08000000}.items():
        monkeypatch.setattr(subprocess, name, value, raising=False)
    monkeypatch.setattr(subprocess, "STARTUPINFO", Startup, raising=False)
    monkeypatch.setattr(scrub.sys, "platform", "win32")
    options = scrub.popen_options()
    assert options["creationflags"] == 0x08000000
    assert options["startupinfo"].dwFlags == 1
    assert options["startupinfo"].wShowWindow == 0
