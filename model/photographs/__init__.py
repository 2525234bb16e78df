"""Photographs as they lie on disk: the one decoder, folders and named data sets as lists."""
