"""The pass over the files: each is read once, hashed, checked, and run through a backbone.

Whatever is computed belongs to the bytes that were hashed, even when somebody replaces the file at
that moment: the state of a file is noted before it is read, and what was read is what is decoded.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.cache import default_workers, progress_bar
from model.features.evaluation_views import EvaluationViews, Framed
from model.features.signatures import summary
from model.features.store import PhotographStore, Stamp
from model.photographs import images
from model.photographs.class_names import display_names
from model.photographs.dataset import Collection, Listing, Photos, Skipped

_CHUNK = 1024  # files that are asked for, or in the queue, at a time


def read_photos(
    listing: Listing,
    *,
    cache_dir: Path,
    workers: int | None = None,
    backbone: Backbone | None = None,
    summaries: bool = False,
    strict: bool = False,
) -> Collection:
    """Read the photographs of a listing; those that are as they were in an earlier run are not.

    Where a photograph must be decoded to be checked, its summary and the features that evaluation
    needs are made of the same pixels, so that it need not be decoded again.

    Args:
        listing: The photographs.
        cache_dir: The cache folder.
        workers: Threads; by default one a core.
        backbone: Whose features are computed on the way; None for none.
        summaries: Make signatures and thumbnails on the way.
        strict: Stop at bad files instead of leaving them out; nothing is computed on the way, as
            the last file may stop the run.

    Returns:
        The photographs that can be read, and the files that were left out.

    Raises:
        ValueError: Bad files under `strict`, or the backbone gives what is no finite number.
    """
    skipped = list(listing.skipped)
    paths = [entry.path for entry in listing.entries]
    with FilePass(
        cache_dir,
        workers=workers,
        backbone=None if strict else backbone,
        summaries=summaries and not strict,
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
    lost = {entry.class_id for entry in listing.entries} - set(class_ids)
    return Collection(
        name=listing.name,
        folder=listing.folder,
        added=listing.added,
        parents=listing.parents,
        photos=photos,
        splits=np.array([entry.split for entry, _ in kept], dtype="<U5"),
        groups=[entry.group for entry, _ in kept],
        sources=np.array([entry.source for entry, _ in kept], dtype=np.int64),
        class_ids=class_ids,
        class_names=display_names(class_ids, listing.names),
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
    ) -> None:
        """Open the caches.

        Args:
            cache_dir: The cache folder.
            workers: Threads; by default one a core.
            backbone: As `read_photos`.
            summaries: As `read_photos`.
        """
        self._workers = workers or default_workers()
        self._contexts = contextlib.ExitStack()
        self._store = self._contexts.enter_context(PhotographStore(cache_dir, images.version()))
        self._summaries = summaries
        self._views: EvaluationViews | None = None
        self._batch = 1  # photographs whose features are computed together
        if backbone is not None and EvaluationViews.suit(backbone):
            self._views = self._contexts.enter_context(EvaluationViews(cache_dir, backbone))
            self._batch = -(-backbone.batch_size // len(EVALUATION_VIEWS))
        # Framed photographs wait for a batch of theirs, and are large.
        self._chunk = _CHUNK if self._batch == 1 else 4 * self._batch

    def __enter__(self) -> Self:
        """Open a context that saves what was computed, also when the run is interrupted."""
        return self

    def __exit__(self, *_: object) -> None:
        """Save what was computed, and close the caches."""
        self._contexts.close()

    def read(self, paths: Sequence[Path], skipped: list[Skipped]) -> list[str | None]:
        """Read files.

        Args:
            paths: N files.
            skipped: Gets the bad ones.

        Returns:
            N SHA-256 in hexadecimal; None for a bad file.
        """
        digests: list[str | None] = []
        whole = self._summaries or self._views is not None
        pool = ThreadPoolExecutor(self._workers)
        try:
            with progress_bar(len(paths), "Reading files" if whole else "Checking files") as bar:
                for start in range(0, len(paths), self._chunk):
                    chunk = paths[start : start + self._chunk]
                    known = self._store.unchanged(chunk)
                    bar.update(len(known))
                    answers = pool.map(self._read_one, [p for p in chunk if p not in known])
                    framed: list[Framed] = []
                    for path in chunk:
                        if path in known:
                            digests.append(known[path])
                            continue
                        answer = next(answers)
                        bar.update()
                        if isinstance(answer, Skipped):
                            skipped.append(answer)
                            digests.append(None)
                            continue
                        digest, views = answer
                        digests.append(digest)
                        if views is not None:
                            framed.append((digest, views))
                        if len(framed) == self._batch:
                            self._compute(framed)
                    self._compute(framed)
                    self._store.save()
        finally:
            pool.shutdown(cancel_futures=True)
        return digests

    def _read_one(self, path: Path) -> tuple[str, np.ndarray | None] | Skipped:
        """Read a file in a thread.

        Returns:
            The hash of its content, and the views whose features are still to be computed, in the
            calling thread and with others'; or why it is left out.
        """
        views = None
        try:
            stamp = _stamp(path)
            with images.opened(path) as content:
                digest = hashlib.sha256(content).hexdigest()
                if not self._store.is_sound(digest):
                    if self._summaries or self._views:
                        views = self._use(digest, images.decode(content, exif=True))
                    else:
                        images.check(content)
                    self._store.add_sound(digest)
        except images.BadImageError as error:
            return Skipped(path, str(error))
        self._store.add_file(stamp, digest)
        return digest, views

    def _use(self, digest: str, image: Image.Image) -> np.ndarray | None:
        """Make what is wanted of a decoded photograph; return the views that wait for a batch."""
        if self._summaries:
            self._store.add_summary(digest, summary(image))
        views = self._views.frame(digest, image) if self._views else None
        if views is not None and self._batch == 1:
            self._compute([(digest, views)])
            return None
        return views

    def _compute(self, framed: list[Framed]) -> None:
        """Compute the features of framed photographs, and empty the list."""
        if framed and self._views:
            self._views.add(framed)
            framed.clear()


def _stamp(path: Path) -> Stamp:
    """Return the state of a file, before it is read."""
    try:
        return PhotographStore.stamp(path)
    except OSError as error:
        raise images.BadImageError((error.strerror or str(error)).lower()) from error


def decode_again(
    path: Path, digest: str, *, least_side: int | None = images.LEAST_SIDE, exif: bool = False
) -> Image.Image:
    """Decode a photograph that was checked before, and make sure that it is the same one.

    Args:
        path: The file.
        digest: SHA-256 of its content, hexadecimal, when it was checked.
        least_side: As `images.decode`.
        exif: As `images.decode`.

    Returns:
        The photograph.

    Raises:
        ValueError: It cannot be read any more, or somebody has replaced it.
    """
    try:
        with images.opened(path) as content:
            if hashlib.sha256(content).hexdigest() == digest:
                return images.decode(content, least_side=least_side, exif=exif)
    except images.BadImageError as error:
        raise ValueError(f"{path} {error}; it was sound when it was checked.") from error
    raise ValueError(
        f"{path} has changed since it was checked. Repeat the command; what was computed of "
        "the other photographs is kept."
    )
