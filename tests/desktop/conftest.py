"""A real QGIS in a virtual screen, with the plugin in a folder that is not called like it, and a profile of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PLUGIN = "any_name-main"


@pytest.fixture(scope="session")
def backend_python() -> str:
    """The Python of the backend's environment."""
    path = os.environ.get("PROTOLABEL_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    if not Path(path).is_file():
        pytest.skip("needs the backend's environment; name its Python in PROTOLABEL_PYTHON")
    return path


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Tells whether a worker still runs."""

    def tell(pid: int) -> bool:
        try:
            return b"backend.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    return tell


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """Where the screenshots go; they are looked at by people."""
    folder = ROOT / "build" / "screenshots" / request.node.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def qgis(tmp_path: Path, pictures: Path, backend_python: str) -> Callable[..., dict[str, Any]]:
    """Runs a scenario of this folder in QGIS: ``qgis("scenario.py", {"VARIABLE": "value"})``; returns its report.

    Runs at the same time need names.
    """
    for program in ("qgis", "xvfb-run"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")

    def run(
        scenario: str, variables: dict[str, str], seconds: float = 300.0, name: str = ""
    ) -> dict[str, Any]:
        plugins = tmp_path / "plugins"
        for folder in (plugins, tmp_path / "work", tmp_path / "tmp"):
            folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (plugins / PLUGIN).symlink_to(ROOT, target_is_directory=True)
        report_folder = pictures / name
        report_folder.mkdir(exist_ok=True)
        profiles = tmp_path / f"profiles{name}"
        profile = profiles / "profiles" / "default" / "QGIS"
        profile.mkdir(parents=True, exist_ok=True)
        (profile / "QGIS3.ini").write_text(
            f"[PythonPlugins]\n{PLUGIN}=true\n[Qgis]\nshowTips=false\ncheckVersion=false\n"
            "[qgis]\ncheckVersion=false\nshowTips324=false\n",
            encoding="utf-8",
        )
        environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "xcb",
            "QGIS_PLUGINPATH": str(plugins),
            "PROTOLABEL_PYTHON": backend_python,
            "PROTOLABEL_DATA": str(tmp_path / "data"),
            "PROTOLABEL_REPORT": str(report_folder),
            "PROTOLABEL_PLUGIN": PLUGIN,
            "PROTOLABEL_WORK": str(tmp_path / "work"),
            "TMPDIR": str(tmp_path / "tmp"),
            "PYTHONPATH": str(HERE),
            **variables,
        }
        # xvfb-run looks for a free screen, but two that look at the same time find the same one.
        screen = str(99 + 40 * (sum(name.encode()) % 20))
        command = [
            "xvfb-run", "-a", "-n", screen, "-s", "-screen 0 1500x950x24", "qgis", "--nologo", "--noversioncheck",
            "--profiles-path", str(profiles), "--code", str(HERE / scenario),
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        report = report_folder / "report.json"
        assert report.exists(), (
            f"QGIS ended with {done.returncode} before the scenario did:\n{done.stderr[-4000:]}"
        )
        values: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        values["exit_code"], values["stderr"] = done.returncode, done.stderr
        return values

    return run
