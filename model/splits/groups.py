"""Which photographs belong together, so that no split tears them apart.

A random split puts the next frame of a burst, or a resized copy, into `valid`, and everything that
is measured there promises too much. So photographs form groups, and a group stays on one side.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.features.summaries import Summaries
from model.photographs.dataset import Collection, Listing
from model.photographs.exif import Shot
from model.photographs.tables import GROUP_BY
from model.splits import copies
from model.splits.comparisons import Comparisons
from model.splits.copies import Pair

BURST_SECONDS = 3.0
"""Seconds between two photographs of one camera and class that make them a burst."""

FRAME_LIMIT = 0.8
"""Similarity from which neighbours by name, such as frame_0012 and frame_0013, are one scene."""

# Where any two photographs of a class are alike, as plain drawings are, the limits rise with the
# square of what two of a class differ by: among many, some are far more alike than most.
_COPY_SHARE, _FRAME_SHARE = 1 - copies.LIMIT, 1 - FRAME_LIMIT
_ALIKE = 0.3  # likeness from which a person is told
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")  # the last number is the frame's: cam2_clip7_0012


@dataclass(frozen=True)
class Groups:
    """The groups of N photographs.

    Attributes:
        numbers: int64 `[N]`: photographs with one number are one group.
        by: What they were grouped by, as `--group-by` takes it.
        exact: Pairs with the same bytes.
        near: Pairs that show the same shot, the most similar first; found by `auto` only.
        notes: What a person should know, a sentence each.
    """

    numbers: np.ndarray
    by: str
    exact: list[Pair]
    near: list[Pair]
    notes: list[str]


def members(numbers: np.ndarray) -> list[np.ndarray]:
    """List groups of two photographs or more.

    Args:
        numbers: int64 `[N]`, as `Groups`.

    Returns:
        The indices of each group, int64 `[m]`.
    """
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    return [group for group in np.split(order, cuts) if len(group) > 1]


def group(
    data: Collection,
    by: str,
    *,
    summaries: Summaries | None = None,
    features: np.ndarray | None = None,
    cache_dir: Path,
    workers: int | None = None,
) -> Groups:
    """Group photographs.

    Photographs with the same bytes always belong together, and by `auto` or a column those that a
    table puts into one group. `auto` adds near copies, bursts and frames of one video.

    Args:
        data: N photographs.
        by: `auto`, `folder` (photographs of one folder), `none`, the name of a table's column
            (whose values the collection holds), or a regular expression that is searched in each
            path below the data folder: what its parentheses catch, or else what it matches, names
            the group.
        summaries: Of the N photographs; wanted by `auto`.
        features: `[N, V, D]`, by which near copies are looked for; without, `auto` looks
            for them by the light and shade of the thumbnails.
        cache_dir: The cache folder, where comparisons are kept.
        workers: Threads; by default one a core.

    Returns:
        The groups.

    Raises:
        ValueError: `by` is no regular expression, or matches no path.
    """
    exact = copies.exact_pairs(data.photos.digests)
    links = [_links([pair[:2] for pair in exact])]
    if by not in ("folder", "none"):
        links.append(_same(data.groups))
    near: list[Pair] = []
    notes: list[str] = []
    if by == "auto" and summaries is not None and len(data.photos) > 1:
        near, found, notes = _by_looks(data, summaries, features, exact, cache_dir, workers)
        links += found
    elif by == "folder":
        links.append(_same([str(path.parent) for path in data.photos.paths]))
    elif by not in GROUP_BY and not any(data.groups):
        names = names_by_expression(_below(data.photos.paths, data.sources, data.folders), by)
        links.append(_same(names))
        if left := names.count(""):
            notes.append(f"{left:,} of the paths do not match --group-by {by} and stand alone.")
    numbers = copies.groups_of(np.concatenate(links), len(data.photos))
    counts = np.bincount(numbers)
    if len(counts) < len(numbers):
        notes.insert(
            0,
            f"{len(numbers):,} photographs in {len(counts):,} groups, the largest of "
            f"{counts.max():,} (--group-by {by}).",
        )
    return Groups(numbers, by, exact, near, notes)


def _links(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _same(names: Sequence[str]) -> np.ndarray:
    """Link photographs that have one name; "" is no name: int64 `[L, 2]`."""
    last: dict[str, int] = {}
    links = []
    for index, name in enumerate(names):
        if name:
            if name in last:
                links.append((last[name], index))
            last[name] = index
    return _links(links)


def require_sound(listing: Listing, by: str) -> None:
    """Stop at a wrong `--group-by` before time is spent on reading photographs.

    Args:
        listing: The photographs.
        by: As `group`.

    Raises:
        ValueError: As `group`.
    """
    entries = listing.entries
    if by not in GROUP_BY and entries and not any(entry.group for entry in entries):
        paths, sources = [entry.path for entry in entries], [entry.source for entry in entries]
        names_by_expression(_below(paths, sources, [listing.folder, *listing.added]), by)


def _below(
    paths: Sequence[Path], sources: Sequence[int] | np.ndarray, folders: Sequence[Path]
) -> list[Path]:
    """Return paths below the folder of the source that each comes from."""
    return [
        path.relative_to(folders[source]) if path.is_relative_to(folders[source]) else path
        for path, source in zip(paths, sources, strict=True)
    ]


def names_by_expression(paths: Sequence[Path], by: str) -> list[str]:
    """Return what a regular expression finds in each path; "" where it finds nothing.

    Args:
        paths: N paths below the data folder, at least one.
        by: The regular expression.

    Returns:
        N names.

    Raises:
        ValueError: It is no regular expression, or finds nothing anywhere.
    """
    try:
        search = re.compile(by).search
    except re.error as error:
        raise ValueError(
            f"--group-by {by} is neither auto, folder, none, a column of the table, nor a regular "
            f"expression ({error})."
        ) from error
    names = []
    for path in paths:
        found = search(path.as_posix())
        caught = [part for part in found.groups() if part] if found else []
        names.append("/".join(caught) or found[0] if found else "")
    if not any(names):
        raise ValueError(
            f"--group-by {by} matches none of {len(names):,} paths, such as {paths[0]}, and is no "
            "column of a table. Expected auto, folder, none, a column, or a regular expression "
            "such as '(person_[0-9]+)'."
        )
    return names


def _by_looks(
    data: Collection,
    summaries: Summaries,
    features: np.ndarray | None,
    exact: Sequence[Pair],
    cache_dir: Path,
    workers: int | None,
) -> tuple[list[Pair], list[np.ndarray], list[str]]:
    """Find near copies, frames of one video, and bursts; of exact copies only the first is seen.

    Returns:
        Near copies, the most similar first; links int64 `[L, 2]`, of each kind; and sentences.
    """
    copied = {pair.second for pair in exact}
    unique = np.array([i for i in range(len(data.photos)) if i not in copied], np.int64)
    comparisons = Comparisons(
        [data.photos.digests[i] for i in unique],
        [summaries.thumbnails[i] for i in unique],
        cache_dir=cache_dir,
        workers=workers,
    )
    if features is None:
        vectors = copies.components(comparisons.light())
    else:
        vectors = copies.components(features, unique)
    near = copies.candidates(vectors)
    frames = _numbered([data.photos.paths[i] for i in unique])
    both = np.unique(np.concatenate([near, frames]), axis=0)
    alike = comparisons.similarities(both)
    likeness = comparisons.likeness(data.photos.labels[unique])
    difference = (1 - likeness) ** 2
    is_copy = alike >= 1 - _COPY_SHARE * difference
    is_frame = alike >= 1 - _FRAME_SHARE * difference
    is_frame &= _contained(both, frames, len(unique))
    pairs = [
        Pair(int(unique[a]), int(unique[b]), round(float(similarity), 6))
        for (a, b), similarity in zip(both[is_copy], alike[is_copy], strict=True)
    ]
    pairs.sort(key=lambda pair: (-pair.similarity, pair.first, pair.second))
    links = [_links([pair[:2] for pair in pairs]), unique[both[is_frame]]]
    notes = []
    if likeness > _ALIKE:
        notes.append(
            f"Any two pictures of a class are much alike here ({likeness:.2f}), so only those that "
            f"are at least {1 - _COPY_SHARE * difference:.1%} alike are taken for copies. If they "
            "are frames of one shoot, say so by --group-by."
        )
    return pairs, [*links, _bursts(summaries.shots, data.photos.labels)], notes


def _contained(pairs: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
    """Tell which pairs are among others: bool `[P]`."""
    return np.isin(pairs @ [count, 1], others @ [count, 1])


def _numbered(paths: Sequence[Path]) -> np.ndarray:
    """Pair files that follow one another by name, such as clip_007.jpg and clip_008.jpg.

    Returns:
        int64 `[L, 2]`, the photograph that comes first in front.
    """
    series: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    for index, path in enumerate(paths):
        if found := _NUMBERED.fullmatch(path.stem):
            before, digits, after = found.groups()
            key = (str(path.parent), before, after, path.suffix.lower())
            series.setdefault(key, []).append((float(digits), index))
    links = [
        (min(first, second), max(first, second))
        for members in series.values()
        for (_, first), (_, second) in itertools.pairwise(sorted(members))
    ]
    return np.unique(_links(links), axis=0)


def _bursts(shots: Sequence[Shot | None], labels: np.ndarray) -> np.ndarray:
    """Link photographs of one class that one camera took within seconds: int64 `[L, 2]`."""
    series: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for index, shot in enumerate(shots):
        if shot and shot.camera:
            series.setdefault((int(labels[index]), shot.camera), []).append((shot.seconds, index))
    links = [
        (first, second)
        for members in series.values()
        for (before, first), (after, second) in itertools.pairwise(sorted(members))
        if after - before <= BURST_SECONDS
    ]
    return _links(links)
