"""Which Pythons are found, which are run, and why one does not fit."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def interpreter(plugin_module):
    return plugin_module("plugin.client.interpreter")


@pytest.fixture(scope="module")
def lists(plugin_module):
    return plugin_module("plugin.client.candidates")


@pytest.fixture
def program(tmp_path):
    """Writes an executable: ``program(name, shell_text)``."""

    def make(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def told(program):
    """A fake Python that tells about itself what the test wants."""

    def make(**values):
        honest = {
            "version": [3, 12, 4],
            "executable": "/x/python3",
            "prefix": "/x",
            "machine": os.uname().machine,
            "bits": 64,
            "venv": True,
            "ensurepip": True,
            "ssl": True,
        }
        text = json.dumps({**honest, **values})
        return program("python3", f"echo 'a line of a shell profile'\necho 'protolabel-python:{text}'")

    return make


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def judge(interpreter, lists, path, **options):
    return interpreter.judge(lists.Candidate(path, lists.Source.SYSTEM), **options)


def test_this_python_fits(interpreter, lists):
    verdict = judge(interpreter, lists, Path(sys.executable))
    assert verdict.fits
    assert verdict.probe.version == tuple(sys.version_info[:3])
    assert verdict.probe.prefix == sys.prefix


def test_variables_of_qgis_do_not_reach_the_probe(interpreter, lists):
    environ = {**os.environ, "PYTHONHOME": "/nowhere", "PYTHONEXECUTABLE": "/nowhere/python"}
    assert judge(interpreter, lists, Path(sys.executable), environ=environ).fits


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"version": [3, 9, 20]}, "3.9, which is too old; Python 3.10 to 3.13"),
        ({"version": [2, 7, 18]}, "too old"),
        ({"version": [3, 14, 0]}, "too new"),
        ({"bits": 32}, "64-bit"),
        ({"machine": "sparc"}, "built for sparc"),
        ({"ensurepip": False}, "sudo apt install python3.12-venv"),
        ({"venv": False}, "python3.12-venv"),
        ({"ssl": False}, "ssl"),
        ({"version": "nonsense"}, "does not answer like a Python"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(interpreter, lists, told, values, words):
    verdict = judge(interpreter, lists, told(**values))
    assert not verdict.fits
    assert words in verdict.reason
    assert verdict.reason.endswith(".")
    assert "\n" not in verdict.reason


def test_macos_needs_apple_silicon(interpreter, lists, told, monkeypatch):
    path = told(machine="x86_64")
    monkeypatch.setattr(interpreter.sys, "platform", "darwin")
    assert "arm64" in judge(interpreter, lists, path).reason


def test_running_needs_no_venv(interpreter, lists, told):
    assert judge(interpreter, lists, told(venv=False, ensurepip=False), make=False).fits


@pytest.mark.parametrize("name", ["qgis", "qgis-bin.exe", "QGIS", "python-qgis.bat", "pythonw.exe", "bash"])
def test_a_launcher_is_never_run(interpreter, lists, program, tmp_path, name):
    path = program(name, f"touch '{tmp_path}/was-run'")
    verdict = judge(interpreter, lists, path)
    assert "not named like a Python" in verdict.reason
    assert not (tmp_path / "was-run").exists()


def test_a_link_to_qgis_is_never_run(interpreter, lists, program, tmp_path):
    (tmp_path / "python3").symlink_to(program("qgis.bin", f"touch '{tmp_path}/was-run'"))
    assert not judge(interpreter, lists, tmp_path / "python3").fits
    assert not (tmp_path / "was-run").exists()


def test_a_silent_program_is_given_up(interpreter, lists, program):
    path = program("python3", "sleep 60 & sleep 60")
    started = time.monotonic()
    assert "did not answer within 0.5 seconds" in judge(interpreter, lists, path, timeout=0.5).reason
    assert time.monotonic() - started < 5


def test_what_cannot_be_started_or_says_something_else_does_not_fit(interpreter, lists, program, tmp_path):
    assert "does not exist" in judge(interpreter, lists, tmp_path / "python3").reason
    path = program("python3", "echo 'Python was not found; run without arguments to install'; exit 1")
    assert "does not answer like a Python" in judge(interpreter, lists, path).reason
    path.chmod(0o644)
    assert "cannot be started" in judge(interpreter, lists, path).reason


def test_order_on_linux(lists, tmp_path):
    chosen = touch(tmp_path / "chosen" / "bin" / "python")
    managed = tmp_path / "env"
    for folder, name in [("a", "python3.11"), ("b", "python3"), ("b", "python3.13"), ("qgis", "python3")]:
        touch(tmp_path / folder / name)
    environ = {
        "PATH": os.pathsep.join(str(tmp_path / name) for name in ("qgis", "a", "b", "b")) + ":relative"
    }
    found = list(lists.candidates(tmp_path / "chosen", managed, "linux", environ, Path("/usr")))
    assert [candidate.path for candidate in found] == [
        chosen,
        managed / "bin" / "python",
        tmp_path / "b" / "python3",
        tmp_path / "b" / "python3.13",
        tmp_path / "a" / "python3.11",
    ]
    assert found[0].source is lists.Source.CHOSEN


def test_the_variable_counts_as_chosen_unless_something_was_chosen(lists):
    environ = {"PROTOLABEL_PYTHON": "/opt/python3", "PATH": ""}
    [first] = lists.candidates(system="linux", environ=environ)
    assert first == lists.Candidate(Path("/opt/python3"), lists.Source.CHOSEN)
    [first] = lists.candidates(Path("/mine/python3"), system="linux", environ=environ)
    assert first.path == Path("/mine/python3")


def test_order_on_windows(lists, tmp_path):
    touch(tmp_path / "local" / "Programs" / "Python" / "Python39" / "python.exe")
    touch(tmp_path / "local" / "Programs" / "Python" / "Python312" / "python.exe")
    touch(tmp_path / "prefix" / "python.exe")
    touch(tmp_path / "prefix" / "python3.exe")
    touch(tmp_path / "osgeo" / "apps" / "Python312" / "python.exe")
    touch(tmp_path / "WindowsApps" / "python.exe")
    environ = {
        "LOCALAPPDATA": str(tmp_path / "local"),
        "OSGEO4W_ROOT": str(tmp_path / "osgeo"),
        "PATH": str(tmp_path / "WindowsApps"),
    }
    found = list(lists.candidates(system="win32", environ=environ, prefix=tmp_path / "prefix"))
    assert [candidate.path.relative_to(tmp_path).as_posix() for candidate in found] == [
        "local/Programs/Python/Python312/python.exe",
        "local/Programs/Python/Python39/python.exe",
        "prefix/python.exe",
        "prefix/python3.exe",
        "osgeo/apps/Python312/python.exe",
    ]


def test_macos_passes_over_bundles_and_the_stub_of_apple(lists, tmp_path):
    good = touch(tmp_path / "homebrew" / "python3")
    bundle = touch(tmp_path / "Map.app" / "Contents" / "MacOS" / "python3")
    linked = tmp_path / "linked" / "python3"
    linked.parent.mkdir()
    linked.symlink_to(bundle)
    folders = ["/usr/bin", str(bundle.parent), str(linked.parent), str(good.parent)]
    environ = {"PATH": os.pathsep.join(folders)}
    found = {candidate.path for candidate in lists.candidates(system="darwin", environ=environ)}
    assert good in found
    assert not {bundle, linked, Path("/usr/bin/python3")} & found
    [first, *_] = lists.candidates(Path("/usr/bin/python3"), system="darwin", environ=environ)
    assert first.path == Path("/usr/bin/python3")


def test_the_first_that_fits_is_taken(interpreter, lists, program):
    bad = lists.Candidate(program("python3", "exit 1"), lists.Source.SYSTEM)
    good = lists.Candidate(Path(sys.executable), lists.Source.SYSTEM)
    assert interpreter.find_python(iter([bad, good])).candidate == good


def test_what_was_chosen_is_not_passed_over(interpreter, lists, program):
    chosen = lists.Candidate(program("python3", "exit 1"), lists.Source.CHOSEN)
    good = lists.Candidate(Path(sys.executable), lists.Source.SYSTEM)
    with pytest.raises(Exception, match="does not answer like a Python"):
        interpreter.find_python(iter([chosen, good]))


def test_none_found_tells_the_fix(interpreter, lists, told):
    with pytest.raises(Exception, match=r"install one from python\.org"):
        interpreter.find_python(iter([]))
    old = lists.Candidate(told(version=[3, 8, 1]), lists.Source.SYSTEM)
    with pytest.raises(Exception, match="too old"):
        interpreter.find_python(iter([old]))


def test_conda_has_its_python_elsewhere_on_windows(lists, tmp_path):
    assert lists.python_of(tmp_path, "win32") == tmp_path / "Scripts" / "python.exe"
    touch(tmp_path / "python.exe")
    assert lists.python_of(tmp_path, "win32") == tmp_path / "python.exe"
