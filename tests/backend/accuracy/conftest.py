"""Tiny label maps, polygons and points, generated."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

UTM = "EPSG:32633"
TEN_METRES = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0)
CLASSES = ((1, "forest", "#145c28"), (2, "water", "#2466d1"), (5, "field", "#f0cd3c"))

MakeMap = Callable[..., Path]
MakeVector = Callable[..., Path]


@pytest.fixture
def make_map(tmp_path: Path) -> MakeMap:
    """Writes class ids as a label map: ``make_map(ids, name=..., classes=..., crs=..., transform=...)``."""

    def make(
        ids: NDArray[Any],
        name: str = "map.tif",
        classes: Sequence[tuple[int, str, str]] = CLASSES,
        crs: str | None = UTM,
        transform: Affine = TEN_METRES,
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        bands = ids if ids.ndim == 3 else ids[None]
        profile = {"driver": "GTiff", "count": len(bands), "dtype": ids.dtype, "nodata": 255, **options}
        height, width = ids.shape[-2:]
        with rasterio.open(
            path, "w", width=width, height=height, crs=crs, transform=transform, **profile
        ) as dst:
            dst.write(bands)
            if classes:
                entries = [{"id": id, "name": name, "color": color} for id, name, color in classes]
                dst.update_tags(PROTOLABEL_CLASSES=json.dumps(entries))
        return path

    return make


@pytest.fixture
def make_vector(tmp_path: Path) -> MakeVector:
    """Writes geometries in pixels with fields: ``make_vector(geometries, {"class_id": [...]}, name=..., crs=...)``.

    Values of None become NULL.
    """

    def make(
        geometries: Sequence[shapely.Geometry],
        fields: dict[str, Sequence[Any]],
        name: str = "reference.gpkg",
        crs: str | None = UTM,
        transform: Affine = TEN_METRES,
    ) -> Path:
        path = tmp_path / name
        matrix = [transform.a, transform.b, transform.d, transform.e, transform.c, transform.f]
        placed = [shapely.affinity.affine_transform(geometry, matrix) for geometry in geometries]
        data, masks = [], []
        for values in fields.values():
            numeric = all(value is None or isinstance(value, (int, float)) for value in values)
            whole = numeric and all(value is None or isinstance(value, int) for value in values)
            filled = [0 if value is None and numeric else value for value in values]
            data.append(np.array(filled, np.int64 if whole else np.float64 if numeric else object))
            masks.append(np.array([value is None for value in values], np.bool_))
        kinds = {geometry.geom_type for geometry in geometries}
        pyogrio.raw.write(
            path, shapely.to_wkb(np.array(placed, object)), data, np.array(list(fields), object), masks,
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown", crs=crs,
        )  # fmt: skip
        return path

    return make


@pytest.fixture
def thirds() -> NDArray[np.uint8]:
    """60 x 40 pixels: forest, water, field from left to right, no label in the first row."""
    ids = np.repeat(np.array([1, 2, 5], np.uint8), 20)[None].repeat(40, axis=0)
    ids[0] = 255
    return ids
