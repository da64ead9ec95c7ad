"""The main job: raster + support polygons -> label map.

Read :func:`label_raster` from top to bottom; every step is a function of another file.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import rasterio
from rasterio.windows import Window, intersect, intersection

from . import __version__
from .encoders.catalogue import load_model
from .encoders.checkpoint import LoadedModel
from .encoders.metadata import model_metadata
from .encoders.runner import EncoderRunner, choose_device
from .errors import ProtolabelError
from .expectation import told_expectation
from .gathering import (
    GatheredSupport,
    gather_features,
    gather_support,
    join_features,
    open_rasters,
    shifted,
)
from .heads.selection import HeadEstimate, choose_head, fit_head
from .heads.spectral import SpectralModel
from .outputs import LabelOutputs, check_outputs, support_files
from .progress import CancelToken, ProgressCallback, Say
from .rasters.area import Area, read_area
from .rasters.class_styles import ClassStyle, renamed
from .rasters.extent import Extent
from .rasters.grid import FeatureGrid
from .rasters.source import RasterSource
from .rasters.stretch import Stretch
from .rasters.support import ClassInfo
from .refine.densecrf import CrfParameters, require_densecrf
from .refine.weights import ScoreWeights
from .scale import Scale, choose_scale, fixed_scale, same_ground
from .streaming import TileStream

_SMALLEST_TILE = 384  # encoder input pixels
_CONTEXT = 16  # cells; beyond, the encoder's receptive field hardly reaches
_CACHE = 128 << 20  # bytes; GDAL's default grows with the machine's memory


@dataclass(frozen=True)
class LabelOptions:
    """How to label; the defaults suit most rasters.

    Attributes:
        class_field: Field of the class ids.
        name_field: Field of the class names; may be absent.
        model: A model's name or file, None for the default.
        layers: Encoder levels instead of the model's own.
        head: One of ``HEADS``; see :mod:`backend.heads.selection`.
        spectral: Whether a Gaussian of each class's pixel values, of all bands, is added to the head's scores.
        bands: Band numbers from 1 for red, green, blue and extras; None chooses.
        scale: Enlargement before the encoder, None chooses by pixel and polygon size.
        crf: DenseCRF parameters, None for no refinement; widths are for cells of 4 pixels.
        confidence: Where to write confidences.
        vector: Where to write polygons.
        extent: Label this part only.
        device: "auto", "cpu", "cuda" or "cuda:1".
        tile: Side of the encoder's windows in encoder input pixels, at least 384.
        weights: Temperature and spectral weight; None for those that the model was calibrated for.
        support_rasters: Rasters that support polygons lie on beside the raster itself.
        stretch: The stretch of all rasters; None estimates one, see :func:`open_rasters`.
        classes: Names and colours that the user chose; other classes keep their name and get a colour.
        area: A file of polygons; only pixels inside of them are labelled.
    """

    class_field: str = "class_id"
    name_field: str = "class_name"
    model: str | None = None
    layers: tuple[int, ...] | None = None
    head: str = "auto"
    spectral: bool = True
    bands: tuple[int, ...] | None = None
    scale: float | None = None
    crf: CrfParameters | None = field(default_factory=CrfParameters)
    confidence: Path | None = None
    vector: Path | None = None
    extent: Extent | None = None
    device: str = "auto"
    tile: int = 704
    weights: ScoreWeights | None = None
    support_rasters: tuple[str, ...] | None = None
    stretch: Stretch | None = None
    classes: tuple[ClassStyle, ...] | None = None
    area: Path | None = None


@dataclass(frozen=True)
class LabelResult:
    """What a run did.

    Attributes:
        output: The label map.
        classes: Its classes.
        pixels: Labelled pixels per class, in the order of ``classes``.
        scale: The scale that was used.
        model: Name of the model.
        device: What it ran on.
        seconds: Wall time.
        head: The head that was used.
        expected: How well it labelled polygons that it was not fitted on; None where no class has two.
    """

    output: Path
    classes: tuple[ClassInfo, ...]
    pixels: tuple[int, ...]
    scale: Scale
    model: str
    device: str
    seconds: float
    head: str
    expected: HeadEstimate | None


def label_raster(
    raster: str | Path,
    support: str | Path,
    output: str | Path,
    options: LabelOptions | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    say: Say | None = None,
) -> LabelResult:
    """Label a raster from support polygons.

    Args:
        raster: Anything GDAL reads.
        support: Support polygons, anything OGR reads.
        output: The label map, a .tif; a style (.qml) is written beside it.
        options: See :class:`LabelOptions`.
        progress: Called after every tile.
        cancel: Lets another thread stop the run.
        say: Told what the user should know: choices made, warnings.

    Raises:
        ProtolabelError: When something the user gave cannot serve; nothing is left half-written.
        Cancelled: When ``cancel`` was used.
    """
    started = time.monotonic()
    options, cancel, say = options or LabelOptions(), cancel or CancelToken(), say or (lambda text: None)
    output = Path(output)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE))
        source, others = open_rasters(raster, options.support_rasters, options.bands, options.stretch, stack)
        inputs = [file for each in (source, *others) for file in each.files]
        check_outputs(output, options.confidence, options.vector, [*inputs, *support_files(str(support))])
        found = gather_support(support, source, others, options.class_field, options.name_field)
        for note in found.notes:
            say(note)
        classes = renamed(found.classes, options.classes)

        if options.crf:
            require_densecrf()
        device = choose_device(options.device)
        model = load_model(options.model, options.layers)
        runner = EncoderRunner(
            model.encoder, device, lambda cells: say(f"Memory ran out; going on with tiles of {cells} cells.")
        )
        scale = choose_scale_for(options, source, found)
        say(f"Model {model.name} on {device}, scale {scale.factor:g} ({scale.reason}).")

        window, area = chosen_part(options, source)
        whole = feature_grid(source.window, scale, runner, options)
        part = feature_grid(with_context(window, source, scale, options), scale, runner, options)

        progress = progress or (lambda state: None)
        places = [(place, _grid_on(place.source, source, scale, runner, options)) for place in found.others]
        elsewhere, before = gather_features(places, runner, part.tile_count, progress, cancel, say)
        stream = TileStream(source, runner, shifted(progress, before), cancel, area)
        stack.callback(stream.close)
        here = stream.support_features(found.own, whole, part, say, alone=not others)
        features = join_features(
            [here, *elsewhere], classes, ", ".join(each.path for each in (source, *others))
        )
        weights, crf = score_weights(options), refinement(options, scale)
        chosen, expected = choose_head(features, options.head, options.spectral, weights)
        for text in told_expectation(chosen, expected, classes):
            say(text)
        head = fit_head(features, chosen)
        spectral = SpectralModel(features) if options.spectral else None

        writer = stack.enter_context(
            LabelOutputs(
                output,
                options.confidence,
                window,
                source,
                classes,
                _tags(source, model, scale, replace(options, head=chosen, weights=weights, crf=crf)),
                {style.id: style.color for style in options.classes or ()},
            )
        )
        for labels, place in stream.label_blocks(head, spectral, part, window, weights, crf):
            writer.write(labels, place)
        cancel.check()
        stream.report("writing")
        writer.finish(options.vector, cancel)
    seconds = time.monotonic() - started
    return LabelResult(
        output, classes, writer.counts, scale, model.name, str(device), seconds, chosen, expected
    )


def score_weights(options: LabelOptions) -> ScoreWeights:
    """Temperature and spectral weight that were given, else the model's."""
    return options.weights or ScoreWeights.of_model(model_metadata(options.model))


