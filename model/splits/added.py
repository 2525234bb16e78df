"""Adds sources to a data set: merges their listings, and resolves conflicting labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.photographs.class_names import display_names
from model.photographs.dataset import Collection, Listing
from model.photographs.parents import Gathered, require_tree


def join(first: Listing, added: Sequence[Listing]) -> Listing:
    """Merge the listings of added sources into the first one.

    If an added source uses the name of one of the first source's classes instead of its id, its
    photographs join that class. If it uses the name of a parent, its photographs are left out. If
    the first source has no splits, those of the others are ignored. A source that gives a class no
    parent does not contradict one that does.

    Args:
        first: The listing of the data set.
        added: The listings to add, in order.

    Returns:
        All photographs; those of the first listing have source 0.

    Raises:
        ValueError: A class has two different parents, or a name is both a class and a parent.
    """
    if not added:
        return first
    class_ids = sorted({entry.class_id for entry in first.entries})
    shown = dict(zip(class_ids, display_names(class_ids, first.names), strict=True))
    by_name = {name.casefold(): class_id for class_id, name in shown.items()}
    has_splits = any(entry.split for entry in first.entries)
    entries, names = list(first.entries), {}
    parents = Gathered("Give the class the same parents in all sources.")
    for class_id, above in first.parents.items():
        parents.add(class_id, above, f"in {first.name}")

    def known_as(class_id: str) -> str:
        return class_id if class_id in shown else by_name.get(class_id.casefold(), class_id)

    groups = _names_of_parents([first, *added])
    notes = list(first.notes)
    for source, listing in enumerate(added, start=1):
        too_wide: Counter[str] = Counter()
        for entry in listing.entries:
            class_id, split = known_as(entry.class_id), entry.split if has_splits else ""
            if class_id not in shown and class_id.casefold() in groups:
                too_wide[class_id] += 1
                continue
            entries.append(entry._replace(class_id=class_id, split=split, source=source))
        for class_id, above in listing.parents.items():
            parents.add(known_as(class_id), above, f"in {listing.name}")
        names |= {key: name for key, name in listing.names.items() if key not in shown}
        if not has_splits and any(entry.split for entry in listing.entries):
            notes.append(f"The splits of {listing.name} are ignored: {first.name} has no splits.")
        notes += listing.notes
        notes += [
            f"{listing.name}: the photographs labelled '{name}' ({count:,}) are left out, because "
            f"'{name}' is a group of classes. Label them with one of its classes."
            for name, count in too_wide.items()
        ]
    require_tree({entry.class_id for entry in entries}, parents.found)
    return replace(
        first,
        entries=entries,
        parents=parents.found,
        names=names | first.names,
        skipped=[*first.skipped, *(bad for listing in added for bad in listing.skipped)],
        notes=notes,
        added=[listing.folder for listing in added],
    )


def _names_of_parents(listings: Sequence[Listing]) -> set[str]:
    """Return the names of all parents in lower case, both ids and display names."""
    names = {key: name for listing in listings for key, name in listing.names.items()}
    written = {name for listing in listings for above in listing.parents.values() for name in above}
    return {name.casefold() for name in (*written, *(names.get(one, one) for one in written))}


def settle(data: Collection) -> Collection:
    """Resolve photographs that several sources hold: the label of the latest source counts.

    If the labels agree, the earlier photograph stays. In either case the photograph keeps the
    earlier one's split, if that has one. Copies within one source are left alone.

    Args:
        data: The photographs of all sources.

    Returns:
        The photographs that stay, and notes, which name the first ten replaced labels.
    """
    if not data.sources.any():
        return data
    digests, labels, sources = data.photos.digests, data.photos.labels, data.sources
    places: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        places.setdefault(digest, []).append(index)
    stays, splits = np.ones(len(digests), bool), data.splits.copy()
    replaced: list[str] = []
    for indices in places.values():
        last = max(indices, key=lambda i: (sources[i], i))
        for i in indices:
            if sources[i] == sources[last]:
                continue
            if labels[i] == labels[last]:
                stays[last] = False
                continue
            stays[i] = False
            splits[last] = splits[last] or splits[i]
            replaced.append(
                f"{data.photos.paths[i]} was '{data.class_ids[labels[i]]}' and is now "
                f"'{data.class_ids[labels[last]]}', like the added {data.photos.paths[last]}."
            )
    notes = replaced[:10]
    if len(replaced) > 10:
        notes.append(f"{len(replaced) - 10:,} more photographs were relabelled by added sources.")
    if repeated := int((~stays).sum()) - len(replaced):
        what = "photograph was" if repeated == 1 else "photographs were"
        notes.append(f"{repeated:,} added {what} already in the data set.")
    settled = replace(data, splits=splits).take(np.flatnonzero(stays))
    return replace(settled, notes=[*data.notes, *notes])
