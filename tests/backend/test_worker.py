"""The worker as the plugin meets it: a process behind two pipes."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import pytest
import rasterio
from shapely import box

from backend import __version__
from backend.lines import LogFile, read_lines
from backend.progress import Progress as State
from backend.protocol import (
    MAX_REQUEST,
    PROTOCOL,
    Cancel,
    Cancelled,
    Error,
    Inspect,
    Label,
    Log,
    Models,
    Partial,
    Ping,
    Preview,
    Progress,
    Quit,
    Ready,
    Reply,
    Request,
    Result,
    Uncertain,
    Vectorize,
    decode_reply,
    encode,
)
from backend.rasters.parts import part_path
from backend.tasks.answer import remove_parts
from backend.tasks.label import ProgressReplies

ROOT = Path(__file__).resolve().parents[2]
TWO = [(3, "green", box(10, 20, 50, 70)), (7, "blue", box(100, 30, 150, 90))]
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs signals")
R = TypeVar("R", bound=Reply)


class Client:
    """A worker process with its replies in a queue."""

    def __init__(self, scratch: Path, log: Path, *command: str) -> None:
        """Start one; its temporary files go to ``scratch``, its stderr to ``log``."""
        variables = {"TMPDIR": str(scratch), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *(command or ("-m", "backend.worker"))],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self.scratch, self.log = scratch, log
        self.replies: queue.Queue[Reply | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.replies.put(
                decode_reply(line)
            )  # a foreign line ends this thread, and the test by its timeout
        self.replies.put(None)

    def send(self, *messages: Request | bytes) -> None:
        assert self.process.stdin
        for message in messages:
            self.process.stdin.write(message if isinstance(message, bytes) else encode(message).encode())
        self.process.stdin.flush()

    def until(self, wanted: Callable[[Reply], bool], timeout: float = 90) -> list[Reply]:
        """Replies up to the wanted one."""
        seen: list[Reply] = []
        end = time.monotonic() + timeout
        while not seen or not wanted(seen[-1]):
            try:
                reply = self.replies.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"nothing more came after {seen}: {self.log.read_text()}") from None
            assert reply is not None, f"the worker ended after {seen}: {self.log.read_text()}"
            seen.append(reply)
        return seen

    def expect(self, kind: type[R], id: int | None = None, timeout: float = 90) -> R:
        """The next reply of a kind, for a request."""
        replies = self.until(
            lambda reply: isinstance(reply, kind) and getattr(reply, "id", None) == id, timeout
        )
        found = replies[-1]
        assert isinstance(found, kind)
        return found

    def ends(self, within: float) -> None:
        """Wait for the end, which must be clean and in time, and leave no temporary file."""
        assert self.process.wait(within) == 0
        assert list(self.scratch.iterdir()) == []


Starter = Callable[..., Client]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    clients: list[Client] = []

    def start(*command: str) -> Client:
        client = Client(
            tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("log") / "stderr.log", *command
        )
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.process.kill()
        client.process.wait()


@pytest.fixture(scope="module")
def shared_worker(start: Starter) -> Client:
    client = start()
    client.expect(Ready)
    return client


@pytest.fixture
def worker(shared_worker: Client) -> Client:
    """A worker that other tests have used, which must not matter."""
    assert shared_worker.process.poll() is None
    return shared_worker


@pytest.fixture
def small(make_raster, make_support, two_halves) -> tuple[str, str]:
    return str(make_raster(two_halves)), str(make_support(TWO))


@pytest.fixture
def large(make_raster, make_support, two_halves) -> tuple[str, str]:
    """What takes long enough to be cancelled."""
    raster = make_raster(np.tile(two_halves, (1, 20, 15)), name="large.tif")
    return str(raster), str(make_support(TWO, name="large.gpkg"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def label(random_model, out) -> Callable[..., Label]:
    def make(id: int, inputs: tuple[str, str], name: str = "labels.tif", **options: Any) -> Label:
        given = {"model": str(random_model), "device": "cpu", **options}
        return Label(id, *inputs, output=str(out / name), **given)

    return make


@pytest.fixture
def preview(random_model, out) -> Callable[..., Preview]:
    def make(id: int, inputs: tuple[str, str], **options: Any) -> Preview:
        with rasterio.open(inputs[0]) as src:
            extent, size = tuple(src.bounds), {"width": src.width, "height": src.height}
        given = {"model": str(random_model), "device": "cpu", "scale": 1.0, "tile": 384, **size, **options}
        return Preview(id, *inputs, folder=str(out), extent=extent, **given)

    return make


@pytest.fixture
def long_run(label, large, out) -> Callable[..., None]:
    """Starts a run and returns in the middle of its tiles, when the outputs are begun."""

    def begin(client: Client, id: int, tiles: int = 8, **options: Any) -> None:
        client.send(label(id, large, **{"scale": 1.0, "tile": 448, "crf": False, **options}))
        client.until(
            lambda reply: isinstance(reply, Progress) and reply.stage == "labels" and reply.done > tiles
        )
        assert list(out.iterdir())

    return begin


class TestRequests:
    def test_ready_comes_first(self, start) -> None:
        client = start()
        first = client.until(lambda reply: True)[0]
        python = ".".join(map(str, sys.version_info[:3]))
        assert isinstance(first, Ready)
        assert (first.protocol, first.version, first.pid) == (PROTOCOL, __version__, client.process.pid)
        assert first.python.startswith(python)
        client.send(Quit(1))
        client.expect(Result, 1)
        client.ends(within=3)

    def test_label(self, worker, label, small, out) -> None:
        worker.send(
            label(1, small, confidence=str(out / "c.tif"), vector=str(out / "p.gpkg"), bands=(1, 2, 3))
        )
        replies = worker.until(lambda reply: isinstance(reply, Result))
        assert {type(reply) for reply in replies} == {Progress, Log, Result}
        assert all(getattr(reply, "id", None) == 1 for reply in replies)
        last = [reply for reply in replies if isinstance(reply, Progress)][-1]
        assert (last.stage, last.done) == ("writing", last.total)
        result = replies[-1]
        assert isinstance(result, Result)
        assert result.value["output"] == str(out / "labels.tif")
        assert [entry["name"] for entry in result.value["classes"]] == ["green", "blue"]
        with rasterio.open(out / "labels.tif") as src:
            pixels = src.read(1)
        assert pixels.shape == (120, 160)
        assert (pixels[:, :80] == 3).mean() > 0.9 and (pixels[:, 80:] == 7).mean() > 0.9
        counts = {entry["id"]: entry["pixels"] for entry in result.value["classes"]}
        assert counts == {3: (pixels == 3).sum(), 7: (pixels == 7).sum()}
        assert {path.name for path in out.iterdir()} >= {"labels.tif", "labels.qml", "c.tif", "p.gpkg"}

    def test_every_option(self, worker, label, small, out) -> None:
        x, y = 400_000, 4_300_000
        worker.send(
            label(
                1, small, layers=(2,), head="polygons", spectral=False, bands=(3, 2, 1), scale=1.0, crf=False,
                extent=(x, y - 60, x + 90, y), extent_crs="EPSG:26917", tile=512, class_field="class_id",
                name_field="class_name",
            )
        )  # fmt: skip
        worker.expect(Result, 1)
        with rasterio.open(out / "labels.tif") as src:
            tags = src.tags()
            assert src.shape == (100, 150)
        found = [tags[f"PROTOLABEL_{name}"] for name in ("BANDS", "SCALE", "CRF", "HEAD", "LAYERS")]
        assert found == ["3,2,1", "1", "none", "polygons", "2"]

    def test_inspect(self, worker, small) -> None:
        worker.send(Inspect(1, small[0]))
        assert worker.expect(Result, 1).value["size"] == "160 x 120"

    def test_models(self, worker) -> None:
        worker.send(Models(1))
        value = worker.expect(Result, 1).value
        cards = {model["name"]: model["card"] for model in value["models"]}
        assert "ImageNet-1k" in cards["resnet50-imagenet"]
        assert value["devices"][0]["name"] == "cpu"
        assert value["folders"]

    def test_ping(self, worker) -> None:
        worker.send(Ping(1))
        assert worker.expect(Result, 1, timeout=2).value == {"running": None, "waiting": []}

    def test_user_error(self, worker, label, small, out) -> None:
        worker.send(
            label(1, ("gone.tif", small[1])), label(2, small, extent=(4, 0, 1, 1)), Inspect(3, "gone.tif")
        )
        for id, says in ((1, "gone.tif"), (2, "extent"), (3, "gone.tif")):
            error = worker.expect(Error, id)
            assert (error.kind, error.detail) == ("user", None)
            assert says in error.message
        assert list(out.iterdir()) == []

    def test_bad_requests(self, worker) -> None:
        worker.send(b'{"op":"ping"}\n', b'{"op":"shout","id":5}\n', b"\n", b'{"op":"label","id":6}\n')
        assert worker.expect(Error).kind == "protocol"
        assert "names no known" in worker.expect(Error, 5).message
        assert worker.expect(Error).kind == "protocol"
        assert "'raster'" in worker.expect(Error, 6).message

    def test_long_line(self, worker) -> None:
        worker.send(b"x" * (5 * MAX_REQUEST) + b"\n", Ping(1))
        assert "more than" in worker.expect(Error).message
        worker.expect(Result, 1)

    @POSIX
    def test_sigint_is_for_the_parent(self, worker) -> None:
        worker.process.send_signal(signal.SIGINT)
        worker.send(Ping(1))
        assert worker.expect(Result, 1).value == {"running": None, "waiting": []}
        assert worker.process.poll() is None

    def test_nothing_listens(self, worker) -> None:
        process = psutil.Process(worker.process.pid)
        for each in (process, *process.children(recursive=True)):
            assert each.net_connections() == []


@pytest.mark.slow
class TestCancel:
    def test_while_it_runs(self, worker, label, small, long_run, out) -> None:
        long_run(worker, 1)
        worker.send(Ping(2), label(1, small), Cancel(3, 99))
        assert worker.expect(Result, 2, timeout=2).value == {"running": 1, "waiting": []}
        assert "1 belongs to" in worker.expect(Error, None).message
        assert worker.expect(Result, 3).value == {"found": False}
        process = psutil.Process(worker.process.pid)
        assert all(not each.net_connections() for each in (process, *process.children(recursive=True)))
        started = time.monotonic()
        worker.send(Cancel(4, 1))
        assert worker.expect(Result, 4).value == {"found": True}
        worker.expect(Cancelled, 1, timeout=5)
        assert time.monotonic() - started < 2
        assert list(out.iterdir()) == []
        worker.send(label(1, small))
        worker.expect(Result, 1)

    def test_while_it_waits(self, worker, label, small, long_run, out) -> None:
        long_run(worker, 1)
        worker.send(label(2, small, "second.tif"), Inspect(3, small[0]), Ping(4), Cancel(5, 2), Cancel(6, 1))
        assert worker.expect(Result, 4).value == {"running": 1, "waiting": [2, 3]}
        worker.expect(Cancelled, 2, timeout=2)
        assert worker.expect(Result, 5).value == {"found": True}
        worker.expect(Cancelled, 1)
        worker.expect(Result, 3)
        assert list(out.iterdir()) == []

    def test_too_many_wait(self, worker, small, long_run) -> None:
        long_run(worker, 1)
        worker.send(*(Inspect(id, small[0]) for id in range(2, 40)))
        assert "wait already" in worker.expect(Error, 34).message
        worker.send(*(Cancel(100 + id, id) for id in range(1, 34)))
        worker.expect(Result, 133)
        worker.expect(Cancelled, 1)


class TestPreview:
    def test_answers(self, worker, preview, small, out) -> None:
        worker.send(preview(1, small))
        replies = worker.until(lambda reply: isinstance(reply, Result))
        values = [reply.value for reply in replies if isinstance(reply, (Partial, Result))]
        assert [value["stage"] for value in values][-2:] == ["features", "refined"]
        picture = np.fromfile(values[-1]["labels"], np.uint8).reshape(120, 160)
        assert (picture == (np.arange(160) >= 80)).mean() > 0.95
        assert len(list(out.iterdir())) == 2 * len(values)

    def test_the_latest_wins(self, worker, preview, large) -> None:
        worker.send(preview(1, large))
        worker.expect(Partial, 1)
        started = time.monotonic()
        worker.send(*(preview(id, large) for id in range(2, 40)))
        replies = worker.until(lambda reply: isinstance(reply, Partial) and reply.id == 39)
        assert time.monotonic() - started < 3
        assert {reply.id for reply in replies if isinstance(reply, Cancelled)} == set(range(1, 39))
        worker.send(Cancel(40, 39))
        worker.expect(Cancelled, 39, timeout=2)

    def test_a_run_goes_on(self, worker, preview, small, long_run) -> None:
        long_run(worker, 1)
        worker.send(preview(2, small), preview(3, small), Ping(4))
        worker.expect(Cancelled, 2, timeout=2)
        assert worker.expect(Result, 4).value == {"running": 1, "waiting": [3]}
        worker.send(Cancel(5, 1))
        worker.expect(Cancelled, 1)
        worker.expect(Result, 3)

    def test_uncertain_places(self, worker, make_raster, make_support, random_model) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (3, 300, 300)).astype(np.uint8)
        inputs = str(make_raster(noise)), str(make_support(TWO))
        given = {"model": str(random_model), "device": "cpu", "scale": 1.0, "count": 2}
        worker.send(Uncertain(1, *inputs, **given))
        places = worker.expect(Result, 1).value["places"]
        assert 1 <= len(places) <= 2
        assert all(len(place["extent"]) == 4 for place in places)

    def test_nothing_is_left(self, start, preview, small) -> None:
        client = start()
        client.send(preview(1, small))
        client.expect(Result, 1)
        children = psutil.Process(client.process.pid).children(recursive=True)
        assert any("LokyProcess" in part for child in children for part in child.cmdline())
        client.send(Quit(2))
        client.ends(within=3)
        assert psutil.wait_procs(children, timeout=5)[1] == []


@pytest.mark.slow
class TestEnd:
    """Within 3 s, with exit code 0 and nothing left behind."""

    def test_end_of_requests(self, start, long_run, out) -> None:
        client = start()
        long_run(client, 1, tiles=40, crf=True)
        children = psutil.Process(client.process.pid).children(recursive=True)
        assert any("LokyProcess" in part for child in children for part in child.cmdline())
        client.process.stdin.close()
        client.ends(within=3)
        assert list(out.iterdir()) == []
        client.expect(Cancelled, 1, timeout=1)
        assert psutil.wait_procs(children, timeout=5)[1] == []

    @POSIX
    def test_sigterm(self, start, long_run, label, small, out) -> None:
        client = start()
        long_run(client, 1)
        client.send(label(2, small, "second.tif"))
        client.process.terminate()
        client.ends(within=3)
        assert list(out.iterdir()) == []

    def test_quit(self, start, long_run, out) -> None:
        client = start()
        long_run(client, 1)
        client.send(Quit(2))
        client.expect(Result, 2)
        client.expect(Cancelled, 1)
        client.ends(within=3)
        assert list(out.iterdir()) == []

    def test_parent_that_died(self, start, long_run, out) -> None:
        """The pipe of the replies breaks; the one of the requests stays open."""
        client = start()
        long_run(client, 1)
        # A reader in the middle of a read keeps the pipe: take its place with one that is closed.
        broken = os.open(os.devnull, os.O_RDONLY)
        os.dup2(broken, client.process.stdout.fileno())
        os.close(broken)
        client.ends(within=10)
        assert list(out.iterdir()) == []

    @POSIX
    def test_parent_that_does_not_read(self) -> None:
        """The main thread hangs in a write of replies that nobody takes; the end comes all the same."""
        process = subprocess.Popen(
            [sys.executable, "-m", "backend.worker"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin and process.stdout
        process.stdin.write(b"".join(encode(Ping(id)).encode() for id in range(2000)))
        process.stdin.flush()
        time.sleep(1)
        process.terminate()
        assert process.wait(3) == 0
        assert process.stdout.read().count(b"\n") < 2000
        process.stdin.close()
        process.stdout.close()


STUBBORN = """
import pathlib, time
import backend.labeling as library
from backend import worker
def stubborn(raster, support, output, options, progress, cancel, say):
    from backend.rasters.parts import part_path
    for kind in ("tiles", "whole"):
        part_path(pathlib.Path(output), kind).touch()
    part_path(pathlib.Path(output).with_suffix(".qml"), "style").touch()
    folder = part_path(options.vector, "polygons")
    folder.mkdir()
    (folder / "polygons.gpkg").touch()
    pathlib.Path(output).with_name("mine.tif.part").touch()
    say("begun")
    time.sleep(60)
