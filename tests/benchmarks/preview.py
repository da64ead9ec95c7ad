"""How long a live preview takes, from the request to its answers, through a worker process and its pipes.

    python tests/benchmarks/preview.py RASTER SUPPORT [--scale 2] [--runs 5] [--scattered] [--wait 5]

The view is 1000 x 700 pixels in the middle of the raster. The polygons are those that lie in view: in the field, they
are drawn where one looks; or, scattered, all of the file. "cold" is a fresh worker, of whose view nothing is encoded;
"warm" is the same view with one polygon fewer or more than before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend.protocol import Error, Partial, Preview, Ready, Result, decode_reply, encode  # noqa: E402

WIDTH, HEIGHT = 1000, 700


class Worker:
    """A worker process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "backend.worker"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, **pipes)
        reply = decode_reply(self.process.stdout.readline())
        assert isinstance(reply, Ready)

    def time(self, request: Preview) -> dict[str, float]:
        """Seconds to the first answer of each stage, and "first" to any."""
        started = time.perf_counter()
        self.process.stdin.write(encode(request).encode())
        self.process.stdin.flush()
        seconds: dict[str, float] = {}
        while True:
            reply = decode_reply(self.process.stdout.readline())
            if isinstance(reply, Error):
                raise SystemExit(reply.message)
            if isinstance(reply, (Partial, Result)):
                now = time.perf_counter() - started
                seconds.setdefault("first", now)
                seconds.setdefault(reply.value["stage"], now)
                for key in ("labels", "uncertainty"):
                    os.unlink(reply.value[key])
            if isinstance(reply, Result):
                return seconds

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait(10)


def prepare(
    raster: Path, support: Path, folder: Path, seed: int, scattered: bool
) -> tuple[tuple[float, ...], list[Path]]:
    """The view's extent, and support files: all polygons, and all but one, in turn."""
    with rasterio.open(raster) as src:
        left, top = max(src.width - WIDTH, 0) // 2, max(src.height - HEIGHT, 0) // 2
        (x0, y0), (x1, y1) = src.transform @ (left, top), src.transform @ (left + WIDTH, top + HEIGHT)
    extent = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    meta, _, shapes, fields = pyogrio.raw.read(support, bbox=None if scattered else extent)
    if len(shapes) < 3:
        raise SystemExit("Fewer than three support polygons lie in the middle of the raster.")
    position = list(meta["fields"]).index("class_id")
    ids = fields[position]
    spare = [i for i in range(len(ids)) if (ids == ids[i]).sum() > 1] or [0]
    files = []
    for number, without in enumerate([None, *np.random.default_rng(seed).permutation(spare)]):
        keep = np.arange(len(ids)) != (-1 if without is None else without)
        files.append(folder / f"support{number}.gpkg")
        pyogrio.raw.write(
            files[-1], shapes[keep], [ids[keep].astype(np.int64)], np.array(["class_id"], object),
            geometry_type=meta["geometry_type"], crs=meta["crs"],
        )  # fmt: skip
    return extent, files


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("support", type=Path)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model")
    parser.add_argument("--scattered", action="store_true", help="Take polygons all over the raster.")
    parser.add_argument(
        "--wait", type=float, default=5, help="Seconds between a worker's start and its request."
    )
    args = parser.parse_args()
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster, support = args.raster.resolve(), args.support.resolve()
        extent, files = prepare(raster, support, folder, 0, args.scattered)
        given: dict[str, Any] = {
            "raster": str(raster), "folder": name, "extent": extent, "width": WIDTH,
            "height": HEIGHT, "scale": args.scale, "model": args.model,
        }  # fmt: skip
        for run in range(args.runs):
            worker = Worker()
            time.sleep(args.wait)  # as long as it takes to draw a polygon
            cold.append(worker.time(Preview(1, support=str(files[0]), **given)))
            print(
                f"run {run + 1}: cold {json.dumps({k: round(v, 2) for k, v in cold[-1].items()})}", flush=True
            )
            for number in range(2, 8):
                file = files[(number - 1) % len(files)] if number % 2 == 0 else files[0]
                warm.append(worker.time(Preview(number, support=str(file), **given)))
            worker.close()
    for title, values in (("cold view", cold), ("warm view, another polygon", warm)):
        medians = {
            key: statistics.median(value[key] for value in values if key in value) for key in values[0]
        }
        print(f"{title}: " + ", ".join(f"{key} {value:.2f} s" for key, value in medians.items()))


if __name__ == "__main__":
    main()
