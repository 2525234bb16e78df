"""Photographs on disk: the one decoder, and the sources that list photographs and their labels."""
