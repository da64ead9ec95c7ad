"""From a label map that is there already to polygons."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from .errors import ProtolabelError
from .progress import CancelToken, Say
from .rasters.coverage import can_simplify
from .rasters.label_map import classes_of
from .rasters.polygonize import polygonize
from .rasters.support import ClassInfo


def vectorize(
    labels: str | Path,
    output: str | Path,
    sieve: int = 0,
    simplify: float = 0.0,
    cancel: CancelToken | None = None,
    say: Say | None = None,
) -> int:
    """Write the areas of a label map as polygons, with the class names that it holds in its tags.

    Args:
        labels: The label map.
        output: A .gpkg, .geojson, .fgb or .shp.
        sieve: Patches of fewer pixels go to their largest neighbour; never to where there is no label.
        simplify: Tolerance in pixels; 0 keeps the pixel edges. Neighbours keep their common border.
        cancel: Lets another thread stop it.
        say: Told what the user should know.

    Returns:
        How many polygons were written.

    Raises:
        ProtolabelError: When something cannot serve; nothing is left half-written.
        Cancelled: When ``cancel`` was used.
    """
    if not math.isfinite(simplify) or simplify < 0 or sieve < 0:
        raise ProtolabelError("Sieve and simplify take numbers from 0; 0 switches them off.")
    if simplify > 0 and not can_simplify():
        text = (
            f"Shapely {shapely.__version__} with GEOS {shapely.geos_version_string} cannot simplify without gaps, so "
            "the polygons keep the pixel edges; install Shapely 2.1 or newer."
        )
        (say or (lambda text: None))(text)
        simplify = 0.0
    with rasterio.Env():  # else GDAL prints its own warnings
        return polygonize(labels, output, _classes(labels), sieve, simplify, cancel)


def _classes(labels: str | Path) -> tuple[ClassInfo, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(labels) as src:
                return classes_of(src)
    except RasterioError:
        return ()  # the next one to open it will say why
