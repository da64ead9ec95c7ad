"""The set-up dialog with real child processes: installs, cancels, verifies, removes, and never holds up QGIS."""

from __future__ import annotations

import os
import shutil
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtNetwork import QNetworkProxy
from qgis.PyQt.QtWidgets import QApplication, QPushButton, QWidget

VERIFY = """
import json, sys
import tiny
note = "The driver is old. Update it." if sys.argv[1] == "auto" else ""
print("protolabel-verified:" + json.dumps(
    {"prefix": sys.prefix, "device": "cpu", "versions": {"python": "3", "torch": tiny.VERSION}, "note": note}))
"""
SLOW = "import time\nfor n in range(200):\n    print('line', n, flush=True)\n    time.sleep(0.05)\n"


@pytest.fixture
def modules(plugin_module, qgis_app):
    class Modules:
        service = plugin_module("plugin.backend_service").BackendService
        dialog = plugin_module("plugin.panels.setup_dialog").SetupDialog
        form = plugin_module("plugin.panels.setup_form")
        steps = plugin_module("plugin.client.install_steps")
        environment = plugin_module("plugin.client.environment")
        errors = plugin_module("plugin.client.errors")

    QgsSettings().remove("protolabel")
    yield Modules
    QgsSettings().remove("protolabel")


@pytest.fixture
def wheels(tmp_path):
    """A folder with a wheel of one line."""
    folder = tmp_path / "wheels of Jürgen"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "VERSION = '42.0'\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("tiny-1.0.dist-info/WHEEL", tag)
        names = ("tiny.py", *(f"tiny-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")))
        wheel.writestr("tiny-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return folder


@pytest.fixture
def programs(tmp_path):
    """The only folder of PATH; holds a Python that fits."""
    folder = tmp_path / "programs"
    folder.mkdir()
    base = Path(sys.base_prefix, "bin", "python3")
    (folder / "python3").symlink_to(base)
    return folder


@pytest.fixture
def make(modules, tmp_path, programs, qtbot):
    """Makes services of a backend of one package."""
    services = []
    requirements = tmp_path / "backend.txt"
    requirements.write_text("tiny  # a package of one line\n")

    def make(**variables):
        own = {name: value for name, value in os.environ.items() if not name.startswith("PROTOLABEL_")}
        environ = {**own, "PATH": str(programs), "PROTOLABEL_DATA": str(tmp_path / "data ä"), **variables}
        services.append(modules.service(None, environ, requirements, VERIFY))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.fixture
def show(modules, qtbot):
    """Shows the dialog of a service once it has looked for Pythons."""

    def show(service):
        dialog = modules.dialog(service)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: dialog.form._survey is not None, timeout=20_000)
        return dialog

    return show


@pytest.fixture
def steps_are(modules, monkeypatch):
    """Replaces pip by Python code."""

    def set_steps(*codes):
        def steps(python, folder, requirements, options):
            yield modules.steps.Step(
                "Making", (str(python), "-I", "-m", "venv", "--without-pip", str(folder))
            )
            for code in codes:
                yield modules.steps.Step("Installation", (str(python), "-I", "-c", code))

        monkeypatch.setattr(modules.environment, "install_steps", steps)

    return set_steps


class Heartbeat:
    """Measures how long the event loop was held up, by the clock or by the main thread's own work."""

    def __init__(self, clock=time.perf_counter):
        self._clock = clock
        self.longest, self._last = 0.0, clock()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self):
        now = self._clock()
        self.longest, self._last = max(self.longest, now - self._last), now


def text(dialog, name):
    return dialog.findChild(QWidget, name).text().replace("\u200b", "")


def finished(service):
    return lambda: service.setup is None


def click(qtbot, button):
    assert button.isEnabled(), button.objectName()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.slow
def test_install_verify_and_remove(make, show, wheels, qtbot, modules, tmp_path):
    service = make()
    dialog = show(service)
    assert "not installed yet" in text(dialog, "setupState")
    assert not dialog.verify.isEnabled()
    assert not dialog.repair.isEnabled()
    assert not dialog.remove.isEnabled()
    assert "Download 0.5 GB" in dialog.form.install.text()
    dialog.form.wheels.setFilePath(str(wheels))
    assert "Nothing is downloaded" in text(dialog, "setupSpace")
    assert service.settings.wheels == str(wheels)

    click(qtbot, dialog.form.install)
    assert "under way" in text(dialog, "setupState")
    assert dialog.progress.cancel.isVisible()
    assert not dialog.form.install.isEnabled()
    qtbot.waitUntil(finished(service), timeout=60_000)
    qtbot.waitUntil(lambda: "succeeded" in text(dialog, "setupStatus"))
    assert text(dialog, "setupState") == "The backend is ready: Python 3, PyTorch 42.0."
    assert "The graphics card is not used: The driver is old" in text(dialog, "setupDetails")
    assert "Device: CPU (chosen: automatic)" in text(dialog, "setupDetails")
    assert "Successfully installed tiny" in dialog.progress.log.toPlainText()
    assert not dialog.progress.cancel.isVisible()
    assert service.verified().versions["torch"] == "42.0"
    last = dialog.progress.log.cursorForPosition(dialog.progress.log.viewport().rect().bottomLeft())
    assert last.blockNumber() >= dialog.progress.log.blockCount() - 2, "the end is in sight"
    python = service.python()
    assert python.is_relative_to(tmp_path / "data ä")

    assert dialog.form.install.text() == "Install Again from the Folder"
    dialog.device.setCurrentText("cpu")
    assert service.settings.device == "cpu"
    click(qtbot, dialog.verify)
    qtbot.waitUntil(finished(service), timeout=60_000)
    assert "graphics card" not in text(dialog, "setupDetails"), "the processor was asked for"

    click(qtbot, dialog.remove)
    assert dialog.confirm.isVisible()
    click(qtbot, dialog.kept)
    assert not dialog.confirm.isVisible()
    assert python.is_file()
    click(qtbot, dialog.remove)
    click(qtbot, dialog.confirmed)
    qtbot.waitUntil(finished(service), timeout=60_000)
    assert "not installed yet" in text(dialog, "setupState")
    assert service.python() is None
    assert service.verified() is None


