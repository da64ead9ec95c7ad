"""The service: which Python it takes, its worker, its jobs, and that nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy

BACKEND = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python"
needs_backend = pytest.mark.skipif(not BACKEND.is_file(), reason="needs the backend's environment in .venv")


@pytest.fixture
def modules(plugin_module, qgis_app):
    class Modules:
        service = plugin_module("plugin.backend_service").BackendService
        errors = plugin_module("plugin.client.errors")
        protocol = plugin_module("backend.protocol")

    QgsSettings().remove("protolabel")
    yield Modules
    QgsSettings().remove("protolabel")


@pytest.fixture
def make(modules, tmp_path):
    """Makes services in a folder of the test's own: ``make(PROTOLABEL_PYTHON=...)``."""
    services = []

    def make(**variables):
        own = {name: value for name, value in os.environ.items() if not name.startswith("PROTOLABEL_")}
        environ = {**own, "PROTOLABEL_DATA": str(tmp_path / "data"), **variables}
        services.append(modules.service(environ=environ))
        return services[-1]

    yield make
    for service in services:
        service.close()


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_is_touched_before_it_is_needed(make, tmp_path):
    service = make()
    assert service.python() is None
    assert service.environments.root == tmp_path / "data"
    assert not (tmp_path / "data").exists()
    assert service.log.name == f"worker-{os.getpid()}.log"


def test_without_a_backend_the_way_out_is_told(make, modules):
    with pytest.raises(modules.errors.BackendMissingError) as caught:
        make().client()
    text = str(caught.value)
    assert "Raster > Protolabel > Set Up Backend…" in text
    assert "PROTOLABEL_PYTHON" in text
    assert text.count(".") == 1
    assert isinstance(caught.value, modules.errors.ClientError)


def test_variable_goes_before_the_setting(make, tmp_path):
    folder = tmp_path / "env" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    service = make(PROTOLABEL_PYTHON=str(folder / "python"))
    service.use(replace(service.settings, python="/another/python"))
    assert service.python() == folder / "python"
    assert make(PROTOLABEL_PYTHON=str(tmp_path / "env")).python() == folder / "python", "a folder will do"
    assert make().chosen == "/another/python"


@pytest.mark.parametrize("name", ["qgis", "absent/python"])
def test_variable_that_names_no_python_is_told_and_not_passed_over(make, modules, tmp_path, name):
    (tmp_path / "qgis").write_text("#!/bin/sh\n")
    (tmp_path / "qgis").chmod(0o755)
    service = make(PROTOLABEL_PYTHON=str(tmp_path / name))
    assert service.python() is None
    with pytest.raises(modules.errors.BackendMissingError, match=f"PROTOLABEL_PYTHON names .*{name}"):
        service.client()


def test_setting_whose_python_is_gone_is_told(make, modules, tmp_path):
    service = make()
    service.use(replace(service.settings, python=str(tmp_path / "python3")))
    with pytest.raises(modules.errors.BackendMissingError, match="is no Python any more"):
        service.client()


def test_folder_of_the_setting(make, tmp_path):
    service = make(PROTOLABEL_DATA="")
    service.use(replace(service.settings, folder=str(tmp_path / "elsewhere")))
    assert service.environments.root == tmp_path / "elsewhere"
    assert make(PROTOLABEL_DATA="").environments.root == tmp_path / "elsewhere"
    assert make().environments.root == tmp_path / "data", "the variable goes first"


@needs_backend
@pytest.mark.slow
def test_one_worker_serves_and_is_restarted_when_it_was_lost(make, modules):
    service = make(PROTOLABEL_PYTHON=str(BACKEND))
    client = service.client()
    assert client.request(modules.protocol.Ping(0)).wait(60) is not None
    first = client.pid
    assert service.client() is client
    assert service.log.is_file()
    os.kill(first, 9)
    wait_until(lambda: client.pid is None)
    service.client().request(modules.protocol.Ping(0)).wait(60)
    second = service.client().pid
    assert second not in (None, first)

    began = time.monotonic()
    service.restart()
    assert time.monotonic() - began < 0.1, "the window must not wait"
    assert service.client() is not client
    service.client().request(modules.protocol.Ping(0)).wait(60)
    third = service.client().pid
    wait_until(lambda: not runs(second))
    service.close()
    assert not runs(third)
    with pytest.raises(modules.errors.ClientError):
        service.client()


@needs_backend
@pytest.mark.slow
def test_other_python_gets_another_worker(make, modules, tmp_path):
    service = make()
    service.use(replace(service.settings, python=str(BACKEND)))
    client = service.client()
    client.request(modules.protocol.Ping(0)).wait(60)
    pid = client.pid
    service.use(replace(service.settings, device="cpu"))
    assert service.client() is client
    service.use(replace(service.settings, python=str(tmp_path / "gone")))
    wait_until(lambda: not runs(pid))


