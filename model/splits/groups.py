"""Groups photographs that belong together, so that no split separates them.

A random split puts the next frame of a burst, or a resized copy, into `valid`, and the accuracy
measured there is then too high. So photographs form groups, and each group stays in one split.
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
"""Photographs by one camera in one class this many seconds apart or less are a burst."""

FRAME_LIMIT = 0.8
"""Similarity above which files with consecutive names (frame_0012, frame_0013) are one scene."""

# If any two photographs of a class are similar, as plain drawings are, the limits rise with the
# square of the usual difference within a class: of many pairs, some are far more similar than most.
_COPY_SHARE, _FRAME_SHARE = 1 - copies.LIMIT, 1 - FRAME_LIMIT
_ALIKE = 0.3  # likeness above which a note tells the user
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")  # the last number is the frame number: cam2_clip7_0012


@dataclass(frozen=True)
class Groups:
    """The groups of N photographs.

    Attributes:
        numbers: int64 `[N]`; photographs with the same number form a group.
        by: The value of `--group-by` that produced them.
        exact: Pairs with identical bytes.
        near: Pairs that show the same shot, the most similar first; only `auto` looks for them.
        notes: Sentences that the user should read.
    """

    numbers: np.ndarray
    by: str
    exact: list[Pair]
    near: list[Pair]
    notes: list[str]


def members(numbers: np.ndarray) -> list[np.ndarray]:
    """List the groups of two or more photographs.

    Args:
        numbers: int64 `[N]`, see `Groups`.

    Returns:
        The indices of the photographs in each group, int64 `[m]`.
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

    Photographs with identical bytes always belong together. With `auto` or a column, so do those
    that a table puts into one group. `auto` adds near copies, bursts and frames of one video.

    Args:
        data: N photographs.
        by: `auto`, `folder` (one group per folder), `none`, the name of a table's column (whose
            values are in the collection), or a regular expression that is searched in each path
            below the data folder. Its parentheses, or else the whole match, give the group name.
        summaries: Summaries of the N photographs; `auto` needs them.
        features: `[N, V, D]`, used to look for near copies; without features, `auto` uses the
            brightness of the thumbnails.
        cache_dir: The cache folder, where comparisons are kept.
        workers: Threads; by default one per core.

    Returns:
        The groups.

    Raises:
        ValueError: `by` is not a regular expression, or matches no path.
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
            notes.append(f"Paths that do not match --group-by {by} are not grouped ({left:,}).")
    numbers = copies.groups_of(np.concatenate(links), len(data.photos))
    counts = np.bincount(numbers)
    if len(counts) < len(numbers):
        notes.insert(
            0,
            f"{len(numbers):,} photographs in {len(counts):,} groups, the largest with "
            f"{counts.max():,} (--group-by {by}).",
        )
    return Groups(numbers, by, exact, near, notes)


def _links(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _same(names: Sequence[str]) -> np.ndarray:
    """Link photographs with the same name, ignoring empty names: int64 `[L, 2]`."""
    last: dict[str, int] = {}
    links = []
    for index, name in enumerate(names):
        if name:
            if name in last:
                links.append((last[name], index))
            last[name] = index
    return _links(links)


def require_sound(listing: Listing, by: str) -> None:
    """Refuse a wrong `--group-by` before time is spent on reading photographs.

    Args:
        listing: The photographs.
        by: See `group`.

    Raises:
        ValueError: See `group`.
    """
    entries = listing.entries
    if by not in GROUP_BY and entries and not any(entry.group for entry in entries):
        paths, sources = [entry.path for entry in entries], [entry.source for entry in entries]
        names_by_expression(_below(paths, sources, [listing.folder, *listing.added]), by)


def _below(
    paths: Sequence[Path], sources: Sequence[int] | np.ndarray, folders: Sequence[Path]
) -> list[Path]:
    """Return each path relative to the folder of the source that it comes from."""
    return [
        path.relative_to(folders[source]) if path.is_relative_to(folders[source]) else path
        for path, source in zip(paths, sources, strict=True)
    ]


def names_by_expression(paths: Sequence[Path], by: str) -> list[str]:
    """Return what a regular expression finds in each path; "" if it finds nothing.

    Args:
        paths: N paths below the data folder, at least one.
        by: The regular expression.

    Returns:
        N group names.

    Raises:
        ValueError: It is not a regular expression, or matches no path.
    """
    try:
        search = re.compile(by).search
    except re.error as error:
        raise ValueError(
            f"--group-by {by} is not auto, folder, none or a column of the table, nor a valid "
            f"regular expression ({error})."
        ) from error
    names = []
    for path in paths:
        found = search(path.as_posix())
        caught = [part for part in found.groups() if part] if found else []
        names.append("/".join(caught) or found[0] if found else "")
    if not any(names):
        raise ValueError(
            f"--group-by {by} matches none of {len(names):,} paths, such as {paths[0]}, and is not "
            "a column of a table. Expected auto, folder, none, a column, or a regular expression "
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
    """Find near copies, frames of one video, and bursts, ignoring all but one of exact copies.

    Returns:
        Near copies, the most similar first; an int64 `[L, 2]` array of links per kind; and notes.
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
            f"Any two pictures of one class are similar here ({likeness:.2f}), so only pairs with "
            f"a similarity of at least {1 - _COPY_SHARE * difference:.1%} count as copies. If they "
            "are frames of one recording, group them with --group-by."
        )
    return pairs, [*links, _bursts(summaries.shots, data.photos.labels)], notes


def _contained(pairs: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
    """Return which pairs also occur in `others`: bool `[P]`."""
    return np.isin(pairs @ [count, 1], others @ [count, 1])


def _numbered(paths: Sequence[Path]) -> np.ndarray:
    """Pair files with consecutive numbers in their names, such as clip_007.jpg and clip_008.jpg.

    Returns:
        int64 `[L, 2]`, the earlier photograph first.
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
