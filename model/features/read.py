"""One pass over the files: each file is read once, hashed, checked, and run through a backbone.

Results always belong to the bytes that were hashed, even if the file is replaced at the same
moment: the state of a file is noted before it is read, and the bytes that were read are decoded.
"""

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from model.backbones.backbone import Backbone
from model.cache import default_workers, progress_bar
from model.features.cluster import Cluster
from model.features.evaluation_views import EvaluationViews, Framed
from model.features.files import Reading, read_file
from model.features.store import PhotographStore
from model.features.tasks import files_together
from model.photographs import images
from model.photographs.class_names import display_names
from model.photographs.dataset import Collection, Listing, Photos, Skipped
from model.photographs.parents import display_parents

_CHUNK = 1024  # files that are looked up, or in the queue, at a time
_SAVE_SECONDS = 15.0  # the most work that a killed run on a cluster loses

Outcome = tuple[Path, Reading | str]
"""A file with its reading, or with the reason why it is left out, worded to follow the path."""


def read_photos(
    listing: Listing,
    *,
    cache_dir: Path,
    workers: int | None = None,
    backbone: Backbone | None = None,
    summaries: bool = False,
    strict: bool = False,
    cluster: Cluster | None = None,
) -> Collection:
    """Read the photographs of a listing, except those that are unchanged since an earlier run.

    If a photograph must be decoded to be checked, its summary and the features for evaluation are
    computed from the same pixels, so that it need not be decoded again.

    Args:
        listing: The photographs.
        cache_dir: The cache folder.
        workers: Threads; by default one per core.
        backbone: Computes features in the same pass; None to compute none.
        summaries: Make signatures and thumbnails in the same pass.
        strict: Refuse bad files instead of leaving them out. Nothing else is then computed in the
            pass, because even the last file may stop the run.
        cluster: Ray cluster whose workers read the files with this backbone; None for threads of
            this process.

    Returns:
        The photographs that can be read, and the files that were left out.

    Raises:
        OSError: The cache folder cannot be written.
        ValueError: There are bad files and `strict` is set, or a feature is not a finite number.
    """
    skipped = list(listing.skipped)
    paths = [entry.path for entry in listing.entries]
    with FilePass(
        cache_dir,
        workers=workers,
        backbone=None if strict else backbone,
        summaries=summaries and not strict,
        cluster=cluster,
    ) as files:
        digests = files.read(paths, skipped)
    if strict and skipped:
        listed = "; ".join(f"{bad.path} {bad.reason}" for bad in skipped[:5])
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise ValueError(
            f"{len(skipped)} files cannot be used and --strict is set: {listed}{more}."
        )
    kept = [
        (entry, digest)
        for entry, digest in zip(listing.entries, digests, strict=True)
        if digest is not None
    ]
    class_ids = sorted({entry.class_id for entry, _ in kept})
    index = {class_id: number for number, class_id in enumerate(class_ids)}
    photos = Photos(
        [entry.path for entry, _ in kept],
        np.array([index[entry.class_id] for entry, _ in kept], dtype=np.int64),
        [digest for _, digest in kept],
    )
    class_names = display_names(class_ids, listing.names)
    lost = {entry.class_id for entry in listing.entries} - set(class_ids)
    return Collection(
        name=listing.name,
        folder=listing.folder,
        added=listing.added,
        parents=display_parents(
            listing.parents, dict(zip(class_ids, class_names, strict=True)), listing.names
        ),
        photos=photos,
        splits=np.array([entry.split for entry, _ in kept], dtype="<U5"),
        groups=[entry.group for entry, _ in kept],
        sources=np.array([entry.source for entry, _ in kept], dtype=np.int64),
        class_ids=class_ids,
        class_names=class_names,
        skipped=skipped,
        notes=[
            *listing.notes,
            *(
                f"Class '{class_id}' has no usable photograph and is left out."
                for class_id in sorted(lost)
            ),
        ],
    )


