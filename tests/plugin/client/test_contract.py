"""The contract of plugin and worker: each request to the real worker, each reply to the client, and nonsense."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path

import pytest
import shapely

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def modules(plugin_module):
    class Modules:
        client = plugin_module("plugin.client.worker_client")
        errors = plugin_module("plugin.client.errors")
        launch = plugin_module("plugin.client.worker_process").WorkerLaunch
        protocol = plugin_module("backend.protocol")
        messages = plugin_module("backend.messages")

    return Modules


@pytest.fixture
def connect(modules, tmp_path):
    clients = []

    def make(program=("-m", "backend.worker")):
        launch = modules.launch(Path(sys.executable), ROOT, tmp_path / "logs" / "worker.log", program=program)
        clients.append(modules.client.WorkerClient(launch))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.mark.slow
def test_every_request_is_answered_as_its_documentation_says(
    connect, modules, make_raster, make_support, random_model, two_halves, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    raster = str(make_raster(two_halves))
    support = str(
        make_support(
            [(1, "forest", shapely.box(10, 20, 60, 90)), (2, "water", shapely.box(100, 20, 150, 90))]
        )
    )
    labels, polygons, folder = tmp_path / "labels.tif", tmp_path / "polygons.gpkg", tmp_path / "preview"
    points, report = tmp_path / "points.gpkg", tmp_path / "report.html"
    folder.mkdir()
    fit = {
        "id": 0, "raster": raster, "support": support, "model": str(random_model), "device": "cpu", "tile": 384,
        "classes": ({"id": 1, "name": "trees", "color": "#00ff00"},),
    }  # fmt: skip
    tuning = {"id": 0, "data": ({"raster": raster, "polygons": str(_many(make_support))},), "device": "cpu"}
    tuning = {**tuning, "base": str(random_model), "iterations": 1, "crop": 96, "trained": "last"}
    run = str(tmp_path / "run")
    extent = (400_000.0, 4_300_000.0 - 72.0, 400_096.0, 4_300_000.0)
    messages = modules.messages
    requests = [
        (
            messages.Label(**fit, output=str(labels)),
            {"output", "model", "device", "scale", "seconds", "classes", "head", "expected"},
        ),
        (
            messages.Preview(**fit, folder=str(folder), extent=extent, width=160, height=120),
            {
                "stage", "labels", "uncertainty", "width", "height", "corners", "classes", "tiles", "tiles_total",
                "expected", "notes",
            },
        ),
        (messages.Uncertain(**fit), {"places"}),
        (
            messages.Estimate(**fit, output=str(tmp_path / "other.tif")),
            {
                "width", "height", "tiles", "seconds", "memory", "disk", "free_memory", "free_disk", "warnings",
                "possible",
            },
        ),
        (messages.Vectorize(0, str(labels), str(polygons)), {"output", "polygons"}),
        (
            messages.SamplePoints(0, str(labels), str(points), count=40, minimum=5),
            {"output", "points", "strata"},
        ),
        (
            messages.Accuracy(0, str(labels), support, report=str(report), csv=str(tmp_path / "tables")),
            {
                "kind", "design", "statement", "notes", "unit", "counted", "removed", "outside", "unlabelled",
                "skipped", "overall_accuracy", "kappa", "mean_f1", "mean_iou", "overall", "area_unit", "classes",
                "confusion", "proportions", "reliability", "report", "tables", "seconds",
            },
        ),
        (
            messages.Material(**tuning, estimate=False),
            {"rasters", "classes", "hold_out", "warnings", "problem", "estimate"},
        ),
        (
            messages.Finetune(**tuning, folder=run),
            {
                "folder", "model", "saved", "name", "verdict", "sentence", "base", "best", "classes", "iterations",
                "seconds", "stopped", "hold_out", "card",
            },
        ),
        (messages.KeepModel(0, run, "local", keep_worse=True), {"saved", "name"}),
        (messages.Inspect(0, raster), {"stretch", "bands", "band_count", "band_names"}),
        (messages.Models(0), {"models", "folders", "devices"}),
        (messages.Cancel(0, 2**40), {"found"}),
        (messages.Pause(0, 2**40), {"found"}),
        (messages.Resume(0, 2**40), {"found"}),
        (messages.Ping(0), {"running", "waiting"}),
    ]  # fmt: skip
    client, news = connect(), []
    asked = set()
    for message, keys in requests:
        value = client.request(message, on_news=news.append).wait(120)
        assert keys <= value.keys(), message.KIND
        asked.add(type(message))
    assert asked == set(messages.REQUESTS) - {messages.Quit}
    assert {type(item) for item in news} == {messages.Progress, messages.Partial, messages.Log}
    assert client.ready is not None
    assert points.is_file() and report.is_file()
    assert labels.is_file() and polygons.is_file() and not (tmp_path / "other.tif").exists()
    with pytest.raises(modules.errors.RequestError, match="does not exist"):
        client.request(messages.Inspect(0, str(tmp_path / "gone.tif"))).wait(60)
    long = client.request(messages.Label(**fit, output=str(labels)))
    client.request(messages.Cancel(0, long.id)).wait(60)
    with contextlib.suppress(modules.errors.RequestCancelled):  # unless it was done before
        long.wait(60)
    client.close()  # sends Quit
    assert client.pid is None


def _many(make_support):
    """Enough polygons of two classes to hold some out."""
    squares = [(x, y, 1 if x < 80 else 2) for x in (10, 40, 90, 120) for y in (5, 35, 65, 95)]
    rows = [(id, ("", "forest", "water")[id], shapely.box(x, y, x + 20, y + 20)) for x, y, id in squares]
    return make_support(rows, name="many.gpkg")


FUZZ = """
import json, sys
lines = open(__file__ + ".lines", "rb").read()
sys.stdout.buffer.write(lines)
sys.stdout.flush()
for line in sys.stdin:
    request = json.loads(line)
    sys.stdout.write(json.dumps({"type": "result", "id": request["id"], "value": {"op": request["op"]}}) + "\\n")
    sys.stdout.flush()
    if request["op"] == "quit":
        break
