"""What is known so far of the support polygons on one raster; each polygon is read and pooled once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..heads.support import SupportFeatures
from ..progress import Say
from ..rasters.support import SupportSet
from ..support_features import PolygonFeatures, collect_features, sample_polygon
from .tiles import RasterTiles
from .workbench import OpenRaster


@dataclass(frozen=True)
class Fitting:
    """The support polygons on one raster.

    Attributes:
        raster: The raster.
        support: Its polygons, which may be none when there are other rasters.
        keys: What is kept of each polygon is kept under these.
    """

    raster: OpenRaster
    support: SupportSet
    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, raster: OpenRaster, support: SupportSet) -> Fitting:
        """Sample the polygons that are new."""
        keys = tuple(_key(support, index) for index in range(len(support.polygons)))
        known, source = raster.samples, raster.source
        raster.samples = {
            key: known[key] if key in known else sample_polygon(source, support, index)
            for index, key in enumerate(keys)
        }
        return cls(raster, support, keys)

    def pooled(self, tiles: RasterTiles) -> list[PolygonFeatures | None]:
        """What is known of each polygon's features; None while they are not encoded."""
        tiles.keep_pooled(self.keys)
        return [tiles.pool(self.support, index, key) for index, key in enumerate(self.keys)]

    def collect(self, pooled: Sequence[PolygonFeatures | None], say: Say) -> SupportFeatures:
        """What a head is fitted on.

        Args:
            pooled: Of each polygon; None is left out.
            say: Told of polygons that hold no usable pixel and are left out.
        """
        samples = [self.raster.samples[key] for key in self.keys]
        return collect_features(self.support, self.raster.source.path, pooled, samples, say, alone=False)


def _key(support: SupportSet, index: int) -> bytes:
    """A digest of all that a polygon's mask depends on."""
    digest = hashlib.sha256(support.polygons[index].wkb)
    for rival in sorted(support.polygons[other].wkb for other in support.rivals.get(index, ())):
        digest.update(rival)
    return digest.digest()