library.label_raster = stubborn
worker.main()
"""


@pytest.mark.slow
def test_a_task_that_does_not_end_is_left_and_tidied_up(start, label, small, out) -> None:
    client = start("-c", STUBBORN)
    client.send(label(1, small, vector=str(out / "polygons.gpkg")))
    client.expect(Log, 1)
    client.process.stdin.close()
    client.ends(within=3)
    assert [path.name for path in out.iterdir()] == ["mine.tif.part"]


def test_parts_of_every_task_that_writes(tmp_path) -> None:
    output = tmp_path / "polygons.gpkg"
    part_path(output, "polygons").mkdir()
    part_path(output, "sieve").touch()
    (tmp_path / f".polygons.gpkg.{os.getpid() + 1}.sieve.part").touch()  # another process's
    output.touch()
    remove_parts(Vectorize(1, "labels.tif", str(output)))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"polygons.gpkg", f".polygons.gpkg.{os.getpid() + 1}.sieve.part"}


LIBRARY = """
import os, sys, ctypes
import backend.rasters.description as library
from backend import worker
describe = library.describe
def noisy(path, bands=None):
    kind = os.path.basename(path)
    print("print")
    os.write(1, b"{write}\\n")
    os.system("echo child")
    if os.name != "nt":
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
    if kind == "memory.tif":
        raise MemoryError
    if kind == "mistake.tif":
        raise KeyError("mistake" * 10000)
    if kind == "exit.tif":
        sys.exit(3)
    if kind == "nan.tif":
        return {"x": float("nan")}
    if kind == "crash.tif":
        ctypes.string_at(0)
    return describe(path, bands)
