"""Where the files of a project lie that nobody has named yet; none of them exists before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qgis.core import QgsFileUtils, QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QStandardPaths


def support_path(raster: QgsMapLayer, project: QgsProject) -> Path:
    """A new file for support polygons, named after the project, else after the raster they are drawn on."""
    return _path(raster, project, f"{Path(project.fileName()).stem or _stem(raster)}_support.gpkg")


def labels_path(raster: QgsMapLayer, project: QgsProject) -> Path:
    """A new file for a label map of a raster."""
    return _path(raster, project, f"{_stem(raster)}_labels.tif")


def points_path(label_map: QgsMapLayer, project: QgsProject) -> Path:
    """A new file for sample points of a label map, beside it where that may be written to."""
    file = _file(label_map)
    if file.is_file() and os.access(file.parent, os.W_OK):
        return _free_name(file.with_name(f"{file.stem}_points.gpkg"))
    return _path(label_map, project, f"{_stem(label_map)}_points.gpkg")


def export_path(raster: QgsMapLayer, project: QgsProject) -> Path:
    """A new file for a part of a layer that comes from a server."""
    return _path(raster, project, f"{_stem(raster)}.tif")


def _path(raster: QgsMapLayer, project: QgsProject, name: str) -> Path:
    """Beside the project, else beside the raster, else in the user's documents, wherever files may be written."""
    *_, last = folders = list(_folders(raster, project))
    return _free_name(next((folder for folder in folders if os.access(folder, os.W_OK)), last) / name)


def _folders(raster: QgsMapLayer, project: QgsProject) -> Iterator[Path]:
    if project.homePath():
        yield Path(project.homePath())
    file = _file(raster)
    if file.is_file():
        yield file.parent
    documents = QStandardPaths.StandardLocation.DocumentsLocation
    yield Path(QStandardPaths.writableLocation(documents) or Path.home())
    yield Path.home()


def _file(raster: QgsMapLayer) -> Path:
    return Path(raster.source().partition("|")[0])


def _stem(raster: QgsMapLayer) -> str:
    """The name of the raster's file; the source of a layer that has none is an address or the like."""
    file = _file(raster)
    return file.stem if file.is_file() else QgsFileUtils.stringToSafeFilename(raster.name()) or "protolabel"


def _free_name(path: Path) -> Path:
    """The path, or one with a number behind it, that no file has."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return candidate