@pytest.mark.parametrize(
    ("kind", "use", "address"),
    [
        (QNetworkProxy.ProxyType.HttpProxy, True, "http://proxy.invalid:3128"),
        (QNetworkProxy.ProxyType.HttpProxy, False, None),
        (QNetworkProxy.ProxyType.Socks5Proxy, True, None),
        (QNetworkProxy.ProxyType.NoProxy, True, None),
    ],
)
def test_worker_downloads_through_the_proxy_of_qgis(make, modules, tmp_path, kind, use, address):
    tells = tmp_path / "python3"
    told = tmp_path / "told"
    tells.write_text(f'#!/bin/sh\necho "$https_proxy" > {told}\n')
    tells.chmod(0o755)
    service = make(PROTOLABEL_PYTHON=str(tells), https_proxy="")
    service.use(replace(service.settings, use_proxy=use))
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy()
    try:
        manager.setFallbackProxyAndExcludes(QNetworkProxy(kind, "proxy.invalid", 3128), [], [])
        pending = service.client().request(modules.protocol.Ping(0))
    finally:
        manager.setFallbackProxyAndExcludes(before, [], [])
    assert pending.wait_done(10)
    assert told.read_text().strip() == (address or "")


def test_old_logs_go_and_those_of_other_instances_stay(make, tmp_path):
    folder = tmp_path / "data" / "logs"
    folder.mkdir(parents=True)
    for name, days in (("worker-1.log", 30), ("worker-2.log", 1), ("other.log", 30)):
        (folder / name).touch()
        stamp = time.time() - days * 24 * 3600
        os.utime(folder / name, (stamp, stamp))
    make(PROTOLABEL_PYTHON=sys.executable).client()
    assert sorted(path.name for path in folder.iterdir()) == ["other.log", "worker-2.log"]


def test_jobs_go_on_in_the_main_thread(make, qtbot):
    service, threads = make(), []
    with qtbot.waitSignal(service.jobDone, timeout=5000) as done:
        job = service.run(
            lambda say, cancel: 42, then=lambda result: threads.append((result, threading.current_thread()))
        )
    assert done.args == [job]
    assert threads == [(42, threading.main_thread())]


def test_closing_cancels_a_job_and_its_child(make, tmp_path, plugin_module):
    run_child = plugin_module("plugin.client.children").run_child
    service, lines = make(), []
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"

    def work(say, cancel):
        run_child([sys.executable, "-c", code], os.environ, tmp_path, cancel=cancel, on_line=lines.append)

    job = service.run(work, then=lambda result: lines.append("then"))
    wait_until(lambda: lines)
    service.close()
    assert job.done
    assert not runs(int(lines[0]))
    assert len(lines) == 1


@needs_backend
@pytest.mark.slow
def test_worker_ends_with_a_crashed_qgis(tmp_path, plugin_module):
    packages = Path(plugin_module("plugin").__file__).parents[2]
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from plugin_of_any_name.plugin.backend_service import BackendService\n"
        "from plugin_of_any_name.backend.protocol import Ping\n"
        "service = BackendService(); client = service.client(); client.request(Ping(0)).wait(60)\n"
        "print(client.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    environ = {**os.environ, "PROTOLABEL_PYTHON": str(BACKEND), "PROTOLABEL_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-c", code, str(packages)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=100, check=False)
    assert done.returncode == -9, done.stderr
    wait_until(lambda: not runs(int(done.stdout)))


def test_each_purpose_has_a_worker_of_its_own(make, modules, backend_python):
    service = make(PROTOLABEL_PYTHON=backend_python)
    clients = [service.client(purpose) for purpose in ("", "finetuning")]
    assert service.client("finetuning") is clients[1] is not clients[0]
    pending = [client.request(modules.protocol.Ping(0)) for client in clients]
    for request in pending:
        request.wait(60)
    pids = [client.pid for client in clients]
    assert len(set(pids)) == 2
    assert service.log.with_name(f"{service.log.stem}-finetuning.log").exists()
    service.dismiss("finetuning")
    wait_until(lambda: not runs(pids[1]))
    assert runs(pids[0]) and service.client() is clients[0]
    service.client("finetuning").request(modules.protocol.Ping(0)).wait(60)
    pids[1] = service.client("finetuning").pid
    began = time.monotonic()
    service.close()
    assert time.monotonic() - began < 5, "both are ended at the same time"
    assert not any(map(runs, pids))
