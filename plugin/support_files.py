"""Where the support polygons of a project lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QStandardPaths

from .run_control import free_name


def support_path(raster: QgsRasterLayer, project: QgsProject) -> Path:
    """A new file for support polygons: beside the project, else beside the raster, else in the user's documents.

    Args:
        raster: The raster that they are drawn on.
        project: The project.
    """
    name = f"{Path(project.fileName()).stem or Path(raster.source()).stem or 'protolabel'}_support.gpkg"
    *_, last = folders = list(_folders(raster, project))
    return free_name(next((folder for folder in folders if os.access(folder, os.W_OK)), last) / name)


def _folders(raster: QgsRasterLayer, project: QgsProject) -> Iterator[Path]:
    if project.homePath():
        yield Path(project.homePath())
    file = Path(raster.source())
    if file.is_file():
        yield file.parent
    documents = QStandardPaths.StandardLocation.DocumentsLocation
    yield Path(QStandardPaths.writableLocation(documents) or Path.home())
