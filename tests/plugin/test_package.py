"""The package that QGIS installs, checked as the plugin repository checks an upload."""

from __future__ import annotations

import configparser
import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = [
    "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository",
]  # fmt: skip
LARGEST = 25_000_000  # bytes, of the repository
TEMPLATES = ("http://homepage", "http://tracker", "http://repo", "example.com", "your", "todo")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    if not (ROOT / ".git").exists():
        pytest.skip("the package is made from the last commit, and this is no clone")
    path = tmp_path_factory.mktemp("package") / "protolabel.zip"
    done = subprocess.run(
        [ROOT / "scripts" / "package.sh", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def names(package):
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        return [PurePosixPath(name) for name in archive.namelist()]


@pytest.fixture(scope="module")
def unpacked(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def metadata(unpacked):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(unpacked / "protolabel" / "metadata.txt", encoding="utf-8")
    assert parser.sections() == ["general"]
    return dict(parser["general"])


def test_everything_is_in_one_folder_with_a_name_that_python_can_import(names):
    assert {name.parts[0] for name in names} == {"protolabel"}
    assert not any(".." in name.parts for name in names)


def test_what_the_plugin_needs_is_there(names):
    inside = {str(name.relative_to("protolabel")) for name in names}
    needed = {"__init__.py", "metadata.txt", "LICENSE", "README.md", "requirements/backend.txt"}
    needed |= {"backend/worker.py", "plugin/plugin.py", "resources/icons/protolabel.svg"}
    assert needed <= inside


def test_nothing_for_developers_only_is_there(names):
    parts = {part for name in names for part in name.parts}
    assert not parts & {
        "__pycache__",
        "__MACOSX",
        "tests",
        "scripts",
        "Makefile",
        "pyproject.toml",
        "dev.txt",
    }
    assert [str(name) for name in names if any(part.startswith(".") for part in name.parts)] == []
    assert {name.suffix for name in names} & {".pyc", ".so", ".dll", ".exe", ".ts", ".ui", ".qrc"} == set()


def test_it_is_small_enough(package):
    assert package.stat().st_size < LARGEST


def test_metadata_has_what_the_repository_requires(metadata):
    for key in REQUIRED:
        assert metadata[key].strip(), key
    for value in metadata.values():
        assert not any(template in value.lower() for template in TEMPLATES), value
        assert not re.search(r"<[a-z/]", value), "HTML is not allowed"


def test_versions_are_as_the_repository_reads_them(metadata):
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?([-.]?(alpha|beta|rc)\d*)?", metadata["version"])
    low, high = (metadata[f"qgis{end}imumVersion"] for end in ("Min", "Max"))
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", low)
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", high)
    assert (low, high) == ("3.22", "4.99")


def test_links_tags_and_switches_are_as_the_repository_wants_them(metadata):
    for key in ("homepage", "tracker", "repository"):
        assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}/\S+", metadata[key])
    assert "@" in metadata["email"]
    assert "/" not in metadata["author"]
    assert "plugin" not in metadata["name"].lower()
    assert all(tag.strip() == tag and tag for tag in metadata["tags"].split(","))
    assert {metadata[key] for key in ("experimental", "deprecated")} <= {"True", "False"}
    assert metadata["hasProcessingProvider"] == "yes"


def test_icon_and_licence_are_what_the_metadata_promise(unpacked, metadata):
    assert (unpacked / "protolabel" / metadata["icon"]).is_file()
    assert "GNU GENERAL PUBLIC LICENSE" in (unpacked / "protolabel" / "LICENSE").read_text(encoding="utf-8")


def test_unpacked_plugin_makes_its_object_and_its_provider(unpacked, qgis_processing, monkeypatch):
    from qgis.core import QgsApplication

    monkeypatch.syspath_prepend(str(unpacked))
    # A name of its own: another test may have loaded the checkout as "protolabel".
    (unpacked / "protolabel").rename(unpacked / "protolabel_unpacked")
    try:
        plugin = importlib.import_module("protolabel_unpacked").classFactory(None)
        plugin.initProcessing()
        assert QgsApplication.processingRegistry().providerById("protolabel") is not None
        plugin.unload()
        assert QgsApplication.processingRegistry().providerById("protolabel") is None
    finally:
        (unpacked / "protolabel_unpacked").rename(unpacked / "protolabel")
        for name in [name for name in sys.modules if name.startswith("protolabel_unpacked")]:
            del sys.modules[name]
