"""What holds the repository together: metadata, versions, who may import what, and a README that tells the truth."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import backend
from backend.commands.label import command as label
from backend.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]
REQUIRED = [
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
]


@pytest.fixture(scope="module")
def metadata() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return dict(parser["general"])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def imports_of(folder: str) -> Iterator[tuple[Path, str]]:
    """Every absolute import of a folder's modules, the ones inside of functions included."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield path, node.module


def run_python(*arguments: str, cwd: Path = ROOT, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("key", REQUIRED)
def test_metadata_has_what_the_plugin_repository_requires(metadata, key):
    assert metadata[key].strip()


def test_metadata_keeps_the_rules_of_the_plugin_repository(metadata):
    assert (ROOT / metadata["icon"]).is_file()
    assert "/" not in metadata["author"]
    assert not re.search(r"<[a-z/]", read("metadata.txt")), "HTML is not allowed"
    assert all(metadata[key].startswith("https://") for key in ("tracker", "repository", "homepage"))
    assert "supportsQt6" not in metadata


def test_licence_is_the_gpl_2():
    text = read("LICENSE")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_versions_agree(metadata):
    assert metadata["version"] == backend.__version__
    assert 'version = { attr = "backend.__version__" }' in read("pyproject.toml")
    released = re.findall(r"^## \[(\d[^\]]*)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert released[0] == backend.__version__


def test_plugin_package_imports_under_any_name_without_qgis(tmp_path):
    package = tmp_path / "another_name"
    package.mkdir()
    shutil.copy(ROOT / "__init__.py", package)
    code = "import sys, another_name; print(sorted(m for m in sys.modules if 'qgis' in m.lower()))"
    assert run_python("-c", code, cwd=tmp_path).strip() == "[]"
    assert "classFactory" in ast.dump(ast.parse(read("__init__.py")))


def test_backend_imports_neither_qgis_nor_qt():
    banned = ("qgis", "PyQt5", "PyQt6", "PySide2", "PySide6", "plugin")
    found = [f"{path}: {name}" for path, name in imports_of("backend") if name.split(".")[0] in banned]
    assert not found


def test_plugin_imports_only_qgis_and_the_standard_library():
    allowed = {"qgis", *sys.stdlib_module_names}
    # QGIS ships matplotlib nearly everywhere; the one file that draws with it is imported where it may be missing.
    plots = ROOT / "plugin" / "panels" / "canvas_plots.py"
    foreign = {(path, name.split(".")[0]) for path, name in imports_of("plugin")}
    foreign = {(path, name) for path, name in foreign if name not in allowed}
    assert foreign <= {(plots, "matplotlib")}


@pytest.mark.parametrize("arguments", [["--help"], ["label", "--help"], ["compare", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import os, sys
from backend import cli
try:
    cli.protolabel.main({arguments!r}, prog_name="backend")
except SystemExit:
    pass
heavy = ("torch", "rasterio", "numpy", "matplotlib", "scipy")
print("HEAVY", [name for name in heavy if name in sys.modules])
"""
    output = run_python("-c", code)
    assert "Usage:" in output
    assert output.strip().endswith("HEAVY []")


def readme_options() -> dict[str, str]:
    """The options in the README's table, with the default that it names for each."""
    rows = re.findall(r"^\| (`--[^|]*)\| ([^|]*)\|", read("README.md"), re.MULTILINE)
    return {option: default.strip() for names, default in rows for option in re.findall(r"--[a-z-]+", names)}


def test_readme_lists_exactly_the_options_of_the_label_command():
    options = [p for p in label.params if isinstance(p, click.Option)]
    wanted = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    assert set(readme_options()) == wanted


def test_readme_names_the_defaults_of_the_label_command():
    table = readme_options()
    for option in label.params:
        if isinstance(option, click.Option) and option.show_default:
            default = option.name if option.default is True else option.default
            assert table[option.opts[0]] == f"`{default}`"


@pytest.mark.slow
def test_python_example_of_the_readme_runs(tmp_path, random_model):
    example = re.search(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    assert example
    write_sample(tmp_path / "demo", width=320, height=240)
    output = run_python(
        "-c", example[1], cwd=tmp_path, PYTHONPATH=str(ROOT), PROTOLABEL_MODELS=str(random_model.parent)
    )
    assert "forest:" in output
    assert "support: 1 of" in output
    assert (tmp_path / "demo" / "labels_python.tif").is_file()


def test_nothing_but_the_list_of_requirements_names_versions():
    assert 'dependencies = { file = ["requirements/backend.txt"] }' in read("pyproject.toml")
    lines = [line for line in read("requirements/backend.txt").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9_-]+(>=[\d.]+)?  # .+", line) for line in lines), (
        "loose, with a reason each"
    )
