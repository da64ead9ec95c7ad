"""Wall time of a whole labelling run over the bare encoder's forward time on the same windows, in one process.

Usage: python tests/benchmarks/speed.py RASTER SUPPORT [--runs 3] [--scale 2] [--no-crf]

Both use the same encoder, folded, channels-last, in inference mode, with as many tiles side by side as there are
cores. The run includes everything after Python's start: opening, loading the model, reading, both passes over the
support, DenseCRF in its own processes, writing and checking the cloud-optimised GeoTIFF. The two are timed in turn,
so that the ratio holds when the machine's speed drifts; the medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backend.encoders.catalogue import load_model
from backend.encoders.runner import EncoderRunner, choose_device, cpu_count
from backend.labeling import LabelOptions, feature_grid, label_raster
from backend.rasters.imagery import read_tile
from backend.rasters.source import RasterSource
from backend.refine.densecrf import CrfParameters
from backend.scale import fixed_scale


def bare_seconds(raster: str, options: LabelOptions, factor: float) -> tuple[float, int]:
    """Seconds of the encoder alone on the windows of a run, and how many windows that are."""
    runner = EncoderRunner(load_model(options.model).encoder, choose_device(options.device))
    with RasterSource(raster) as source:
        grid = feature_grid(source.window, fixed_scale(factor), runner, options)
        images = [read_tile(source, grid, tile).image for tile in grid.tiles()]
    images = [image for image in images if image is not None]
    threads = max(1, cpu_count() // runner.workers)
    with ThreadPoolExecutor(runner.workers) as pool:
        list(pool.map(lambda image: runner.encode(image, threads).sum().item(), images[: runner.workers]))
        started = time.perf_counter()
        list(pool.map(lambda image: runner.encode(image, threads).sum().item(), images))
        return time.perf_counter() - started, len(images)


def main() -> None:
    """Print one line per run and the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raster")
    parser.add_argument("support")
    parser.add_argument("--model")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--tile", type=int, default=LabelOptions.tile)
    parser.add_argument("--no-crf", action="store_true")
    args = parser.parse_args()
    options = LabelOptions(
        model=args.model, scale=args.scale, tile=args.tile, crf=None if args.no_crf else CrfParameters()
    )
    with RasterSource(args.raster) as source:
        megapixels = source.width * source.height / 1e6
    ratios, speeds = [], []
    for run in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            result = label_raster(args.raster, args.support, Path(folder) / "labels.tif", options)
            whole = time.perf_counter() - started
        bare, windows = bare_seconds(args.raster, options, result.scale.factor)
        ratios.append(whole / bare)
        speeds.append(megapixels / whole)
        print(
            f"run {run + 1}: whole {whole:.1f} s, encoder alone {bare:.1f} s on {windows} windows, "
            f"ratio {whole / bare:.2f}, {megapixels / whole:.3f} Mpx/s of raster"
        )
    print(
        f"median ratio {statistics.median(ratios):.2f}, median {statistics.median(speeds):.3f} Mpx/s "
        f"({megapixels:.2f} Mpx, scale {result.scale.factor:g}, CRF {'off' if args.no_crf else 'on'})"
    )


if __name__ == "__main__":
    main()
