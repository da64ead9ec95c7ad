"""The client against small fake workers that misbehave, and against the real one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import shapely

ROOT = Path(__file__).resolve().parents[3]

FAKE = """
import json, os, signal, sys, threading, time

def say(**values):
    sys.stdout.write(json.dumps(values) + "\\n")
    sys.stdout.flush()

def ready(protocol=2):
    say(type="ready", protocol=protocol, version="0", python="3", pid=os.getpid())

def requests():
    for line in sys.stdin:
        yield json.loads(line)

def answer(request, **value):
    say(type="result", id=request["id"], value=value)
"""
ECHO = """
ready()
for request in requests():
    if request["op"] == "quit":
        break
    answer(request, op=request["op"], pid=os.getpid())
"""


@pytest.fixture(scope="module")
def modules(plugin_module):
    class Modules:
        client = plugin_module("plugin.client.worker_client")
        errors = plugin_module("plugin.client.errors")
        launch = plugin_module("plugin.client.worker_process").WorkerLaunch
        protocol = plugin_module("backend.protocol")

    return Modules


@pytest.fixture(autouse=True)
def no_child_is_left():
    before = set(psutil.Process().children(recursive=True))
    yield
    deadline = time.monotonic() + 3
    while set(psutil.Process().children(recursive=True)) - before:
        assert time.monotonic() < deadline, "a child process is left"
        time.sleep(0.05)


@pytest.fixture
def connect(modules, tmp_path):
    """Makes clients: ``connect(script)`` for a fake worker, ``connect()`` for the real one."""
    clients = []

    def make(script=None, grace=3.0, **options):
        if script is not None:
            path = tmp_path / f"fake_{len(clients)}.py"
            path.write_text(FAKE + script, encoding="utf-8")
            options["program"] = (str(path),)
        launch = modules.launch(Path(sys.executable), ROOT, tmp_path / "logs" / "worker.log", **options)
        clients.append(modules.client.WorkerClient(launch, grace=grace))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_starts_with_the_first_request_and_serves_many(connect, modules):
    client = connect(ECHO)
    assert client.pid is None
    assert client.ready is None
    done = []
    waiting = [client.request(modules.protocol.Ping(0), on_done=done.append) for _ in range(20)]
    answers = [pending.wait(20) for pending in waiting]
    assert {answer["pid"] for answer in answers} == {client.pid}
    assert client.ready.protocol == modules.protocol.PROTOCOL
    assert done == waiting
    assert len({pending.id for pending in waiting}) == 20


def test_requests_of_many_threads_get_their_own_answers(connect, modules):
    client = connect('ready()\nfor r in requests():\n    answer(r, raster=r.get("raster"))')
    answers = {}

    def ask(number):
        for turn in range(20):
            name = f"{number}-{turn}"
            answers[name] = client.request(modules.protocol.Inspect(0, name)).wait(20)["raster"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    assert all(name == answer for name, answer in answers.items())


def test_progress_and_log_come_by_poll_and_by_callback(connect, modules):
    client = connect("""
ready()
for request in requests():
    for done in range(3):
        say(type="progress", id=request["id"], stage="labels", done=done, total=3, megapixels=0.5)
    say(type="log", id=request["id"], level="warning", text="a text with ümlauts")
    say(type="log", id=None, level="info", text="for nobody")
    answer(request)
""")
    heard = []
    pending = client.request(modules.protocol.Ping(0), on_news=heard.append)
    assert pending.wait(20) == {}
    news = pending.poll()
    assert news == heard
    assert [item.done for item in news[:3]] == [0, 1, 2]
    assert news[3].text == "a text with ümlauts"
    assert pending.poll() == []


def test_error_of_the_worker_keeps_the_worker(connect, modules):
    client = connect("""
ready()
for request in requests():
    say(type="error", id=request["id"], kind="user", message="Choose another raster.")
""")
    for _ in range(2):
        pending = client.request(modules.protocol.Ping(0))
        with pytest.raises(modules.errors.RequestError, match=r"Choose another raster\.") as caught:
            pending.wait(20)
        assert caught.value.kind == "user"
        pid = client.pid
    assert client.pid == pid


def test_lines_of_others_are_logged_and_passed_over(connect, modules, caplog):
    client = connect("""