library.describe = noisy
worker.main()
"""


@pytest.fixture(scope="module")
def noisy(start: Starter) -> Client:
    """A worker with a library that prints and fails; the product has no hook for it."""
    client = start("-c", LIBRARY)
    client.expect(Ready)
    return client


class TestLibraries:
    def test_what_they_print_goes_to_stderr(self, noisy, small) -> None:
        noisy.send(Inspect(1, small[0]), Ping(2))
        noisy.expect(Result, 1)
        noisy.send(Inspect(3, small[0]))
        noisy.expect(Result, 3)
        assert all(text in noisy.log.read_text() for text in ("print", "{write}", "child"))
        assert os.name == "nt" or "from C" in noisy.log.read_text()

    def test_memory(self, noisy) -> None:
        noisy.send(Inspect(1, "memory.tif"))
        error = noisy.expect(Error, 1)
        assert (error.kind, error.detail) == ("user", None)
        assert "close other programs" in error.message

    @pytest.mark.parametrize(
        ("name", "says"), [("mistake", "KeyError"), ("exit", "SystemExit"), ("nan", "value")]
    )
    def test_a_mistake_is_told_and_survived(self, noisy, small, name, says) -> None:
        noisy.send(Inspect(1, f"{name}.tif"), Inspect(2, small[0]))
        error = noisy.expect(Error, 1)
        assert error.kind == "internal"
        assert says in error.message
        assert len(error.message) <= 2000
        assert error.detail and "Traceback" in noisy.log.read_text()
        noisy.expect(Result, 2)

    @POSIX
    def test_a_crash_is_in_the_log(self, start, tmp_path) -> None:
        log = tmp_path / "worker.log"
        client = start("-c", LIBRARY.replace("worker.main()", f"worker.main(['--log', {str(log)!r}])"))
        client.send(Inspect(1, "crash.tif"))
        assert client.process.wait(20) == -signal.SIGSEGV
        assert "Segmentation fault" in log.read_text()
        assert "from C" in log.read_text()


@pytest.mark.slow
def test_rubbish_ends_no_worker(start) -> None:
    client = start()
    client.expect(Ready)
    client.send(Preview(2**52, "nothing.tif", "nothing.gpkg", folder="nowhere", extent=(0, 0, 1, 1)))
    assert client.expect(Error, 2**52).kind == "user"
    process = psutil.Process(client.process.pid)
    rng = random.Random(0)
    before = settled_memory(process)
    peak = 0
    for number in range(10_000):
        client.send(rubbish(rng, number))
        if number % 500 == 0:
            peak = max(peak, process.memory_info().rss)
    client.send(b"\n", Ping(2**53))
    assert client.expect(Result, 2**53).value["running"] is None
    assert max(peak, process.memory_info().rss) - before < 100 << 20
    assert process.num_threads() < 16
    client.process.stdin.close()
    client.ends(within=3)


def settled_memory(process: psutil.Process) -> int:
    """What a worker takes when it has imported what it imports ahead of time."""
    idle, deadline = 0, time.monotonic() + 60
    while idle < 5 and time.monotonic() < deadline:
        idle = idle + 1 if process.cpu_percent(0.2) < 5 else 0
    return int(process.memory_info().rss)


def rubbish(rng: random.Random, number: int) -> bytes:
    """A line that is no request, with anything in it; its lines never begin a task or the end."""
    whole = {
        "op": "label",
        "id": number,
        "raster": "a.tif",
        "support": "b.gpkg",
        "output": "c.tif",
        "tile": 1,
    }
    kind = rng.randrange(8)
    if number % 2000 == 1999:
        return rng.randbytes(1000).replace(b"\n", b"") * 4000 + b"\n"
    if kind == 0:
        text = json.dumps(whole)
        return text[: rng.randrange(len(text))].encode() + b"\n"
    if kind == 1:
        values = [None, True, -1, 1.5, "", [], {}, [[]], "x" * 3000, 10**30, "\ud800", "\0"]
        return json.dumps({**whole, rng.choice(list(whole)): rng.choice(values)}).encode() + b"\n"
    if kind == 2:
        return rng.randbytes(rng.randrange(400)) + b"\n"
    if kind == 3:
        return json.dumps({"op": rng.choice(["", "exec", "ready", 1, None]), "id": number}).encode() + b"\n"
    if kind == 4:
        return rng.choice([b"[", b'{"a":', b"9", b'"', b"\r"]) * rng.randrange(20_000) + b"\n"
    if kind == 5:
        return (
            rng.choice([b"NaN", b"Infinity", b'{"op":"ping","id":NaN}', b'{"op":"ping","id":1e999}']) + b"\n"
        )
    if kind == 6:
        return json.dumps({"op": "cancel", "id": number, "target": rng.randrange(20_000)}).encode() + b"\n"
    return b"\xef\xbb\xbf" + json.dumps(whole).encode("utf-16") + b"\n"


class TestLines:
    def cut(self, *chunks: bytes, limit: int = 5) -> list[bytes | None]:
        incoming = iter([*chunks, b""])
        return list(read_lines(lambda: next(incoming), limit))

    def test_any_chunks_give_the_same_lines(self) -> None:
        data = b"one\n\nthree\ntoo long\nfour\nfar too long for this\n12345\n123456\nend\nhalf"
        expected = [b"one", b"", b"three", None, b"four", None, b"12345", None, b"end"]
        for size in range(1, len(data) + 1):
            assert self.cut(*(data[i : i + size] for i in range(0, len(data), size))) == expected

    def test_nothing(self) -> None:
        assert self.cut() == []
        assert self.cut(b"half") == []


class TestProgress:
    def test_first_and_last_are_sent_and_few_between(self) -> None:
        sent: list[Reply] = []
        report = ProgressReplies(1, sent.append)
        end = time.monotonic() + 0.55
        done = 0
        while time.monotonic() < end:
            done += 1
            report(State("labels", done, 10**6, done / 10))
        report.flush()
        report.flush()
        numbers = [reply.done for reply in sent if isinstance(reply, Progress)]
        assert numbers[0] == 1
        assert numbers[-1] == done
        assert numbers == sorted(set(numbers))
        assert 3 <= len(numbers) <= 8


def test_log_file_stays_small(tmp_path) -> None:
    """In a process of its own, whose stderr it takes."""
    path = tmp_path / "worker.log"
    path.write_text("earlier " * 200)
    code = f"""
import os, sys
from pathlib import Path
from backend.lines import LogFile
log = LogFile(Path({str(path)!r}), 1000)
for number in range(100):
    os.write(2, f"line {{number:04}} {{'x' * 40}}\\n".encode())
    log.rotate()
print("last, from Python")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert "last, from Python" in path.read_text()
    assert path.stat().st_size < 1100
    assert (tmp_path / "worker.log.1").stat().st_size < 1100
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["worker.log", "worker.log.1"]


def test_log_that_cannot_be_written(start, tmp_path) -> None:
    with pytest.raises(OSError, match="gone"):
        LogFile(tmp_path / "gone" / "worker.log")
    client = start("-m", "backend.worker", "--log", str(tmp_path / "gone" / "worker.log"))
    client.expect(Ready)
    assert "No log is written" in client.log.read_text()