class FilePass:
    """Owns the threads and the caches of one pass over the files."""

    def __init__(
        self,
        cache_dir: Path,
        *,
        workers: int | None = None,
        backbone: Backbone | None = None,
        summaries: bool = False,
        cluster: Cluster | None = None,
    ) -> None:
        """Open the caches.

        Args:
            cache_dir: The cache folder.
            workers: Threads; by default one per core.
            backbone: Computes features in the pass; None to compute none.
            summaries: Make signatures and thumbnails in the pass.
            cluster: Ray cluster whose workers read the files; None for threads of this process.
        """
        self._workers, self._cluster = workers or default_workers(), cluster
        self._contexts = contextlib.ExitStack()
        self._store = self._contexts.enter_context(PhotographStore(cache_dir, images.version()))
        self._summaries = summaries
        self._views: EvaluationViews | None = None
        self._batch = 1  # photographs whose features are computed together
        if backbone is not None and EvaluationViews.suit(backbone):
            self._views = self._contexts.enter_context(EvaluationViews(cache_dir, backbone))
            self._batch = files_together(backbone)
        # Rendered views are large, so only a few batches of them may wait at a time.
        self._chunk = _CHUNK if self._batch == 1 else 4 * self._batch

    def __enter__(self) -> Self:
        """Open a context that saves the results, even if the run is interrupted."""
        return self

    def __exit__(self, *_: object) -> None:
        """Save the results, and close the caches."""
        self._contexts.close()

    def read(self, paths: Sequence[Path], skipped: list[Skipped]) -> list[str | None]:
        """Read files.

        Args:
            paths: N files.
            skipped: List to which bad files are added.

        Returns:
            The SHA-256 of each file in hexadecimal; None for a bad file.

        Raises:
            ValueError: A machine of the cluster does not see a file.
        """
        found: dict[Path, str] = {}
        whole = self._summaries or self._views is not None
        with progress_bar(len(paths), "Reading files" if whole else "Checking files") as bar:

            def unknown() -> Iterator[list[Path]]:
                for start in range(0, len(paths), self._chunk):
                    chunk = paths[start : start + self._chunk]
                    known = self._store.unchanged(chunk)
                    found.update(known)
                    bar.update(len(known))
                    yield [path for path in chunk if path not in known]

            read = self._on_cluster if self._cluster else self._in_threads
            with contextlib.closing(read(unknown())) as outcomes:
                for path, outcome in outcomes:
                    bar.update()
                    if isinstance(outcome, str):
                        skipped.append(Skipped(path, outcome))
                    else:
                        found[path] = outcome.digest
        return [found.get(path) for path in paths]

    def _in_threads(self, chunks: Iterable[list[Path]]) -> Generator[Outcome]:
        """Read files in threads of this process."""
        pool = ThreadPoolExecutor(self._workers)
        try:
            for chunk in chunks:
                framed: list[Framed] = []
                for path, outcome in zip(chunk, pool.map(self._read_one, chunk), strict=True):
                    if isinstance(outcome, Reading) and outcome.views is not None:
                        framed.append((outcome.digest, outcome.views))
                    if len(framed) == self._batch:
                        self._compute(framed)
                    yield path, outcome
                self._compute(framed)
                self._store.save()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_one(self, path: Path) -> Reading | str:
        """Read a file in a thread.

        Returns:
            The reading, or the reason why the file is left out. If the backbone takes several
            photographs at a time, the reading holds views for the calling thread to compute.
        """
        try:
            reading = read_file(
                path,
                summaries=self._summaries,
                frame=self._views.frame if self._views else None,
                is_sound=self._store.is_sound,
            )
        except images.BadImageError as error:
            return str(error)
        if reading.views is not None and self._batch == 1:
            self._compute([(reading.digest, reading.views)])
            reading = reading._replace(views=None)
        self._remember(reading)
        return reading

    def _on_cluster(self, chunks: Iterable[list[Path]]) -> Generator[Outcome]:
        """Let the workers of a cluster read files, and store their results here."""
        assert self._cluster
        readings = self._cluster.read(chunks, summaries=self._summaries, views=bool(self._views))
        with contextlib.closing(readings):
            saved = time.monotonic()
            for path, outcome in readings:
                if isinstance(outcome, Reading):
                    if outcome.features is not None and self._views:
                        self._views.keep([outcome.digest], outcome.features)
                    self._remember(outcome)
                if time.monotonic() - saved > _SAVE_SECONDS:
                    self._store.save()
                    saved = time.monotonic()
                yield path, outcome

    def _remember(self, reading: Reading) -> None:
        """Store a reading, except for its features."""
        if reading.summary:
            self._store.add_summary(reading.digest, reading.summary)
        if reading.is_new:
            self._store.add_sound(reading.digest)
        self._store.add_file(reading.stamp, reading.digest)

    def _compute(self, framed: list[Framed]) -> None:
        """Compute the features of framed photographs, and empty the list."""
        if framed and self._views:
            self._views.add(framed)
            framed.clear()
