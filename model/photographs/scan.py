"""Finds photographs in folders by their names, without opening any file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from model.photographs import images
from model.photographs.class_names import (
    find_names_file,
    normal_form,
    read_class_names,
    require_name,
)
from model.photographs.dataset import SPLITS, Entry, Listing, Skipped
from model.photographs.layout import (
    holds_checkpoints,
    is_junk,
    is_photograph,
    leads_up,
    note_on_lower_folders,
    notes_on,
    require_class_folders,
    split_of,
    walk,
    wrong_ending,
)
from model.photographs.parents import MAX_LEVELS, Gathered, above, require_tree


def _folders(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir()
        and not is_junk(entry.name)
        and not leads_up(entry, folder)
        and not holds_checkpoints(entry)
    )


def _left_out(folder: Path) -> list[Path]:
    """Return the folders that are not classes, except hidden ones, which need no mention."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir()
        and not entry.name.startswith(".")
        and (is_junk(entry.name) or holds_checkpoints(entry))
    )


def split_folders(folder: Path) -> dict[str, Path]:
    """Find folders of splits that hold class folders, such as `train`, `Testing` or `val_set`.

    Args:
        folder: The data folder.

    Returns:
        Split name -> its folder; empty for a plain folder of class folders.

    Raises:
        ValueError: Two folders claim the same split.
    """
    found: dict[str, Path] = {}
    for entry in _folders(folder):
        split = split_of(entry.name)
        if split is None or not _folders(entry):
            continue
        if split in found:
            raise ValueError(
                f"{folder} has '{found[split].name}' and '{entry.name}', both for the "
                f"{split} split. Keep one of them."
            )
        found[split] = entry
    return found


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Map class ids to their folders; two encodings of one Unicode name are one class.

    Raises:
        ValueError: A folder's name is not allowed as a class name.
    """
    classes: dict[str, list[Path]] = {}
    for entry in _folders(folder):
        try:
            entry.name.encode()
        except UnicodeEncodeError as error:
            shown = entry.name.encode(errors="backslashreplace").decode()
            raise ValueError(f"Folder name '{shown}' is not valid UTF-8. Rename it.") from error
        require_name(entry.name, "Folder name")
        classes.setdefault(normal_form(entry.name), []).append(entry)
    return classes


def nested_class_folders(
    folder: Path, found: Gathered, over: tuple[str, ...] = ()
) -> dict[str, list[Path]]:
    """Map class ids to their folders, treating folders without photographs as parents.

    Args:
        folder: The folder to search.
        found: Receives the parents of each class.
        over: The parents that `folder` itself represents.

    Returns:
        Class id -> its folders, which are the lowest ones and hold the photographs.

    Raises:
        ValueError: A folder holds both photographs and folders of photographs, folders are nested
            too deeply, two folders of one name have different parents, or see `class_folders`.
    """
    classes: dict[str, list[Path]] = {}
    for name, folders in class_folders(folder).items():
        for entry in folders:
            inner = [path for path in _folders(entry) if any(map(is_photograph, walk(path)))]
            if not inner:
                parents = above(name, over, f"The folder {entry} below")
                found.add(name, parents, f"in {entry}")
                classes.setdefault(name, []).append(entry)
                continue
            if any(is_photograph(path) for path in entry.iterdir() if not is_junk(path.name)):
                raise ValueError(
                    f"{entry} holds photographs and also the folder {inner[0].name}, so it would "
                    f"be both a class and a parent. Move its photographs into a folder of "
                    f"their own, such as {entry / f'other {name}'}."
                )
            if len(over) + 1 >= MAX_LEVELS:
                raise ValueError(
                    f"{inner[0]} is more than {MAX_LEVELS} levels deep. With --nested, a class "
                    f"folder may have at most {MAX_LEVELS - 1} folders above it."
                )
            for class_id, below in nested_class_folders(entry, found, (*over, name)).items():
                classes.setdefault(class_id, []).extend(below)
    return classes


def list_class_folders(
    folder: Path, split: str, skipped: list[Skipped], nested: Gathered | None = None
) -> Iterator[Entry]:
    """List the photographs in a folder of class folders by their endings.

    Args:
        folder: The folder of class folders.
        split: The split that they belong to, or "".
        skipped: Receives the files with another ending or outside a class folder.
        nested: Receives the parents of classes if the folders above a class are its parents;
            None if the upper folders are the classes.

    Yields:
        The photographs, sorted by class.
    """
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and entry.suffix.lower() in images.SUFFIXES:
            skipped.append(Skipped(entry, "is not in a class folder"))
    found = class_folders(folder) if nested is None else nested_class_folders(folder, nested)
    for class_id, folders in sorted(found.items()):
        for path in (path for entry in folders for path in walk(entry, skipped)):
            if path.suffix.lower() in images.SUFFIXES:
                yield Entry(path, class_id, split)
            else:
                skipped.append(Skipped(path, wrong_ending(path)))


def list_folder(
    folder: Path, *, class_names: Path | None = None, splits: bool = True, nested: bool = False
) -> Listing:
    """List a folder of class folders, with or without `train`, `valid` and `test` above them.

    Args:
        folder: The data folder.
        class_names: JSON file of display names; by default the nearest `cat_to_name.json`.
        splits: Look for folders of splits. If false, every folder is a class.
        nested: The lowest folders are the classes, and the folders above them are their parents.

    Returns:
        The photographs, those of `train` first.

    Raises:
        FileNotFoundError: The folder or the names file does not exist.
        ValueError: Two folders claim the same split, a folder's name is not allowed as a class
            name, or with `nested` see `nested_class_folders`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Expected a folder that contains one folder per class."
        )
    if splits:
        require_class_folders(folder, _folders(folder))
    roots = split_folders(folder) if splits else {}
    ordered = {split: roots[split] for split in SPLITS if split in roots} or {"": folder}
    skipped: list[Skipped] = []
    parents = Gathered("A class can be in one place only. Rename one of the folders.")
    entries = [
        entry
        for split, root in ordered.items()
        for entry in list_class_folders(root, split, skipped, parents if nested else None)
    ]
    require_tree({entry.class_id for entry in entries}, parents.with_any())
    found = None if class_names else find_names_file(folder, roots.values())
    names_file = class_names or found
    names = read_class_names(names_file) if names_file else {}
    notes = notes_on(folder, roots.values(), _left_out(folder), found)
    if not nested:
        notes += note_on_lower_folders(folder, _with_class_folders(ordered, entries))
    return Listing(str(folder), folder, entries, names, skipped, notes, parents=parents.with_any())


def _with_class_folders(
    roots: dict[str, Path], entries: Sequence[Entry]
) -> Iterator[tuple[Path, Path]]:
    """Yield each photograph with the folder of its class."""
    for entry in entries:
        root = roots[entry.split]
        yield root / entry.path.relative_to(root).parts[0], entry.path


def list_files(folder: Path) -> Listing:
    """List all photographs below a folder, without classes.

    Args:
        folder: The folder.

    Returns:
        The photographs; every class id is "".

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder.")
    paths = [path for path in walk(folder) if path.suffix.lower() in images.SUFFIXES]
    return Listing(str(folder), folder, [Entry(path, "") for path in paths])
