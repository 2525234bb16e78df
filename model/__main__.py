"""Use a checkpoint from the command line; see `python -m model --help`."""

import sys

from model.commands import stopping

if __name__ == "__main__":
    stopping.at_once("python -m model")  # until there is something to close
    from model.commands import main

    sys.exit(main.run())
