"""Options that say where a command's photographs are and which of them belong together."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from model.photographs.tables import GROUP_BY, Columns

DATA = (
    "a folder of class folders, with or without train, valid and test above them; a table "
    "(CSV, TSV or Parquet: path,label[,split][,group][,parent]); a zip or tar of class folders; "
    "hf:USER/NAME[@REVISION][:SPLIT] on the Hugging Face Hub; or the name digits or flowers102"
)
"""The help text of DATA."""


def add_data_dir(parser: argparse._ActionsContainer) -> None:
    """Add `--data-dir`."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path("data"),
        metavar="ROOT",
        help="for flowers102: the folder that holds flowers-102/, or into which it is downloaded",
    )


_COLUMNS = {
    "path": "the file, absolute or relative to the table",
    "label": "the class",
    "split": "train, valid or test",
    "group": "what photographs have in common, such as a person",
    "parent": "the group of classes that the class belongs to, or several from the widest to the "
    "narrowest, separated by /; none means no column (default: parent, if it gives each class one "
    "place)",
}


def add_columns(parser: argparse._ActionsContainer, names: Iterable[str] = _COLUMNS) -> None:
    """Add the flags that name a table's columns."""
    for name in names:
        parser.add_argument(
            f"--{name}-column",
            default=None if name == "parent" else name,
            metavar="NAME",
            help=f"column of a table that holds {_COLUMNS[name]}",
        )


def add_nested(parser: argparse._ActionsContainer) -> None:
    """Add `--nested`."""
    parser.add_argument(
        "--nested",
        action="store_true",
        help="the lowest folders are the classes, and the folders above them are their parents, as "
        "in DATA/iris/yellow iris/",
    )


def add_group_by(parser: argparse._ActionsContainer) -> None:
    """Add `--group-by`."""
    parser.add_argument(
        "--group-by",
        default="auto",
        metavar="auto|folder|none|COLUMN|REGEX",
        help="which photographs belong together and stay in one split; auto: copies and near "
        "copies, bursts from one camera, frames of one video, and groups in a table; folder: the "
        "photographs of one folder; none: only files with identical bytes",
    )


def columns(options: argparse.Namespace) -> Columns:
    """Return the names of a table's columns, one of which `--group-by` may give."""
    found = Columns(
        options.path_column,
        options.label_column,
        options.split_column,
        options.group_column,
        parent=options.parent_column,
    )
    by = getattr(options, "group_by", "auto")
    return found if by in GROUP_BY else replace(found, group=by, group_may_lack=True)
