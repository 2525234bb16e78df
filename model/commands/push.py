"""`python -m model push`: upload a checkpoint to the Hugging Face Hub."""

import argparse
from typing import Any

from model.commands import console


def add(commands: Any) -> None:
    """Add the `push` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "push",
        run,
        help="upload a checkpoint to the Hugging Face Hub",
        description="Upload a checkpoint to the Hugging Face Hub as a model, without thumbnails, "
        "file names and hashes of training photographs. The token comes from `hf auth login` or "
        "the variable HF_TOKEN.",
    )
    command.add_argument("name", metavar="USER/NAME", help="the model's name on the Hub")
    console.add_checkpoint(command, "checkpoint folder", required=True)
    command.add_argument("--private", action="store_true", help="make a new model private")
    command.add_argument(
        "--license", default="", metavar="ID", help="licence for the card, such as apache-2.0"
    )


def run(options: argparse.Namespace) -> int:
    """Upload a checkpoint to the Hugging Face Hub.

    Returns:
        Exit status 0.
    """
    from model.sharing.publish import LEFT_OUT
    from model.sharing.upload import push as push_checkpoint

    folder = console.find_checkpoint(options.checkpoint).folder
    done = push_checkpoint(
        folder, options.name, private=options.private, license_id=options.license
    )
    print(f"{done.url} {'created' if done.created else 'updated'}, without {LEFT_OUT}.")
    print(f"\n  python -m model predict PHOTOGRAPH --checkpoint {options.name}@{done.commit}")
    return 0