def refinement(options: LabelOptions, scale: Scale) -> CrfParameters | None:
    """DenseCRF parameters as wide as the scale's cells ask for."""
    return options.crf.for_cells(scale.cell) if options.crf else None


def chosen_part(options: LabelOptions, source: RasterSource) -> tuple[Window, Area | None]:
    """The window to label, and the polygons that it is confined to.

    Raises:
        ProtolabelError: When they lie outside the raster or have nothing in common.
    """
    window = options.extent.window(source) if options.extent else source.window
    if options.area is None:
        return window, None
    area = read_area(options.area, source)
    if not intersect(window, area.window):
        raise ProtolabelError(f"The extent and the polygons of {options.area} have no pixel in common.")
    return intersection(window, area.window), area


def feature_grid(window: Window, scale: Scale, runner: EncoderRunner, options: LabelOptions) -> FeatureGrid:
    """The feature grid over a window of the raster."""
    return FeatureGrid(
        left=int(window.col_off),
        top=int(window.row_off),
        width=int(window.width),
        height=int(window.height),
        cell=scale.cell,
        first_center=runner.first_center * scale.cell / runner.stride,
        tile_cells=max(options.tile, _SMALLEST_TILE) // runner.stride,
    )


def _grid_on(
    other: RasterSource, source: RasterSource, scale: Scale, runner: EncoderRunner, options: LabelOptions
) -> FeatureGrid:
    """The feature grid over another raster, whose cells are as large on the ground."""
    return feature_grid(
        other.window, same_ground(scale, source.pixel_size, other.pixel_size), runner, options
    )


def with_context(window: Window, source: RasterSource, scale: Scale, options: LabelOptions) -> Window:
    """A window with as much of the raster around it as its labels depend on, in whole cells from the raster's corner.

    So a part of a raster gets the labels that it has in a run over all of it.
    """
    crf = refinement(options, scale)
    margin = (crf.margin if crf else 0) + _CONTEXT * scale.cell
    left = max(int(window.col_off) - margin, 0) // scale.cell * scale.cell
    top = max(int(window.row_off) - margin, 0) // scale.cell * scale.cell
    right = min(int(window.col_off + window.width) + margin, source.width)
    bottom = min(int(window.row_off + window.height) + margin, source.height)
    return Window(left, top, right - left, bottom - top)


def choose_scale_for(options: LabelOptions, source: RasterSource, found: GatheredSupport) -> Scale:
    """The scale that was asked for, else one that suits the raster and the polygons."""
    if options.scale is not None:
        return fixed_scale(options.scale)
    return choose_scale(source.pixel_size, found.areas(source))


def _tags(source: RasterSource, model: LoadedModel, scale: Scale, options: LabelOptions) -> dict[str, str]:
    """What a run can be repeated from; no time stamps, so that the same run gives the same file."""
    tags = {
        "PROTOLABEL_VERSION": __version__,
        "PROTOLABEL_MODEL": model.name,
        "PROTOLABEL_MODEL_SHA256": model.sha256,
        "PROTOLABEL_LAYERS": ",".join(map(str, model.encoder.layout.layers)),
        "PROTOLABEL_HEAD": options.head,
        "PROTOLABEL_WEIGHTS": json.dumps(
            {**asdict(score_weights(options)), "use_spectral": options.spectral}
        ),
        "PROTOLABEL_BANDS": ",".join(map(str, (*source.bands.composite, *source.bands.extra))),
        "PROTOLABEL_STRETCH": json.dumps(asdict(source.stretch)),
        "PROTOLABEL_SCALE": f"{scale.factor:g}",
        "PROTOLABEL_CRF": json.dumps(asdict(options.crf)) if options.crf else "none",
    }
    if options.support_rasters is not None:
        names = [Path(path).name for path in options.support_rasters]
        tags["PROTOLABEL_SUPPORT_RASTERS"] = json.dumps(names, ensure_ascii=False)
    return tags