"""


def nonsense(count: int) -> bytes:
    """Lines as a library, a broken program or an enemy would print them; none answers a request of the test."""
    rng = random.Random(0)
    whole = [
        {"type": "result", "id": 10**6, "value": {}}, {"type": "progress", "id": 10**6, "stage": "labels"},
        {"type": "error", "id": None, "kind": "user", "message": "x"}, {"type": "cancelled", "id": 10**6},
        {"type": "log", "id": None, "level": "info", "text": "\u20ac" * 50}, {"type": "partial", "id": 5, "value": 3},
        {"type": "shout"}, {"id": 10**6}, [], 3, None, "ready", {"type": ["ready"]},
    ]  # fmt: skip
    lines = []
    for _ in range(count):
        text = json.dumps(rng.choice(whole)).encode()
        kind = rng.randrange(6)
        if kind == 0:
            text = text[: rng.randrange(len(text))]
        elif kind == 1:
            text = rng.randbytes(rng.randrange(80)).replace(b"\n", b" ")
        elif kind == 2:
            place = rng.randrange(len(text))
            text = text[:place] + rng.randbytes(3).replace(b"\n", b"?") + text[place:]
        elif kind == 3:
            text = b"[" * rng.randrange(5000)
        elif kind == 4 and rng.random() < 0.01:
            text = b"9" * 200_000
        lines.append(text)
    return b"\n".join(lines) + b"\n"


def test_ten_thousand_lines_of_nonsense_end_no_client(connect, modules, tmp_path) -> None:
    script = tmp_path / "fuzz.py"
    script.write_text(FUZZ, encoding="utf-8")
    ready = {"type": "ready", "protocol": modules.protocol.PROTOCOL, "version": "0", "python": "3", "pid": 1}
    lines = nonsense(5000) + json.dumps(ready).encode() + b"\n" + nonsense(5000)
    (tmp_path / "fuzz.py.lines").write_bytes(lines)
    client = connect((str(script),))
    assert client.request(modules.messages.Ping(0)).wait(60) == {"op": "ping"}
    assert client.request(modules.messages.Models(0)).wait(60) == {"op": "models"}
