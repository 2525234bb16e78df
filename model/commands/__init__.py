"""The commands of `python -m model`, one file each. No other part of the library parses options."""
