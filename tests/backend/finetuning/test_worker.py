"""The requests of the fine-tuning, through a worker process as the plugin starts one."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.finetuning.options import FinetuneOptions
from backend.finetuning.run_folder import RunFolder
from backend.protocol import (
    Cancel,
    Cancelled,
    Error,
    Finetune,
    KeepModel,
    Log,
    Material,
    Partial,
    Pause,
    Ping,
    Progress,
    Ready,
    Reply,
    Request,
    Result,
    Resume,
    decode_reply,
    encode,
)

from .conftest import MakeOptions

ROOT = Path(__file__).resolve().parents[3]
Wanted = Callable[[Reply], bool]


class Worker:
    """A worker process with its replies."""

    def __init__(self, data: Path, log: Path) -> None:
        environ = {
            **os.environ,
            "XDG_DATA_HOME": str(data),
            "LOCALAPPDATA": str(data),
            "OMP_NUM_THREADS": "1",
        }
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend.worker"],
                cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip
        self.log, self.replies = log, queue.Queue[Reply | None]()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.replies.put(decode_reply(line))
        self.replies.put(None)

    def send(self, *messages: Request) -> None:
        assert self.process.stdin
        for message in messages:
            self.process.stdin.write(encode(message).encode())
        self.process.stdin.flush()

    def until(self, wanted: Wanted, timeout: float = 120) -> list[Reply]:
        """Replies up to the wanted one; an error that is not wanted ends the wait."""
        seen: list[Reply] = []
        end = time.monotonic() + timeout
        while not seen or not wanted(seen[-1]):
            reply = self.replies.get(timeout=max(end - time.monotonic(), 0.01))
            assert reply is not None, self.log.read_text()
            seen.append(reply)
            assert not isinstance(reply, Error) or wanted(reply), reply
        return seen


def final(id: int) -> Wanted:
    return lambda reply: isinstance(reply, (Result, Error, Cancelled)) and reply.id == id


def state(**values: Any) -> Wanted:
    """A partial with these values."""
    return lambda reply: isinstance(reply, Partial) and all(reply.value[k] == v for k, v in values.items())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(tmp_path / "data", tmp_path / f"worker{len(workers)}.log"))
        workers[-1].until(lambda reply: isinstance(reply, Ready))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.process.wait()


def asked(options: FinetuneOptions, **changes: Any) -> dict[str, Any]:
    """The fields of a request."""
    values = options.to_json()
    known = ("base", "hold_out", "iterations", "trained", "crop", "device", "threads", "seed")
    return {"data": tuple(values["data"]), **{key: values[key] for key in known}, **changes}


@pytest.mark.slow
def test_material_and_a_whole_run(
    make_options: MakeOptions, start: Callable[[], Worker], tmp_path: Path
) -> None:
    worker, folder = start(), tmp_path / "run"
    given = asked(make_options(iterations=2))
    worker.send(Material(1, **given))
    *_, first, last = worker.until(final(1))
    assert isinstance(first, Partial) and isinstance(last, Result)
    assert first.value == {**last.value, "estimate": None} and last.value["problem"] is None
    assert [raster["name"] for raster in last.value["rasters"]] == ["scene0.tif", "scene1.tif"]
    assert sum(one["pixels"] for one in last.value["classes"]) == 2 * 128 * 128
    assert last.value["estimate"]["iterations"] == 2 and last.value["estimate"]["seconds_per_iteration"] > 0

    worker.send(Finetune(2, folder=str(folder), name="mine", keep_worse=True, **given))
    seen = worker.until(final(2))
    assert isinstance(seen[-1], Result)
    value = seen[-1].value
    assert Path(value["saved"]) == tmp_path / "data" / "protolabel" / "models" / "mine.safetensors"
    assert any(isinstance(reply, Log) and "Held out" in reply.text for reply in seen)
    assert any(isinstance(reply, Progress) and reply.stage == "training" for reply in seen)
    partials = [reply.value for reply in seen if isinstance(reply, Partial)]
    assert partials[0]["stage"] == "reading" and partials[-1]["iteration"] == 2
    assert Path(partials[-1]["example"]).is_file() and Path(partials[-1]["journal"]).is_file()
    assert partials[-1]["base"] == value["base"] and partials[-1]["best"] == value["best"]

    worker.send(KeepModel(3, str(folder), "again", keep_worse=True))
    (kept,) = worker.until(final(3))
    assert isinstance(kept, Result) and Path(kept.value["saved"]).name == "again.safetensors"
    worker.send(KeepModel(4, str(folder), "../again"))
    (refused,) = worker.until(final(4))
    assert isinstance(refused, Error) and refused.kind == "user"


@pytest.mark.slow
def test_pause_resume_cancel_and_going_on_after_a_kill(
    make_options: MakeOptions, start: Callable[[], Worker], tmp_path: Path
) -> None:
    worker, folder = start(), tmp_path / "run"
    run = RunFolder(folder)
    worker.send(Finetune(1, folder=str(folder), **asked(make_options(iterations=100_000))))
    worker.until(lambda reply: isinstance(reply, Partial) and reply.value["iteration"] > 0)
    worker.send(Pause(2, 1), Pause(3, 77))
    seen = worker.until(final(3))
    assert [reply.value for reply in seen if isinstance(reply, Result)] == [{"found": True}, {"found": False}]
    if not any(map(state(stage="paused"), seen)):
        worker.until(state(stage="paused"))
    done = list(run.entries())
    time.sleep(1)
    worker.send(Ping(4))
    pong = worker.until(final(4))[-1]
    assert isinstance(pong, Result) and pong.value["running"] == 1
    assert list(run.entries()) == done
    worker.send(Resume(5, 1))
    worker.until(
        lambda reply: isinstance(reply, Partial) and reply.value["iteration"] > done[-1]["iteration"]
    )

    worker.process.kill()
    worker.process.wait()
    worker = start()
    kept = max(entry["iteration"] for entry in run.entries())
    worker.send(Finetune(1, folder=str(folder), resume=True, device="cpu", threads=1))
    seen = worker.until(lambda reply: isinstance(reply, Partial) and reply.value["iteration"] > kept)
    assert any(isinstance(reply, Partial) and 0 < reply.value["iteration"] <= kept for reply in seen)
    started = time.monotonic()
    worker.send(Cancel(2, 1))
    last = worker.until(final(1))[-1]
    assert isinstance(last, Cancelled) and time.monotonic() - started < 3
    iterations = [entry["iteration"] for entry in run.entries() if "losses" in entry]
    assert iterations == list(range(1, iterations[-1] + 1))  # none is missing, none is there twice


@pytest.mark.slow
def test_what_cannot_serve(make_options: MakeOptions, start: Callable[[], Worker], tmp_path: Path) -> None:
    worker = start()
    given = asked(make_options())
    requests: list[tuple[Request, str]] = [
        (Material(1), "There is no labelled raster"),
        (Material(2, data=({"raster": "a.tif"},)), "Nothing is known of the raster a.tif"),
        (Material(3, data=({"labels": "a.tif"},)), "is not understood"),
        (Material(4, **{**given, "crop": 100}), "multiple of 8"),
        (Finetune(5, folder=str(tmp_path / "none"), resume=True), "There is no fine-tuning in"),
        (Finetune(6, folder=str(tmp_path / "run"), **{**given, "base": "nothing"}), "Unknown model"),
        (Finetune(7, folder=str(tmp_path / "run"), name="a/b", **given), "cannot be the name of a model"),
        (Finetune(8, folder=str(tmp_path / "run"), **{**given, "classes": ({"id": 0},)}), "no name"),
        (KeepModel(9, str(tmp_path), "mine"), "There is no fine-tuning in"),
    ]
    for request, text in requests:
        worker.send(request)
        last = worker.until(final(request.id))[-1]
        assert isinstance(last, Error) and last.kind == "user" and text in last.message, last
    # A single class is told with what was found, so that the analyst sees why.
    one = {**given, "ignored": (1, 2)}
    worker.send(Material(20, **one))
    last = worker.until(final(20))[-1]
    assert isinstance(last, Result) and "Only one class is labelled" in last.value["problem"]
    assert last.value["classes"][0]["pixels"] > 0 and last.value["estimate"] is None
    json.dumps(last.value)
