"""Peak memory of labelling a 20,000 x 20,000 raster, most of it nodata, against that of a 4,000 x 4,000 one.

Usage: python tests/benchmarks/memory.py [--model NAME] [--sides 4000,20000]

Both rasters hold the same amount of imagery: random fields along a diagonal, so that every row and column of tiles
has some. Resident memory is read from the system ten times a second, of the process that labels and of all its
helper processes together; memory that processes share counts in each of them, so the sum errs on the high side.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyogrio
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.windows import Window

PATCH = 400  # pixels; side of the patches of imagery
PATCHES = 10  # on the diagonal
PIXEL = 0.5  # metres
COLORS = ((70, 110, 60), (150, 130, 100), (60, 80, 110))


def make_inputs(folder: Path, side: int) -> tuple[Path, Path]:
    """A raster with patches of three materials on its diagonal, and polygons in the first patch."""
    rng = np.random.default_rng(0)
    raster, support = folder / f"raster{side}.tif", folder / f"support{side}.gpkg"
    origin = from_origin(500_000, 5_500_000, PIXEL, PIXEL)
    third = PATCH // 3
    with rasterio.open(
        raster, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:25832",
        transform=origin, nodata=0, tiled=True, compress="deflate", sparse_ok=True, bigtiff="if_safer",
    ) as dst:  # fmt: skip
        for number in range(PATCHES):
            start = number * (side - PATCH) // (PATCHES - 1)
            colors = np.repeat(
                np.array([COLORS[i] for i in (0, 1, 2)]), [third, third, PATCH - 2 * third], axis=0
            )
            patch = colors.T[:, None, :] + rng.normal(0, 12, (3, PATCH, PATCH))
            dst.write(np.clip(patch, 1, 255).astype(np.uint8), window=Window(start, start, PATCH, PATCH))
    boxes = [shapely.box(i * third + 20, 50, i * third + 100, 150) for i in range(3)]
    matrix = [PIXEL, 0, 0, -PIXEL, 500_000, 5_500_000]
    pyogrio.raw.write(
        support,
        geometry=shapely.to_wkb(
            np.array([shapely.affinity.affine_transform(b, matrix) for b in boxes], object)
        ),
        field_data=[np.arange(1, 4), np.array(["a", "b", "c"], object)],
        fields=np.array(["class_id", "class_name"], object),
        geometry_type="Polygon",
        crs="EPSG:25832",
    )
    return raster, support


def peak_megabytes(command: list[str]) -> tuple[float, float, float]:
    """Run a command; peak resident memory of its first process and of all of them in MB, and seconds."""
    started = time.monotonic()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    first = total = 0.0
    while process.poll() is None:
        sizes = []
        try:
            for member in [process, *process.children(recursive=True)]:
                try:
                    sizes.append(member.memory_info().rss)
                except psutil.NoSuchProcess:
                    sizes.append(0)
        except psutil.NoSuchProcess:
            break
        first, total = max(first, sizes[0] / 1e6), max(total, sum(sizes) / 1e6)
        time.sleep(0.1)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return first, total, time.monotonic() - started


def main() -> None:
    """Print a line per raster and the difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model")
    parser.add_argument("--sides", default="4000,20000")
    args = parser.parse_args()
    peaks = []
    for side in map(int, args.sides.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            raster, support = make_inputs(Path(folder), side)
            command = [
                sys.executable,
                "-m",
                "backend",
                "label",
                str(raster),
                str(support),
                f"{folder}/labels.tif",
            ]
            first, total, seconds = peak_megabytes(command + (["--model", args.model] if args.model else []))
        peaks.append((first, total))
        print(
            f"{side} x {side}: peak {first:.0f} MB, with helper processes {total:.0f} MB, {seconds:.0f} s",
            flush=True,
        )
    print(
        f"difference {peaks[-1][0] - peaks[0][0]:.0f} MB, with helper processes {peaks[-1][1] - peaks[0][1]:.0f} MB"
    )


if __name__ == "__main__":
    main()