@pytest.mark.slow
def test_environment_that_was_deleted_or_damaged_is_told_and_repaired(make, show, wheels, qtbot, modules):
    service = make()
    service.use(replace(service.settings, wheels=str(wheels)))
    dialog = show(service)
    click(qtbot, dialog.form.install)
    qtbot.waitUntil(finished(service), timeout=60_000)
    service.client()

    [module] = service.environments.find().folder.rglob("tiny.py")
    module.unlink()
    click(qtbot, dialog.verify)
    qtbot.waitUntil(lambda: "package tiny is missing" in text(dialog, "setupStatus"), timeout=60_000)
    click(qtbot, dialog.repair)
    qtbot.waitUntil(finished(service), timeout=60_000)
    assert "ready" in text(dialog, "setupState")
    assert list(service.environments.find().folder.rglob("tiny.py"))

    folder = service.environments.find().folder
    (folder / "bin" / "python").unlink()
    service.refresh()
    assert "not whole" in text(dialog, "setupState")
    shutil.rmtree(folder)
    service.refresh()
    assert "not installed yet" in text(dialog, "setupState")
    with pytest.raises(modules.errors.BackendMissingError):
        service.client()


@pytest.mark.slow
def test_environment_of_another_version_is_told(make, show, wheels, qtbot):
    service = make()
    (service.environments.root / "env-3.11-00000000").mkdir(parents=True)
    dialog = show(service)
    assert "another version" in text(dialog, "setupState")
    assert dialog.remove.isEnabled()


def test_cancel_leaves_nothing_and_the_window_stays_responsive(make, show, steps_are, qtbot):
    steps_are(SLOW)
    service = make()
    dialog = show(service)
    heartbeat = Heartbeat()
    click(qtbot, dialog.form.install)
    qtbot.waitUntil(lambda: "line 30" in dialog.progress.log.toPlainText(), timeout=30_000)
    assert "Installation" in text(dialog, "setupStatus")
    began = time.monotonic()
    click(qtbot, dialog.progress.cancel)
    assert not dialog.progress.cancel.isEnabled()
    qtbot.waitUntil(finished(service), timeout=10_000)
    assert time.monotonic() - began < 3
    assert "cancelled; nothing was left behind" in text(dialog, "setupStatus")
    assert "not installed yet" in text(dialog, "setupState")
    assert not list(service.environments.root.glob("env-*"))
    assert heartbeat.longest < 0.1, f"held up for {heartbeat.longest:.3f} s"


def test_flood_of_output_is_bounded_and_does_not_hold_up_the_window(make, show, steps_are, qtbot):
    steps_are("for n in range(50_000): print('line', n)\nprint('the reason')\nraise SystemExit(1)")
    service = make()
    dialog = show(service)
    heartbeat = Heartbeat(time.thread_time)  # the threads that read take their share of the clock
    click(qtbot, dialog.form.install)
    qtbot.waitUntil(finished(service), timeout=60_000)
    qtbot.waitUntil(lambda: "the reason" in text(dialog, "setupStatus"))
    assert dialog.progress.log.blockCount() <= 2001
    assert heartbeat.longest < 0.1, f"held up for {heartbeat.longest:.3f} s"


def test_search_for_python_does_not_hold_up_the_window(make, show, programs):
    slow = programs / "python3.12"
    slow.write_text("#!/bin/sh\n/bin/sleep 2\n")
    slow.chmod(0o755)
    heartbeat = Heartbeat()
    dialog = show(make())
    assert heartbeat.longest < 0.15, f"held up for {heartbeat.longest:.3f} s"  # with the making of the dialog
    assert dialog.form.python.count() == 1, "what does not answer is not offered"
    assert len(dialog.form.verdicts) == 2
    assert dialog.form.install.isEnabled()


def test_without_any_python_the_dialog_says_what_to_do(make, show, programs):
    (programs / "python3").unlink()
    dialog = show(make())
    assert "python.org" in text(dialog, "setupVerdict")
    assert not dialog.form.install.isEnabled()


