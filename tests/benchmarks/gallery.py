"""A page to look at: image with support polygons, forest, the tool, reference, and what differs, for every scene.

Usage: python tests/benchmarks/gallery.py DATA --models 'runs/aerial-fold{fold}/last.safetensors' --forest SCRIPT
           [--scenes scene00 ...] [--shots 5] [--seed 0] [--out build/gallery]

As in ablation.py, each scene is labelled by the encoder that has not seen it. The label maps stay in OUT, and
OUT/index.html shows them with the IoU of each class. Nothing of it belongs into the repository: it shows the data.
"""

from __future__ import annotations

import argparse
import html
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.errors import NotGeoreferencedWarning

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scenes import Case, Score, cases, reference
from train_folds import FOLDS

from backend.labeling import LabelOptions, label_raster
from backend.rasters.palette import colors_for
from backend.rasters.source import RasterSource
from backend.rasters.support import SupportSet, read_support

_SIDE = 640  # pixels of a picture


def main() -> None:
    """Label, draw, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", required=True)
    parser.add_argument("--forest", type=Path, required=True)
    parser.add_argument("--scenes", nargs="+", default=[f"scene{number:02}" for number in range(13)])
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/gallery"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for stem in options.scenes:
        folder = options.data / ("loveda" if stem.startswith("loveda") else "naip")
        (case,) = cases(folder, stem, [options.shots], [options.seed])
        rows.append(row(case, options))
        print(stem, flush=True)
    heads = "".join(
        f"<th>{name}</th>" for name in ("image, support", "forest", "Protolabel", "reference", "errors")
    )
    page = (
        "<!doctype html><meta charset=utf-8><title>Gallery</title><style>body{font:14px sans-serif}img{width:100%}"
        "td{vertical-align:top;width:20%}table{table-layout:fixed;width:100%}</style>"
        f"<h1>K = {options.shots}, seed {options.seed}</h1><table><tr>{heads}</tr>{''.join(rows)}</table>"
    )
    (options.out / "index.html").write_text(page, encoding="utf-8")


def row(case: Case, options: argparse.Namespace) -> str:
    """A scene's row of the page."""
    stem, out = case.raster.stem, options.out
    fold = next(number for number, stems in FOLDS.items() if stem in stems)
    ours, trees = out / f"{stem}_ours.tif", out / f"{stem}_forest.tif"
    with RasterSource(case.raster) as source:
        if not ours.exists():
            label_raster(
                case.raster, case.support, ours, LabelOptions(model=options.models.format(fold=fold))
            )
        if not trees.exists():
            bands = ",".join(str(number + 1) for number in range(source.spectral_count))
            command = [sys.executable, options.forest, case.raster, case.support, trees, "--bands", bands]
            subprocess.run([*command, "--features", "pixel", "--sieve", "64"], check=True)
        polygons = read_support(case.support, source)
        spectral, _ = source.read(source.window)
        picture = np.rint(source.composite(spectral)).astype(np.uint8).transpose(1, 2, 0)
    with rasterio.open(case.labels) as src:
        truth = src.read(1)
    colors = np.zeros((256, 3), np.uint8)
    chosen = colors_for(polygons.classes)
    for info in polygons.classes:
        colors[info.id] = chosen[info.id]
    counted = reference(truth, polygons)
    cells = [picture_file(with_polygons(picture, polygons, colors), out / f"{stem}_image.jpg")]
    texts = [legend(polygons, colors)]
    for path, name in ((trees, "forest"), (ours, "ours")):
        with rasterio.open(path) as src:
            labels = src.read(1)
        cells.append(picture_file(colors[labels], out / f"{stem}_{name}.png"))
        texts.append(score_of(labels, counted, polygons))
    shown = np.where((truth[..., None] == 255), 255, colors[truth]).astype(np.uint8)
    cells.append(picture_file(shown, out / f"{stem}_reference.png"))
    texts.append("")
    known = counted < len(polygons.classes)
    wrong = known & (labels != truth)
    errors = np.where(wrong[..., None], colors[labels], (picture // 3 + 160).astype(np.uint8))
    cells.append(picture_file(errors.astype(np.uint8), out / f"{stem}_errors.png"))
    texts.append("in the colour of the wrong label")
    tds = "".join(f"<td><img src={cell}><br>{text}</td>" for cell, text in zip(cells, texts, strict=True))
    return f"<tr><td colspan=5><h2>{stem}</h2></td></tr><tr>{tds}</tr>"


def score_of(labels: NDArray[np.integer], truth: NDArray[np.int64], polygons: SupportSet) -> str:
    """Mean IoU and IoU of the classes, as text."""
    ids = [info.id for info in polygons.classes]
    index = np.full(256, len(ids), np.int64)
    index[ids] = np.arange(len(ids))
    counted, wide = truth < len(ids), len(ids) + 1
    pairs = np.bincount(truth[counted] * wide + index[labels[counted]], minlength=len(ids) * wide)
    nothing = np.zeros(101, np.int64)
    names = tuple(info.name for info in polygons.classes)
    found = Score(names, pairs.reshape(len(ids), wide), nothing, nothing)
    each = ", ".join(f"{html.escape(name)} {iou:.2f}" for name, iou in zip(names, found.iou, strict=True))
    return f"<b>mIoU {found.summary['mIoU']:.3f}</b>, OA {found.summary['OA']:.3f}<br>{each}"


def legend(polygons: SupportSet, colors: NDArray[np.uint8]) -> str:
    """The classes in their colours."""
    return ", ".join(
        f"<span style='background:rgb{tuple(int(v) for v in colors[i.id])}'>&nbsp;&nbsp;</span> {html.escape(i.name)}"
        for i in polygons.classes
    )


def with_polygons(
    picture: NDArray[np.uint8], polygons: SupportSet, colors: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The image with the outlines of the support polygons."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for polygon, label in zip(polygons.polygons, polygons.labels, strict=True):
        color = tuple(int(value) for value in colors[polygons.classes[label].id])
        for part in getattr(polygon, "geoms", [polygon]):
            draw.line([tuple(point) for point in part.exterior.coords], fill=color, width=5)
    return np.asarray(image)


def picture_file(pixels: NDArray[np.uint8], path: Path) -> str:
    """Write a picture, reduced; its name."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    image.save(path)
    return path.name


if __name__ == "__main__":
    main()
