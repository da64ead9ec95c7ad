"""Finds a Python, makes the backend's environment and talks to the worker; knows neither Qt nor QGIS."""