print("Some library says hello")
print('{"json": "of somebody else"}')
sys.stdout.flush()
sys.stdout.buffer.write(b"\\xff\\xfe no text\\n")
ready()
for request in requests():
    print("[1, 2, 3]")
    sys.stdout.write("x" * (40 << 20) + "\\n")
    answer(request)
""")
    with caplog.at_level(logging.WARNING):
        assert client.request(modules.protocol.Ping(0)).wait(20) == {}
    assert "Some library says hello" in caplog.text
    assert len(caplog.text) < 10_000


def test_garbled_answer_fails_its_request_only(connect, modules):
    client = connect("""
ready()
for request in requests():
    if request["op"] == "models":
        say(type="result", id=request["id"], value="not an object")
    else:
        answer(request)
""")
    pending = client.request(modules.protocol.Models(0))
    with pytest.raises(modules.errors.WorkerError, match="not understood"):
        pending.wait(20)
    assert client.request(modules.protocol.Ping(0)).wait(20) == {}


def test_other_version_of_the_protocol_is_refused(connect, modules):
    client = connect("ready(protocol=99)\nfor request in requests():\n    answer(request)")
    with pytest.raises(modules.errors.ProtocolMismatchError, match=r"version 99 .* restart QGIS"):
        client.request(modules.protocol.Ping(0)).wait(20)


def test_slow_start_is_waited_for(connect, modules):
    client = connect("time.sleep(0.7)\n" + ECHO)
    started = time.monotonic()
    pending = client.request(modules.protocol.Ping(0))
    assert time.monotonic() - started < 0.5, "a request blocks nobody"
    with pytest.raises(TimeoutError):
        pending.wait(0.1)
    assert pending.wait(20)["op"] == "ping"


def test_start_has_a_limit(connect, modules):
    client = connect("time.sleep(60)", start_timeout=0.5)
    with pytest.raises(modules.errors.WorkerError, match=r"not ready within 0\.5 seconds"):
        client.request(modules.protocol.Ping(0)).wait(20)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("sys.exit('no module named torch')", "exit code 1 (no module named torch)"),
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("print('ready', flush=True); os.close(1); os._exit(3)", "exit code 3"),
    ],
)
def test_crash_fails_what_waits_and_the_next_request_starts_anew(connect, modules, end, words):
    client = connect(f"""
ready()
for request in requests():
    if request["op"] == "models":
        {end}
    elif request["op"] == "ping":
        answer(request)
""")
    waiting = [
        client.request(modules.protocol.Inspect(0, "/a.tif")),
        client.request(modules.protocol.Inspect(0, "/b.tif")),
        client.request(modules.protocol.Models(0)),
    ]
    for pending in waiting:
        with pytest.raises(modules.errors.WorkerError) as caught:
            pending.wait(20)
        assert words in str(caught.value)
    assert len({id(pending.error) for pending in waiting}) == 1
    assert client.request(modules.protocol.Ping(0)).wait(20) == {}


def test_crash_before_ready_tells_what_python_said(connect, modules):
    client = connect("raise ImportError('libtorch.so is missing')")
    with pytest.raises(modules.errors.WorkerError, match=r"libtorch\.so is missing") as caught:
        client.request(modules.protocol.Ping(0)).wait(20)
    assert "Traceback" in caught.value.tail


def test_half_a_line_at_the_end_is_no_answer(connect, modules):
    client = connect("""
ready()
request = next(requests())
sys.stdout.write('{"type": "result", "id": 1, "val'); sys.stdout.flush()
os._exit(5)
""")
    with pytest.raises(modules.errors.WorkerError, match="exit code 5"):
        client.request(modules.protocol.Ping(0)).wait(20)


def test_program_that_is_not_there_is_told_at_once(modules, tmp_path):
    launch = modules.launch(tmp_path / "env" / "python", ROOT, tmp_path / "worker.log")
    client = modules.client.WorkerClient(launch)
    with pytest.raises(modules.errors.WorkerError, match="repair the environment"):
        client.request(modules.protocol.Ping(0))
    client.close()


def test_message_that_is_too_long_is_refused_at_once(connect, modules, monkeypatch):
    client = connect(ECHO)
    monkeypatch.setattr(modules.protocol, "MAX_REQUEST", 100)
    with pytest.raises(modules.protocol.ProtocolError):
        client.request(modules.protocol.Inspect(0, "/a" * 100))
    assert client.request(modules.protocol.Ping(0)).wait(20)["op"] == "ping"


def test_cancel_is_a_message_first(connect, modules):
    client = connect("""
