"""What the machine is taken to have, judged by files alone."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def machine(plugin_module):
    return plugin_module("plugin.client.machine")


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    "mark", ["proc/driver/nvidia/version", "dev/nvidiactl", "usr/lib/wsl/lib/libcuda.so.1"]
)
def test_nvidia_on_linux(machine, tmp_path, mark):
    assert not machine.has_nvidia("linux", {}, tmp_path)
    touch(tmp_path / mark)
    assert machine.has_nvidia("linux", {}, tmp_path)
    assert not machine.has_nvidia("darwin", {}, tmp_path)


def test_nvidia_on_windows(machine, tmp_path):
    environ = {"SYSTEMROOT": str(tmp_path)}
    assert not machine.has_nvidia("win32", environ)
    touch(tmp_path / "System32" / "nvml.dll")
    assert machine.has_nvidia("win32", environ)


def test_compiler(machine, tmp_path):
    assert not machine.has_compiler("linux", {"PATH": str(tmp_path)})
    touch(tmp_path / "g++")
    (tmp_path / "g++").chmod(0o755)
    assert machine.has_compiler("linux", {"PATH": str(tmp_path)})
    assert not machine.has_compiler("darwin", {}, tmp_path)
    touch(tmp_path / "Library/Developer/CommandLineTools/usr/bin/c++")
    assert machine.has_compiler("darwin", {}, tmp_path)
    environ = {"PROGRAMFILES(X86)": str(tmp_path)}
    assert not machine.has_compiler("win32", environ)
    touch(tmp_path / "Microsoft Visual Studio" / "Installer" / "vswhere.exe")
    assert machine.has_compiler("win32", environ)
    assert "Visual Studio" in machine.what_builds("win32")
    assert "g++" in machine.what_builds("freebsd")


def test_free_space_of_a_folder_that_is_not_there_yet(machine, tmp_path):
    assert machine.free_space(tmp_path / "a" / "b") > 0
    touch(tmp_path / "file")
    assert machine.free_space(tmp_path / "file" / "b") is None
