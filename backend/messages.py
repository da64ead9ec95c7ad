"""The messages between the plugin and the worker; :mod:`backend.protocol` writes and reads them.

Both sides import this module, the plugin inside of QGIS's Python, so it needs the standard library only. Every
message is checked when it is made, on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Union

from . import checks
from .checks import Check
from .heads import HEADS


class ProtocolError(Exception):
    """A message that cannot be understood.

    Attributes:
        id: Of the request, when at least that could be read.
    """

    def __init__(self, text: str, id: int | None = None) -> None:
        super().__init__(text)
        self.id = id


def _checked(check: Check) -> Mapping[str, Check]:
    """The metadata of a field: the check of its values."""
    return {"check": check}


def _required(check: Check) -> Any:
    """A field that has to be given, after fields that need not: no check takes its default."""
    return field(default=REQUIRED, metadata={"check": check})


REQUIRED: Any = ...
_ID = _checked(checks.integer(0))
_COUNT = _checked(checks.integer(0))
_NAME = _checked(checks.name)
_MAYBE_NAME = _checked(checks.optional(checks.name))
_MAYBE_EXTENT = _checked(checks.optional(checks.list_of(checks.finite, 4, 4)))
_MAYBE_NUMBERS = _checked(checks.optional(checks.list_of(checks.integer(1, 100_000))))


class _Message:
    """Checks the fields of a message that is made."""

    KIND: ClassVar[str]

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            try:
                value = item.metadata["check"](getattr(self, item.name))
            except (ValueError, RecursionError) as error:
                missing = getattr(self, item.name) is REQUIRED
                text = f"The field {item.name!r} of {self.KIND!r} {'is missing' if missing else f'must be {error}'}."
                raise ProtocolError(text) from error
            object.__setattr__(self, item.name, value)


@dataclass(frozen=True)
class LabelingMessage(_Message):
    """What all requests say that fit a head; the options are those of the command line.

    None stands for the tool's own choice.

    Attributes:
        support_rasters: Rasters that the support polygons lie on, when not only on ``raster`` itself.
        stretch: Two lists, the raster values that become 0 and 255, one each per band in use.
        classes: The names and colours that the user gave, a list of ``id``, ``name`` and ``color`` ("#rrggbb");
            classes that it does not list keep their name from the layer and get a colour of the default palette.
    """

    id: int = field(metadata=_ID)
    raster: str = field(metadata=_NAME)
    support: str = field(metadata=_NAME)
    class_field: str = field(default="class_id", metadata=_NAME)
    name_field: str = field(default="class_name", metadata=_NAME)
    model: str | None = field(default=None, metadata=_MAYBE_NAME)
    layers: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)
    head: str = field(default="auto", metadata=_checked(checks.choice(*HEADS)))
    spectral: bool = field(default=True, metadata=_checked(checks.flag))
    bands: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)
    scale: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))
    crf: bool = field(default=True, metadata=_checked(checks.flag))
    device: str = field(default="auto", metadata=_NAME)
    tile: int = field(default=704, metadata=_checked(checks.integer(384, 8192)))
    support_rasters: tuple[str, ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.name)))
    )
    stretch: tuple[tuple[float, ...], ...] | None = field(
        default=None,
        metadata=_checked(checks.optional(checks.list_of(checks.list_of(checks.finite), 2, 2))),
    )
    classes: tuple[dict[str, Any], ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.json_object, 1, 65_535)))
    )


@dataclass(frozen=True)
class Label(LabelingMessage):
    """Label a raster, or the part of it in ``extent``, or what lies in the polygons of the file ``area``.

    Answered by ``progress`` and ``log`` while it runs, then by a result with ``output``, ``model``, ``device``,
    ``scale``, ``seconds``, ``classes`` (a list of ``id``, ``name``, ``pixels``), ``head`` (the one that was used) and
    ``expected``: how it labelled polygons that it was not fitted on, ``miou``, ``f1`` and ``classes`` (each ``id``,
    ``name``, ``iou``, ``f1``), numbers from 0 to 1 or None; None where no class has two polygons.
    """

    KIND: ClassVar[str] = "label"

    output: str = _required(checks.name)
    confidence: str | None = field(default=None, metadata=_MAYBE_NAME)
    vector: str | None = field(default=None, metadata=_MAYBE_NAME)
    extent: tuple[float, ...] | None = field(default=None, metadata=_MAYBE_EXTENT)
    extent_crs: str | None = field(default=None, metadata=_MAYBE_NAME)
    area: str | None = field(default=None, metadata=_MAYBE_NAME)


@dataclass(frozen=True)
class Preview(LabelingMessage):
    """Label what is in view, soon and then better; a newer preview takes its place.

    Each answer writes two files into ``folder`` and tells of them with the values ``stage`` ("coarse", "features" or
    "refined"), ``labels`` and ``uncertainty`` (paths), ``width`` and ``height`` (of the pictures), ``corners`` (where
    their upper left, upper right, lower right and lower left corners lie, in the raster's coordinates), ``classes`` (a
    list of ``id``, ``name``, ``pixels``), ``tiles`` and ``tiles_total`` (parts encoded so far, of all in view),
    ``expected`` (as of :class:`Label`) and ``notes`` (texts). All answers but the last are ``partial``. The files hold
    one byte a pixel, row by row: the place of the class in ``classes`` and the uncertainty 0..100 (percent); 255 stands
    for no data.

    Attributes:
        folder: Where the files go; the asker removes them.
        extent: What is in view: xmin, ymin, xmax, ymax.
        extent_crs: Its system, None for the raster's own.
        width: Of the view on the screen, in pixels; the pictures are not larger than needed for it.
        height: As well.
    """

    KIND: ClassVar[str] = "preview"

    folder: str = _required(checks.name)
    extent: tuple[float, ...] = _required(checks.list_of(checks.finite, 4, 4))
    extent_crs: str | None = field(default=None, metadata=_MAYBE_NAME)
    width: int = field(default=1000, metadata=_checked(checks.integer(1, 20_000)))
    height: int = field(default=700, metadata=_checked(checks.integer(1, 20_000)))


@dataclass(frozen=True)
class Uncertain(LabelingMessage):
    """Tell where one more polygon would help most.

    Answered by a result with ``places``, best first: a list of ``extent`` (xmin, ymin, xmax, ymax in the raster's
    coordinates) and ``uncertainty`` (percent).
    """

    KIND: ClassVar[str] = "uncertain"

    count: int = field(default=10, metadata=_checked(checks.integer(1, 100)))


@dataclass(frozen=True)
class Estimate(LabelingMessage):
    """Tell what a run would take, before it is begun; nothing is written.

    Answered by a result with ``width``, ``height``, ``tiles``, ``seconds``, ``memory`` and ``disk`` (bytes),
    ``free_memory``, ``free_disk``, ``warnings`` (texts: what speaks against the run) and ``possible`` (false when the
    outputs cannot be written, of which the first warning tells).
    """

    KIND: ClassVar[str] = "estimate"

    output: str = _required(checks.name)
    extent: tuple[float, ...] | None = field(default=None, metadata=_MAYBE_EXTENT)
    extent_crs: str | None = field(default=None, metadata=_MAYBE_NAME)
    area: str | None = field(default=None, metadata=_MAYBE_NAME)


@dataclass(frozen=True)
class Vectorize(_Message):
    """Turn a label map into polygons: a result with ``output`` and ``polygons`` (how many).

    Attributes:
        labels: The label map.
        output: A .gpkg, .geojson, .shp or .fgb.
        sieve: Patches of fewer pixels are given to their largest neighbour.
        simplify: Tolerance in pixels; 0 keeps the pixels' edges. Neighbours keep their common border.
    """

    KIND: ClassVar[str] = "vectorize"

    id: int = field(metadata=_ID)
    labels: str = field(metadata=_NAME)
    output: str = field(metadata=_NAME)
    sieve: int = field(default=0, metadata=_COUNT)
    simplify: float = field(default=0.0, metadata=_checked(checks.finite))


@dataclass(frozen=True)
class Accuracy(_Message):
    """Tell how good a label map is, by a reference: labelled points, validation polygons or a reference raster.

    Answered by ``progress`` (stage "assessing") and ``log`` while it runs, then by a result with

    - ``kind``: what the reference is, "points", "polygons" or "raster";
    - ``design``: what the estimates rest on: "stratified" (points that the tool drew), "assumed" (other points, taken
      as drawn at random), "clusters" (polygons), "census" (a raster that covers the whole map), "partial" (one that
      does not); ``statement``: what that means for the intervals, for people;
    - ``notes``: texts, what else the user should know;
    - ``unit``: of the counts, "points" or "pixels"; ``counted``: how many there are in the confusion matrix;
      ``removed``: how many of the reference were left out because they lie under support polygons; ``outside``: how
      many because the map has no label there; ``unlabelled`` and ``skipped``: points that the analyst has not labelled
      yet, or could not tell;
    - ``overall_accuracy``, ``kappa``, ``mean_f1``, ``mean_iou``: of the counts, 0 to 1 (kappa -1 to 1) or None;
    - ``overall``: the estimate for the whole map. Each estimate is an object with ``value``, ``se`` (standard error),
      ``low`` and ``high`` (95 % confidence interval), each a number or None where it cannot be told;
    - ``area_unit``: "ha", "m²" or "px";
    - ``classes``: in the order of the map's classes, each with ``id``, ``name``, ``color`` ("#rrggbb"), ``map_count``
      and ``reference_count`` (of the counts), ``precision``, ``recall``, ``f1``, ``iou`` (of the counts, 0 to 1 or
      None), ``mapped_area`` (in the map), and the estimates ``users``, ``producers`` (0 to 1) and ``area`` (all its
      numbers None where the design allows none);
    - ``confusion``: the counts, a list of rows by map class, each a list by reference class; ``proportions``: the same
      as estimated shares of the map's area, 0 to 1, None for polygons;
    - ``reliability``: of the confidence raster, None without one: ``ece`` (0 to 1) and ``bins``, each with ``low``,
      ``high``, ``confidence``, ``accuracy`` (0 to 1, None in an empty bin) and ``count``;
    - ``report`` (path or None) and ``tables`` (paths of the CSV files), ``seconds``.

    The fields of points are told by :class:`SamplePoints`. Of a polygon layer with a field ``use``, the features that
    say "validation" count, and as ``support`` all others; both may be the same file.

    Attributes:
        labels: The label map.
        reference: Points or polygons (anything that OGR reads, "|layername=NAME" for one of several layers), or a
            raster in any grid or coordinate system.
        class_field: Field of the points or polygons: class ids of the map, or names of its classes.
        support: The polygons that the map was made from; what lies under them is not assessed.
        confidence: The confidence raster of the map.
        report: An .html to write.
        csv: A folder for the tables; it is made when it is not there.
        reference_name: What the reference is called in the report, the tables and messages, instead of its path.
        support_name: The same for the support polygons.
    """

    KIND: ClassVar[str] = "accuracy"

    id: int = field(metadata=_ID)
    labels: str = field(metadata=_NAME)
    reference: str = field(metadata=_NAME)
    class_field: str = field(default="class_id", metadata=_NAME)
    support: str | None = field(default=None, metadata=_MAYBE_NAME)
    confidence: str | None = field(default=None, metadata=_MAYBE_NAME)
    report: str | None = field(default=None, metadata=_MAYBE_NAME)
    csv: str | None = field(default=None, metadata=_MAYBE_NAME)
    reference_name: str | None = field(default=None, metadata=_MAYBE_NAME)
    support_name: str | None = field(default=None, metadata=_MAYBE_NAME)


@dataclass(frozen=True)
class SamplePoints(_Message):
    """Draw points by stratified random sampling, for the analyst to label; the strata are the map's classes.

    Answered by ``progress`` (stage "sampling"), then by a result with ``output``, ``points`` (how many) and ``strata``,
    a list of ``id``, ``name``, ``color``, ``pixels``, ``share`` (of the map, 0 to 1) and ``points``.

    The output is a GeoPackage in the map's coordinate system with one layer, ``points``, whose order is random, so that
    the first ones are a sample as well. Its fields:

    - ``point_id``: 1 to the number of points, whole numbers;
    - ``map_class`` and ``map_name``: id and name of the class that the map has there, the stratum; best hidden from who
      labels;
    - ``stratum_pixels``: size of the stratum when the points were drawn;
    - ``class_id`` (whole number) and ``class_name`` (text): what the analyst says is there, NULL until then; only
      ``class_id`` is read;
    - ``skipped``: 1 when the analyst cannot tell, else 0; such a point is left out, whatever its class.

    Attributes:
        labels: The label map.
        output: A .gpkg; None draws nothing and only tells how many points there would be.
        count: How many points; None takes as many as ``standard_error`` needs.
        standard_error: That the overall accuracy shall have.
        expected: User's accuracies that are expected, a list of ``id`` and ``accuracy`` (0 to 1); 0.8 for classes that
            it does not list.
        minimum: Points of each class at least, as far as there are so many pixels, and so many points.
        seed: The same one draws the same points.
        support: Polygons under which no point is drawn; features with ``use`` "validation" do not count.
    """

    KIND: ClassVar[str] = "sample_points"

    id: int = field(metadata=_ID)
    labels: str = field(metadata=_NAME)
    output: str | None = field(default=None, metadata=_MAYBE_NAME)
    count: int | None = field(default=None, metadata=_checked(checks.optional(checks.integer(1, 1_000_000))))
    standard_error: float = field(default=0.025, metadata=_checked(checks.finite))
    expected: tuple[dict[str, Any], ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.json_object, 1, 65_535)))
    )
    minimum: int = field(default=25, metadata=_checked(checks.integer(0, 1_000_000)))
    seed: int = field(default=0, metadata=_COUNT)
    support: str | None = field(default=None, metadata=_MAYBE_NAME)


@dataclass(frozen=True)
class FinetuningMessage(_Message):
    """What the requests share that look at labelled rasters or fine-tune on them; None is the tool's own choice.

    Attributes:
        data: The labelled rasters: a list of ``raster`` with ``labels`` (a label raster, on any grid), ``polygons`` (a
            layer, anything that OGR reads) or both, and, where they have other names, ``class_field`` and
            ``name_field``. One layer may be given for several rasters: each takes the polygons that lie on it.
            Features with ``use`` "validation" are never trained on; they are held out.
        classes: The class list, of ``id``, ``name`` and ``color``; labels beyond it are an error. None takes every
            class that is found.
        ignored: Ids of classes that are left out on purpose.
        bands: As of the labelling; of all rasters.
        stretch: As well.
        base: The model to begin with.
        hold_out: What the model is measured on and never trained on: "raster", whole rasters; "group", groups of
            neighbouring polygons or parts of a label raster; "auto" takes the validation polygons where they suffice,
            else rasters where there are two or more, else groups.
        minutes: How long to train, without pauses; None and no ``iterations`` is ten minutes.
        iterations: How many episodes to train on instead, or at most where ``minutes`` are given too.
        trained: Which layers change: "upper", all but the first two stages, which few rasters would spoil; "all"; or
            "last", the last stage alone.
        learning_rate: Largest step; it rises at the beginning and falls to the end.
        crop: Side of the crops that the encoder sees, in its input pixels, a multiple of 8.
        device: "auto", "cpu", "cuda" or "cuda:1".
        threads: Threads on the CPU; None leaves one core to others where there are four or more.
        seed: Of everything that is drawn.
    """

    id: int = field(metadata=_ID)
    data: tuple[dict[str, Any], ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.json_object, 1, 1000)))
    )
    classes: tuple[dict[str, Any], ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.json_object, 1, 65_535)))
    )
    ignored: tuple[int, ...] | None = field(
        default=None, metadata=_checked(checks.optional(checks.list_of(checks.integer(0, 65_535), 0, 65_535)))
    )
    bands: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)
    stretch: tuple[tuple[float, ...], ...] | None = field(
        default=None,
        metadata=_checked(checks.optional(checks.list_of(checks.list_of(checks.finite), 2, 2))),
    )
    base: str | None = field(default=None, metadata=_MAYBE_NAME)
    hold_out: str = field(default="auto", metadata=_checked(checks.choice("auto", "raster", "group")))
    minutes: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))
    iterations: int | None = field(
        default=None, metadata=_checked(checks.optional(checks.integer(1, 1_000_000)))
    )
    trained: str = field(default="upper", metadata=_checked(checks.choice("upper", "all", "last")))
    learning_rate: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))
    crop: int = field(default=192, metadata=_checked(checks.integer(96, 1024)))
    device: str = field(default="auto", metadata=_NAME)
    threads: int | None = field(default=None, metadata=_checked(checks.optional(checks.integer(1, 1024))))
    seed: int = field(default=1, metadata=_COUNT)


@dataclass(frozen=True)
class Material(FinetuningMessage):
    """Tell what there is to fine-tune on and what a run would take; nothing is written.

    Answered by a ``partial`` as soon as everything is counted, then by a result with the same values and the estimate:

    - ``rasters``: a list of ``raster`` (path), ``name``, ``pixel_size`` (metres or None), ``held_out`` (whether all of
      it is held out) and ``classes``: a list of ``id``, ``pixels`` and ``polygons`` (both those that are trained on and
      those that are not), and ``held_out_pixels`` and ``held_out_polygons`` (those of them that are held out);
    - ``classes``: the same over all rasters, each with its ``name`` too;
    - ``hold_out``: a sentence that tells what is held out;
    - ``warnings``: texts: too little of something, or unbalanced;
    - ``problem``: a sentence that tells why no run can be started, None when one can;
    - ``estimate``: None in the partial, where ``estimate`` was False, and where there is a problem; else
      ``device``, ``iterations`` (of the whole run), ``seconds`` (of the whole run, measurements included),
      ``seconds_per_iteration`` and ``seconds_per_measurement``.

    Attributes:
        estimate: Whether a few iterations are tried for the estimate, which takes some seconds.
    """

    KIND: ClassVar[str] = "material"

    estimate: bool = field(default=True, metadata=_checked(checks.flag))


@dataclass(frozen=True)
class Finetune(FinetuningMessage):
    """Fine-tune a model, or go on with a run that was interrupted.

    Answered by ``log``, ``progress`` (stage "training"; done and total are iterations) and, about once a second and at
    each change, by ``partial`` with

    - ``stage``: "reading", "measuring" (the model without training at first, then the tuned one), "training" or
      "paused";
    - ``iteration``, ``iterations`` (of the whole run as far as can be told, else None), ``seconds`` (trained so far,
      without pauses), ``seconds_left`` (or None) and ``speed`` (iterations a second, or None);
    - ``losses``: None, or the means since the last such message: ``segmentation``, ``alignment``,
      ``class_specific``, ``class_agnostic`` and ``total`` (the weighted sum, which is what falls);
    - ``base``, ``score`` and ``best``: how the hold-out is labelled by the model without training, by the latest and by
      the best one; None until it is known, else ``iteration``, ``miou``, ``deviation`` (standard deviation over the
      draws of the support) and ``classes``: a list of ``id``, ``iou`` and ``f1`` (0 to 1, or None where the hold-out
      has none of it);
    - ``example``: path of a picture, None until there is one; it is replaced now and then: an episode's support,
      query, truth and prediction, from left to right;
    - ``journal``: path of a text file with one JSON object a line, for plots of all that was before: ``iteration``,
      ``seconds`` and either ``losses`` or ``score`` (of iteration 0 it is the model without training), as above.

    The result holds ``folder``, ``model`` (the best model's file in it), ``saved`` (the file in the folder of the
    user's own models, or None), ``name``, ``verdict`` ("better", "unclear" or "worse", by the hold-out), ``sentence``
    (the verdict for people), ``base`` and ``best`` (as above), ``classes`` (a list of ``id``, ``name``, ``iou_before``,
    ``iou_after``, ``f1_before`` and ``f1_after``), ``iterations``, ``seconds``, ``stopped`` ("time", "iterations" or
    "early": no better for a while), ``hold_out`` (a sentence) and ``card`` (of the tuned model, Markdown).

    A run that was cancelled, or whose process ended, goes on from its last checkpoint with ``resume``.

    Attributes:
        folder: Where the run keeps everything; it is made when it is not there.
        resume: Go on with the run in the folder; all else that this message says about the run is not looked at, but
            for ``minutes`` and ``iterations`` where they are given, ``device``, ``threads``, ``name`` and the flags.
        name: Save the tuned model under this name among the user's own models; None leaves it in the folder, from
            where :class:`KeepModel` takes it.
        replace: Whether it may take the place of another model of this name.
        keep_worse: Whether it is saved also when it labels the hold-out worse than the model without training.
    """

    KIND: ClassVar[str] = "finetune"

    folder: str = _required(checks.name)
    resume: bool = field(default=False, metadata=_checked(checks.flag))
    name: str | None = field(default=None, metadata=_MAYBE_NAME)
    replace: bool = field(default=False, metadata=_checked(checks.flag))
    keep_worse: bool = field(default=False, metadata=_checked(checks.flag))


@dataclass(frozen=True)
class KeepModel(_Message):
    """Save the model of a run that :class:`Finetune` has ended: a result with ``saved`` (the file) and ``name``.

    Attributes:
        folder: Of the run.
        name: As of :class:`Finetune`.
        replace: As well.
        keep_worse: As well.
    """

    KIND: ClassVar[str] = "keep_model"

    id: int = field(metadata=_ID)
    folder: str = field(metadata=_NAME)
    name: str = field(metadata=_NAME)
    replace: bool = field(default=False, metadata=_checked(checks.flag))
    keep_worse: bool = field(default=False, metadata=_checked(checks.flag))


@dataclass(frozen=True)
class Inspect(_Message):
    """Tell what is understood of a raster: a result of texts by name."""

    KIND: ClassVar[str] = "inspect"

    id: int = field(metadata=_ID)
    raster: str = field(metadata=_NAME)
    bands: tuple[int, ...] | None = field(default=None, metadata=_MAYBE_NUMBERS)


@dataclass(frozen=True)
class Models(_Message):
    """Tell what can be used: a result with ``models``, ``folders`` and ``devices``.

    The models, the default first, have a ``name``, a ``path`` (null for what is downloaded on first use) and a
    ``card``: what they were trained on and for which imagery, as Markdown, "" where nothing is known.
    """

    KIND: ClassVar[str] = "models"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Cancel(_Message):
    """Cancel a request that waits or runs.

    Answered by a result with ``found``, which is false when that request has been answered already. The target itself
    is answered by ``cancelled``, or by its result when the cancel came too late.
    """

    KIND: ClassVar[str] = "cancel"

    id: int = field(metadata=_ID)
    target: int = field(metadata=_ID)


@dataclass(frozen=True)
class Pause(_Message):
    """Let a fine-tuning wait, which keeps a checkpoint first; it can be cancelled meanwhile.

    Answered at once by a result with ``found`` as of :class:`Cancel`. Other tasks do not wait.
    """

    KIND: ClassVar[str] = "pause"

    id: int = field(metadata=_ID)
    target: int = field(metadata=_ID)


@dataclass(frozen=True)
class Resume(_Message):
    """Let a fine-tuning that waits go on; answered as :class:`Pause`."""

    KIND: ClassVar[str] = "resume"

    id: int = field(metadata=_ID)
    target: int = field(metadata=_ID)


@dataclass(frozen=True)
class Ping(_Message):
    """Answered at once, even during a run: a result with ``running`` (an id or null) and ``waiting`` (ids)."""

    KIND: ClassVar[str] = "ping"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Quit(_Message):
    """Cancel everything and end."""

    KIND: ClassVar[str] = "quit"

    id: int = field(metadata=_ID)


@dataclass(frozen=True)
class Ready(_Message):
    """The first reply, without a request: the worker listens."""

    KIND: ClassVar[str] = "ready"

    protocol: int = field(metadata=_COUNT)
    version: str = field(metadata=_NAME)
    python: str = field(metadata=_NAME)
    pid: int = field(metadata=_COUNT)


@dataclass(frozen=True)
class Progress(_Message):
    """How far a run is; see ``backend.progress.Progress``."""

    KIND: ClassVar[str] = "progress"

    id: int = field(metadata=_ID)
    stage: str = field(metadata=_NAME)
    done: int = field(metadata=_COUNT)
    total: int = field(metadata=_COUNT)
    megapixels: float = field(metadata=_checked(checks.finite))
    seconds_left: float | None = field(default=None, metadata=_checked(checks.optional(checks.finite)))


@dataclass(frozen=True)
class Partial(_Message):
    """Something that can be shown already; what ``value`` holds is told by each request."""

    KIND: ClassVar[str] = "partial"

    id: int = field(metadata=_ID)
    value: dict[str, Any] = field(metadata=_checked(checks.json_object))


@dataclass(frozen=True)
class Log(_Message):
    """Something that the user may want to know."""

    KIND: ClassVar[str] = "log"

    id: int | None = field(metadata=_checked(checks.optional(checks.integer(0))))
    level: str = field(metadata=_checked(checks.choice("info", "warning", "error")))
    text: str = field(metadata=_checked(checks.text))


@dataclass(frozen=True)
class Result(_Message):
    """A request is done; what ``value`` holds is told by each request."""

    KIND: ClassVar[str] = "result"

    id: int = field(metadata=_ID)
    value: dict[str, Any] = field(metadata=_checked(checks.json_object))


@dataclass(frozen=True)
class Error(_Message):
    """A request failed.

    Attributes:
        id: None when the line was too broken to tell.
        kind: "user" for what the user can mend, with the fix in the message; "protocol" for a request that is not
            understood; "internal" for a mistake of the worker.
        message: One sentence.
        detail: The traceback of an internal error.
    """

    KIND: ClassVar[str] = "error"

    id: int | None = field(metadata=_checked(checks.optional(checks.integer(0))))
    kind: str = field(metadata=_checked(checks.choice("user", "internal", "protocol")))
    message: str = field(metadata=_checked(checks.text))
    detail: str | None = field(default=None, metadata=_checked(checks.optional(checks.text)))


@dataclass(frozen=True)
class Cancelled(_Message):
    """A request was cancelled and left nothing behind."""

    KIND: ClassVar[str] = "cancelled"

    id: int = field(metadata=_ID)


# Unions are not written with a bar here, since Python 3.9 would evaluate it.
Task = Union[  # noqa: UP007
    Label, Preview, Uncertain, Estimate, Vectorize, Accuracy, SamplePoints, Material, Finetune, KeepModel,
    Inspect, Models,
]  # fmt: skip
Request = Union[Task, Cancel, Pause, Resume, Ping, Quit]  # noqa: UP007
News = Union[Progress, Partial, Log]  # noqa: UP007
Reply = Union[Ready, News, Result, Error, Cancelled]  # noqa: UP007
REQUESTS: tuple[type[Request], ...] = (
    Label, Preview, Uncertain, Estimate, Vectorize, Accuracy, SamplePoints, Material, Finetune, KeepModel,
    Inspect, Models, Cancel, Pause, Resume, Ping, Quit,
)  # fmt: skip
REPLIES: tuple[type[Reply], ...] = (Ready, Progress, Partial, Log, Result, Error, Cancelled)