ready()
running = None
for request in requests():
    if request["op"] == "cancel":
        answer(request, found=True)
        say(type="cancelled", id=request["target"])
""")
    pending = client.request(modules.protocol.Models(0))
    pending.cancel()
    pending.cancel()
    with pytest.raises(modules.errors.RequestCancelled):
        pending.wait(20)
    assert client.pid is not None, "the worker lives on"
    pending.cancel()  # too late, and nobody minds


GIVES_ALL_UP = """
def give_up(number, frame):
    for id in (1, 2):
        say(type="cancelled", id=id)
    os._exit(0)
signal.signal(signal.SIGTERM, give_up)
"""


@pytest.mark.parametrize("deaf", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", GIVES_ALL_UP])
def test_worker_that_ignores_a_cancel_is_ended(connect, modules, deaf):
    client = connect(
        f"""
{deaf}
ready()
for request in requests():
    if request["op"] == "models":
        time.sleep(60)
    answer(request, pid=os.getpid())
""",
        grace=0.4,
    )
    pending = client.request(modules.protocol.Models(0))
    other = client.request(modules.protocol.Ping(0))
    while client.ready is None:
        time.sleep(0.02)
    time.sleep(0.1)  # until it is sent
    first = client.pid
    started = time.monotonic()
    pending.cancel()
    with pytest.raises(modules.errors.RequestCancelled):
        pending.wait(20)
    assert time.monotonic() - started < 5
    assert other.wait(20)["pid"] != first, "who had waited behind it is served by the next worker"


def test_cancel_during_the_start_leaves_the_start_to_the_others(connect, modules):
    client = connect("time.sleep(1)\n" + ECHO, grace=0.2)
    first, second = (client.request(modules.protocol.Ping(0)) for _ in range(2))
    pid = client.pid
    first.cancel()
    with pytest.raises(modules.errors.RequestCancelled):
        first.wait(0)
    assert second.wait(20)["pid"] == pid


@pytest.mark.parametrize(
    "script",
    [
        ECHO,
        "time.sleep(60)",
        "ready()\ntime.sleep(60)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nready()\ntime.sleep(60)",
        "import subprocess\nready()\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "for request in requests():\n    pass",
    ],
    ids=["well-behaved", "never ready", "busy", "deaf", "with a child of its own"],
)
def test_close_ends_everything_within_three_seconds(connect, modules, script):
    client = connect(script)
    pending = client.request(modules.protocol.Models(0))
    time.sleep(0.3)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 3.5
    with contextlib.suppress(modules.errors.RequestCancelled):  # or it was answered before
        pending.wait(0)
    with pytest.raises(modules.errors.WorkerError, match="closed"):
        client.request(modules.protocol.Ping(0))
    client.close()


def test_close_before_any_request_does_nothing(connect):
    client = connect(ECHO)
    client.close()
    assert client.pid is None


def test_stdout_of_the_worker_is_not_waited_for_by_a_slow_caller(connect, modules):
    client = connect("""
ready()
for request in requests():
    for number in range(3000):
        say(type="log", id=request["id"], level="info", text="x" * 100)
        sys.stderr.write("y" * 1000)
    answer(request)
""")
    pending = client.request(modules.protocol.Ping(0))
    assert pending.wait(20) == {}
    assert len(pending.poll()) == 1000


def test_mistake_in_a_callback_stops_nothing(connect, modules):
    def fail(argument):
        raise ZeroDivisionError

    client = connect(ECHO)
    assert client.request(modules.protocol.Ping(0), fail, fail).wait(20)
    assert client.request(modules.protocol.Ping(0), fail, fail).wait(20)


def test_callback_may_send_and_close(connect, modules):
    client = connect(ECHO)
    closed = threading.Event()

    def close(pending):
        client.close()
        closed.set()

    client.request(
        modules.protocol.Ping(0), on_done=lambda _: client.request(modules.protocol.Ping(0), on_done=close)
    )
    assert closed.wait(10)


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_end_of_this_side_leaves_no_orphan(tmp_path, plugin_module, end):
    folder = Path(plugin_module("plugin").__file__).parents[2]
    (tmp_path / "fake.py").write_text(FAKE + ECHO)
    code = f"""
