"""Docks and dialogs, one a file."""
