"""Use a checkpoint from the command line; see `python -m model --help`."""

import sys

from model.commands import main

if __name__ == "__main__":
    sys.exit(main.run())
