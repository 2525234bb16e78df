"""Use a checkpoint from the command line.

python -m model predict flower.jpg photographs/
python -m model predict photographs/ --csv predictions.csv
python -m model predict flower.jpg --figure flower.png
python -m model evaluate photographs/ --checkpoint runs/roses
python -m model audit photographs/ --csv problems.csv
python -m model race photographs/
python -m model export --onnx flowers.onnx
python -m model verify --checkpoint runs/roses
python -m model push USER/NAME --checkpoint runs/roses
"""

import argparse

from model.commands import audit, console, evaluate, export, predict, push, race, verify


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: The arguments after `python -m model`; by default those of this process.

    Returns:
        The options; `run` is the command's function.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model", description=__doc__, formatter_class=console.HelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (predict, evaluate, audit, race, export, verify, push):
        module.add(commands)
    return parser.parse_args(arguments)


def run() -> int:
    """Run the command given on this process's command line.

    Returns:
        The exit status of the command.
    """
    parsed = parse()
    return console.run(f"python -m model {parsed.command}", lambda: parsed.run(parsed))
