"""A synthetic orthophoto with truth and support polygons, so that a demonstration needs no download.

The scene is countryside with a village at half a metre per pixel. It is invented from a seed alone: the
landscape is laid out as geometry, painted on a grid twice as fine as the picture, lit by one sun and
photographed by a simple sensor model.
"""

from backend.sample.dataset import Sample, SamplePaths, generate_sample, write_sample
from backend.sample.features import SampleClass

__all__ = ["Sample", "SampleClass", "SamplePaths", "generate_sample", "write_sample"]
