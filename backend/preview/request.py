"""What a request about a raster and its support polygons begins with."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from ..encoders.runner import EncoderRunner
from ..expectation import expectation
from ..gathering import GatheredSupport, gather_support, join_features
from ..heads.selection import Head, choose_head, fit_head
from ..heads.spectral import SpectralModel
from ..heads.support import SupportFeatures
from ..labeling import LabelOptions, choose_scale_for, feature_grid, refinement, score_weights
from ..progress import CancelToken
from ..rasters.class_styles import renamed
from ..rasters.grid import Tile
from ..rasters.source import RasterSource
from ..rasters.support import ClassInfo
from ..refine.densecrf import CrfParameters
from ..refine.weights import ScoreWeights
from ..scale import same_ground
from ..support_features import PolygonFeatures
from .fitting import Fitting
from .painting import Painter
from .tiles import RasterTiles
from .view import View
from .workbench import Workbench

Need = tuple[RasterTiles, Tile]
_PATIENCE = 0.05  # seconds between looks at the cancel token


@dataclass(frozen=True)
class Opened:
    """A raster with its support, and an encoder that may still be loading.

    Attributes:
        bench: Where all of it is kept.
        options: The request's options.
        weights: Temperature and spectral weight.
        crf: The refinement at the request's scale, None for none.
        found: The support polygons.
        fittings: On the raster itself, then on further rasters.
        encoder: The encoder.
        cancel: Stops the request.
        notes: What the user should know.
    """

    bench: Workbench
    options: LabelOptions
    weights: ScoreWeights
    crf: CrfParameters | None
    found: GatheredSupport
    fittings: tuple[Fitting, ...]
    encoder: Future[EncoderRunner]
    cancel: CancelToken
    notes: list[str]

    @classmethod
    def of(
        cls, bench: Workbench, path: str, support: str, options: LabelOptions, cancel: CancelToken
    ) -> Opened:
        """Open what a request needs; the encoder is loaded meanwhile.

        Raises:
            ProtolabelError: When the rasters or the polygons cannot serve.
        """
        rasters = bench.rasters(path, options)
        encoder = bench.encoder(options)
        sources = [raster.source for raster in rasters]
        found = gather_support(support, sources[0], sources[1:], options.class_field, options.name_field)
        cancel.check()
        by_source = {raster.source: raster for raster in rasters}
        places = [(rasters[0], found.own), *((by_source[p.source], p.polygons) for p in found.others)]
        fittings = tuple(Fitting.of(raster, polygons) for raster, polygons in places)
        weights = score_weights(options)
        crf = refinement(options, choose_scale_for(options, sources[0], found))
        return cls(bench, options, weights, crf, found, fittings, encoder, cancel, list(found.notes))

    @property
    def source(self) -> RasterSource:
        """The raster to be labelled."""
        return self.fittings[0].raster.source

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, as the user names them."""
        return renamed(self.found.classes, self.options.classes)

    def spectral(self) -> SpectralModel:
        """The spectral model, which needs no features.

        Raises:
            SupportError: When a class has no valid pixel.
        """
        anything = PolygonFeatures(0, 1.0)
        anything.area = 1.0
        parts = [each.collect([anything] * len(each.keys), self._say) for each in self.fittings]
        return SpectralModel(self._join(parts))

    def tiles(self) -> tuple[RasterTiles, ...]:
        """The features of each raster, when the encoder is there."""
        while True:
            self.cancel.check()
            try:
                runner = self.encoder.result(_PATIENCE)
                break
            except FutureTimeout:
                continue
        scale = choose_scale_for(self.options, self.source, self.found)
        tiles = []
        for number, fitting in enumerate(self.fittings):
            source = fitting.raster.source
            own = scale if number == 0 else same_ground(scale, self.source.pixel_size, source.pixel_size)
            grid = feature_grid(source.window, own, runner, self.options)
            tiles.append(self.bench.tiles(fitting.raster, runner, grid))
        return tuple(tiles)

    def missing(self, tiles: tuple[RasterTiles, ...]) -> tuple[list[Need], list[Need]]:
        """The patches that the polygons still need: of one polygon of each class, for a first head; then the rest."""
        known: set[int] = set()
        needs: list[tuple[int, list[Need]]] = []
        for fitting, own in zip(self.fittings, tiles, strict=True):
            for index, part in enumerate(fitting.pooled(own)):
                label = fitting.support.labels[index]
                if part is None:
                    around = own.polygon_patches(fitting.support, index)
                    needs.append((label, [(own, patch) for patch in around if patch not in own]))
                elif part.area > 0:
                    known.add(label)
        first: list[Need] = []
        rest: list[Need] = []
        for label, need in sorted(needs, key=lambda item: len(item[1])):
            (rest if label in known else first).extend(need)
            known.add(label)
        return first, rest

    def features(self, tiles: tuple[RasterTiles, ...]) -> SupportFeatures | None:
        """What a head is fitted on: the polygons whose patches are encoded, or None while a class has none of them.

        Raises:
            SupportError: When all are encoded and a class is left with no polygon.
        """
        pooled = [fitting.pooled(own) for fitting, own in zip(self.fittings, tiles, strict=True)]
        known = {
            label
            for fitting, parts in zip(self.fittings, pooled, strict=True)
            for label, part in zip(fitting.support.labels, parts, strict=True)
            if part is not None and part.area > 0
        }
        whole = all(part is not None for parts in pooled for part in parts)
        if not whole and len(known) < len(self.found.classes):
            return None
        say = self._say if whole else lambda text: None
        return self._join(
            [fitting.collect(parts, say) for fitting, parts in zip(self.fittings, pooled, strict=True)]
        )

    def head(self, features: SupportFeatures) -> tuple[Head, dict[str, Any] | None]:
        """The head that a run would take, fitted, and what is to be expected of it as :func:`expectation` has it."""
        name, estimate = choose_head(features, self.options.head, self.options.spectral, self.weights)
        return fit_head(features, name), expectation(name, estimate, self.classes)

    def painter(self, view: View) -> Painter:
        """What labels a view of the raster."""
        shape = int(view.outer.height), int(view.outer.width)
        spectral, valid = self.fittings[0].raster.read(view.pixels(view.outer), shape)
        return Painter(
            view,
            spectral,
            self.source.color_count,
            valid,
            len(self.found.classes),
            self.weights,
            self.bench.threads,
            self.cancel,
        )

    def _join(self, parts: list[SupportFeatures]) -> SupportFeatures:
        names = ", ".join(fitting.raster.source.path for fitting in self.fittings)
        return join_features(parts, self.found.classes, names)

    def _say(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