def test_python_that_does_not_fit_is_told_why(make, show, qtbot, tmp_path):
    program = tmp_path / "qgis-bin"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o755)
    dialog = show(make())
    assert dialog.form.install.isEnabled()
    dialog.form.add_python(program)
    qtbot.waitUntil(lambda: "not named like a Python" in text(dialog, "setupVerdict"), timeout=10_000)
    assert not dialog.form.install.isEnabled()
    dialog.form.python.setCurrentIndex(0)
    assert dialog.form.install.isEnabled()


def test_closed_dialog_lets_the_work_go_on_and_a_new_one_shows_it(make, show, steps_are, qtbot, modules):
    steps_are(SLOW)
    service = make()
    first = show(service)
    click(qtbot, first.form.install)
    qtbot.waitUntil(lambda: "line 3" in first.progress.log.toPlainText(), timeout=30_000)
    first.close()
    assert service.setup is not None
    second = modules.dialog(service)
    qtbot.addWidget(second)
    second.show()
    qtbot.waitUntil(lambda: "line 3" in second.progress.log.toPlainText(), timeout=5000)
    assert second.progress.cancel.isVisible()
    service.close()
    assert not list(service.environments.root.glob("env-*")), "closing QGIS cancels"


@pytest.mark.slow
def test_existing_environment_is_verified_before_it_is_used(make, show, qtbot, tmp_path, wheels):
    service = make()
    dialog = show(service)
    assert not dialog.use.isEnabled()
    dialog.existing.setFilePath(sys.executable)
    dialog.use.click()
    qtbot.waitUntil(lambda: "tiny is missing" in text(dialog, "setupStatus"), timeout=30_000)
    assert service.settings.python == ""

    dialog.form.wheels.setFilePath(str(wheels))
    dialog.form.install.click()
    qtbot.waitUntil(finished(service), timeout=60_000)
    moved = tmp_path / "my own"
    shutil.copytree(service.environments.find().folder, moved, symlinks=True)
    dialog.existing.setFilePath(str(moved))
    dialog.use.click()
    qtbot.waitUntil(lambda: service.settings.python == str(moved / "bin" / "python"), timeout=30_000)
    assert service.python() == moved / "bin" / "python"
    assert "of your own: Python 3, PyTorch 42.0" in text(dialog, "setupState")
    dialog.use_managed.click()
    assert "The backend is ready: " in text(dialog, "setupState")


def test_variable_decides_and_the_dialog_says_so(make, show):
    dialog = show(make(PROTOLABEL_PYTHON=sys.executable))
    assert "environment of your own" in text(dialog, "setupState")
    assert "PROTOLABEL_PYTHON" in text(dialog, "setupDetails")
    assert not dialog.repair.isEnabled()
    assert not dialog.form.folder.isEnabled(), "PROTOLABEL_DATA decides"


def test_proxy_is_offered_only_when_there_is_one(make, show, qgis_app):
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy()
    try:
        manager.setFallbackProxyAndExcludes(QNetworkProxy(), [], [])
        dialog = show(make())
        assert not dialog.form.proxy.isVisible()
        proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 3128)
        manager.setFallbackProxyAndExcludes(proxy, [], [])
        dialog.form.refresh()
        assert dialog.form.proxy.isVisible()
        assert dialog.form.options().proxy == "http://proxy.example:3128"
        dialog.form.proxy.setChecked(False)
        assert dialog.form.options().proxy is None
    finally:
        manager.setFallbackProxyAndExcludes(before, [], [])


def test_missing_compiler_is_told_before_the_installation(make, show, tmp_path, wheels):
    (tmp_path / "backend.txt").write_text("tiny\npydensecrf2  # built from source\n")
    dialog = show(make())
    assert "has to be built" in text(dialog, "setupHint")
    (wheels / "pydensecrf2-1.1-cp311-cp311-linux_x86_64.whl").touch()
    dialog.form.wheels.setFilePath(str(wheels))
    assert not dialog.form.hint.isVisible()


def test_diagnostics_go_to_the_clipboard_without_the_users_name(make, show, qtbot):
    dialog = show(make())
    click(qtbot, dialog.copy)
    report = QApplication.clipboard().text()
    assert "- QGIS: 3" in report or "- QGIS: 4" in report
    assert "- Device: auto" in report
    assert "fits" in report
    assert str(Path.home()) not in report


def test_every_control_has_a_tip_and_a_name_and_the_dialog_fits_a_narrow_screen(make, show):
    dialog = show(make())
    assert dialog.isModal() is False
    assert dialog.minimumSizeHint().width() <= 420
    controls = [dialog.device, dialog.existing, dialog.form.python, dialog.form.build, dialog.form.browse]
    controls += [dialog.form.wheels, dialog.form.folder, dialog.form.proxy, dialog.progress.log]
    controls += [b for b in dialog.findChildren(QPushButton) if b.objectName().startswith("setup")]
    assert len(controls) >= 19
    for control in controls:
        assert control.objectName(), control
        assert control.toolTip(), control.objectName()
    buttons = dialog.findChildren(QPushButton)
    assert not any(button.autoDefault() or button.isDefault() for button in buttons), (
        "Enter downloads nothing"
    )
