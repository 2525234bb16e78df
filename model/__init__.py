"""Frostflower's library: labelled photographs in, an image classifier out."""

__version__ = "0.1.0"
