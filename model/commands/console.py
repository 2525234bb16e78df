"""Helpers that command lines share: one-line errors, Ctrl-C, tables and bars."""

import argparse
import errno
import io
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model.backbones.device import DEVICES
from model.cache import default_cache_dir
from model.checkpoints.hub import Located, locate
from model.commands import stopping
from model.photographs import images
from model.photographs.class_names import escaped


def run(program: str, main: Callable[[], int], interrupted: str = "stopped.") -> int:
    """Run a command, turning an error into one line on stderr and exit status 2.

    Args:
        program: The program name before the message.
        main: The command.
        interrupted: The message after Ctrl-C.

    Returns:
        Its exit status; 2 after an error, 130 after Ctrl-C.
    """
    if threading.current_thread() is threading.main_thread():
        stopping.by_exception()
    try:
        return _run(program, main, interrupted)
    finally:
        if threading.current_thread() is threading.main_thread():
            stopping.at_once(program)  # nothing would catch an exception from here on


def _run(program: str, main: Callable[[], int], interrupted: str) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or pipe may lack a character
            stream.reconfigure(errors="replace")
            if sys.platform == "win32" and not stream.isatty():
                stream.reconfigure(encoding="utf-8")  # else --json is in the code page of the place
    try:
        return main()
    except KeyboardInterrupt:
        return _stopped(program, interrupted)
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        sys.stderr.close()
        return 141
    except (ValueError, OSError) as error:  # FileNotFoundError and ConnectionError are OSErrors
        said = explain(error) if isinstance(error, OSError) else str(error)
        if stopping.was_asked():
            return _stopped(program, interrupted)
        message = escaped(" ".join(said.split()))
        print(f"{program}: error: {message}", file=sys.stderr)
        return 2
    except Exception:
        if stopping.was_asked():
            return _stopped(program, interrupted)
        raise


def _stopped(program: str, interrupted: str) -> int:
    print(f"\n{program}: {interrupted}", file=sys.stderr)
    return stopping.STATUS


_REMEDIES = {
    errno.ENOSPC: "Free some space, or choose another place.",
    errno.EDQUOT: "Free some space, or choose another place.",
    errno.EACCES: "Change its permissions, or choose another place.",
    errno.EPERM: "Change its permissions, or choose another place.",
    errno.EROFS: "Choose a place that can be written to.",
    errno.ENOENT: "Check the name.",
    errno.ENOTDIR: "Check the name.",
    errno.EISDIR: "Name a file, not a folder.",
    errno.EMFILE: "Allow the process more open files (ulimit -n), or use fewer --workers.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def explain(error: OSError) -> str:
    """Say which file the operating system refuses and why, and what to do.

    Args:
        error: A system error, or an error with its own message.

    Returns:
        A sentence or two.
    """
    if error.errno is None or not error.strerror:
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno, "")
    return f"{place}{error.strerror}. {remedy}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table with the first column aligned left and the others right.

    Args:
        header: Column titles.
        rows: Cells, shown with `str`.

    Returns:
        Lines of text.
    """
    cells = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def bar(share: float, width: int = 24) -> str:
    """Draw a share of 0-1 as a bar of block characters, accurate to an eighth of a character."""
    eighths = round(share * width * 8)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]).strip().ljust(width)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows the default value unless the help text already mentions it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        empty = action.default is False or action.default in (None, "", [], argparse.SUPPRESS)
        silent = empty or "(default" in (action.help or "")
        return action.help if silent else f"{action.help} (default: %(default)s)"


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], **texts: str
) -> argparse.ArgumentParser:
    """Add a command to a program with several commands.

    Args:
        commands: The result of `add_subparsers`.
        name: The name of the command.
        run: Takes the options and returns the exit status.
        texts: `help` and `description`.

    Returns:
        The parser of the command.
    """
    command = commands.add_parser(name, formatter_class=HelpFormatter, **texts)
    command.set_defaults(run=run)
    return command


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add `--device` to a parser."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto: CUDA or CPU")


def add_cache_dir(parser: argparse._ActionsContainer) -> None:
    """Add `--cache-dir` to a parser or a group of options."""
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        metavar="DIR",
        help="folder for features, thumbnails and exported backbones; may be deleted at any time",
    )


def _pixels(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})(m?)", text.lower())
    if not found or not (pixels := int(found[1]) * (10**6 if found[2] else 1)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of pixels, such as 60m")
    return pixels


def add_max_pixels(parser: argparse._ActionsContainer) -> None:
    """Add `--max-pixels` to a parser or a group of options."""
    parser.add_argument(
        "--max-pixels",
        type=_pixels,
        default=images.MAX_PIXELS,
        metavar="N",
        help="largest photograph in pixels, width times height, such as 60m (default: 40m)",
    )


def add_checkpoint(parser: argparse._ActionsContainer, help: str, **options: Any) -> None:
    """Add `--checkpoint` to a parser; its value, a folder or a name on the Hub, stays a text."""
    parser.add_argument("--checkpoint", metavar="DIR|USER/NAME[@REVISION]", help=help, **options)


def add_page_texts(parser: argparse._ActionsContainer) -> None:
    """Add `--title` and `--link` to a parser or a group; both default to None."""
    parser.add_argument(
        "--title",
        metavar="TEXT",
        help="title that visitors see above the page, such as 'Which of 102 flowers is it?'",
    )
    parser.add_argument(
        "--link",
        metavar="URL",
        help="where visitors can read about a class; {label} and {class_id} stand for its name and "
        "folder, such as 'https://en.wikipedia.org/w/index.php?search={label}'",
    )


def find_checkpoint(name: str) -> Located:
    """Find the checkpoint that `--checkpoint` names, and print the note about it to stderr."""
    found = locate(name)
    if found.note:
        print(f"Note: {found.note}", file=sys.stderr)
    return found
