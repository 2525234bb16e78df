"""The commands of `python -m model`, one file each; only here are options parsed."""