import os, signal, sys
from pathlib import Path
from plugin_of_any_name.plugin.client.worker_client import WorkerClient
from plugin_of_any_name.plugin.client.worker_process import WorkerLaunch
from plugin_of_any_name.backend.protocol import Ping
tmp = Path({str(tmp_path)!r})
client = WorkerClient(WorkerLaunch(Path(sys.executable), tmp, tmp / "log", (str(tmp / "fake.py"),)))
print(client.request(Ping(0)).wait(20)["pid"], flush=True)
{end}
"""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False, timeout=30
    )
    assert not done.stderr
    pid = int(done.stdout)
    deadline = time.monotonic() + 3
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_worker_finds_nothing_of_the_plugin_by_its_folder(connect, modules):
    client = connect("""
ready()
for request in requests():
    answer(request, cwd=os.getcwd(), listed=os.listdir("."), path=sys.path, safe=os.environ["PYTHONSAFEPATH"])
""")
    value = client.request(modules.protocol.Ping(0)).wait(20)
    assert value["listed"] == []
    assert Path(value["cwd"]) != ROOT
    assert "" not in value["path"]
    assert value["safe"] == "1"


# The real worker.


@pytest.fixture
def job(modules, make_raster, make_support, random_model, two_halves):
    """A label request: ``job(name, factor)`` with the raster enlarged by a factor."""

    def make(name="labels.tif", factor=1):
        raster = make_raster(np.tile(two_halves, (1, factor, factor)), f"raster_{factor}.tif")
        support = make_support(
            [(1, "forest", shapely.box(10, 20, 60, 90)), (2, "water", shapely.box(100, 20, 150, 90))]
        )
        output = raster.parent / name
        return modules.protocol.Label(
            0, str(raster), str(support), output=str(output), model=str(random_model), crf=False, device="cpu"
        )

    return make


@pytest.mark.slow
def test_real_worker_labels(connect, modules, job):
    client = connect()
    message = job()
    news = []
    pending = client.request(message, on_news=news.append)
    value = pending.wait(120)
    assert value["output"] == message.output
    assert {row["name"] for row in value["classes"]} == {"forest", "water"}
    assert Path(message.output).is_file()
    assert any(isinstance(item, modules.protocol.Progress) for item in news)
    assert any(isinstance(item, modules.protocol.Log) for item in news)


def wait_for_progress(pending, modules):
    deadline = time.monotonic() + 60
    while not any(isinstance(item, modules.protocol.Progress) for item in pending.poll()):
        assert time.monotonic() < deadline
        assert not pending.done, pending.error
        time.sleep(0.02)


@pytest.mark.slow
def test_real_worker_is_cancelled_then_killed_and_labels_after_all(connect, modules, job):
    client = connect()
    long = job("long.tif", factor=20)
    pending = client.request(long)
    wait_for_progress(pending, modules)
    pending.cancel()
    started = time.monotonic()
    with pytest.raises(modules.errors.RequestCancelled):
        pending.wait(30)
    assert time.monotonic() - started < 7
    assert not Path(long.output).exists()
    assert not list(Path(long.output).parent.glob("*.part*"))

    pending = client.request(long)
    wait_for_progress(pending, modules)
    family = [psutil.Process(client.pid), *psutil.Process(client.pid).children(recursive=True)]
    os.kill(client.pid, signal.SIGKILL)
    with pytest.raises(modules.errors.WorkerError, match="memory ran out"):
        pending.wait(10)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert not list(Path(long.output).parent.glob("*.part*")) and not list(
        Path(long.output).parent.glob(".*.part*")
    )
    assert not list(Path(tempfile.gettempdir()).glob(f"protolabel-worker-{family[0].pid}-*"))

    message = job()
    assert client.request(message).wait(120)["output"] == message.output
    client.close()
