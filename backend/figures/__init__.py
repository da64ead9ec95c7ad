"""Figures for people; drawn with matplotlib, which nothing else needs."""
