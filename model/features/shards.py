"""Features on disk: shards are written once, and looked up by photograph and view."""

import hashlib
import io
import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.backbones.spec import EXTRACTOR_VERSION
from model.backbones.transforms import VIEWS_VERSION
from model.cache import Scratch, atomic_path, checksum, sweep
from model.photographs import images

_SHARD_SECONDS = 15.0  # the most work that a killed run loses
_SHARD_ROWS = 4096
_log = logging.getLogger(__name__)


class LostFeatures(Exception):
    """A shard that held some of the features is damaged."""


class FeatureCache:
    """Features on disk for one backbone: `.npy` shards of (key, features).

    A key identifies a photograph's content and a view. The folder's name identifies the backbone's
    weights, the transforms, and the versions of decoder and views. Each shard is written in one
    piece and never changed. Its name ends with its checksum, which is compared whenever the shard
    is read. Shards are read, not mapped: if a mapped file became shorter, the process would crash.
    """

    def __init__(self, cache_dir: Path, backbone: Backbone) -> None:
        """Open the cache and index its shards.

        Args:
            cache_dir: The cache folder.
            backbone: The backbone that computes the features.
        """
        versions = f"{images.DECODER_VERSION}.{VIEWS_VERSION}.{EXTRACTOR_VERSION}"
        self.folder = cache_dir / "features" / f"{backbone.spec.key}-{versions}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dtype = np.dtype([("key", "V16"), ("features", "<f2", (backbone.embed_dim,))])
        self._shards: list[Path] = []
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._pending: list[tuple[bytes, np.ndarray]] = []
        self._written = time.monotonic()
        sweep(self.folder)
        for path in sorted(self.folder.glob("[!.]*.npy")):
            self._index(path)

    def _index(self, path: Path) -> None:
        shard = self._read(path)
        if shard is None:
            return
        number = len(self._shards)
        self._shards.append(path)
        for row, key in enumerate(shard["key"].tolist()):
            self._rows[key] = (number, row)

    def _read(self, path: Path) -> np.ndarray | None:
        """Read a shard; if it is damaged, log that, remove it, and return None."""
        try:
            content = path.read_bytes()
            if not path.stem.endswith(checksum(content)):
                raise ValueError(f"{len(content):,} bytes are not those that were written")
            shard = np.load(io.BytesIO(content))
            if shard.dtype != self.dtype:
                raise ValueError(f"it holds {shard.dtype}")
        except (ValueError, EOFError, OSError) as error:
            _log.warning(
                "Cache file %s is damaged (%s); its features are computed again.", path, error
            )
            path.unlink(missing_ok=True)
            return None
        return shard

    @staticmethod
    def key(digest: str, view: str) -> bytes:
        """Return the key of a photograph, given its SHA-256 in hexadecimal, and a view."""
        return hashlib.sha256(f"{digest} {view}".encode()).digest()[:16]

    def __contains__(self, key: bytes) -> bool:
        """Tell whether the features with this key are on disk."""
        return key in self._rows

    def add(self, rows: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Add computed features; they are written once there are enough, or after 15 s."""
        self._pending += rows
        age = time.monotonic() - self._written
        if len(self._pending) >= _SHARD_ROWS or age >= _SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the added features as one shard.

        Raises:
            OSError: The shard cannot be written, for example because the disk is full; earlier
                shards stay.
        """
        if self._pending:
            shard = np.empty(len(self._pending), self.dtype)
            for row, (key, features) in enumerate(self._pending):
                shard[row] = (key, features)
            buffer = io.BytesIO()
            np.save(buffer, shard)
            content = buffer.getvalue()
            path = self.folder / f"{uuid.uuid4().hex}-{checksum(content)}.npy"
            try:
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
            except OSError as error:
                raise OSError(
                    f"{self.folder} cannot be written ({error.strerror}); {len(self._rows):,} "
                    "features are complete there. Free disk space and repeat the command, which "
                    "continues with the rest, or give another --cache-dir."
                ) from error
            self._index(path)
            self._pending = []
        self._written = time.monotonic()

    def gather(self, keys: Sequence[bytes]) -> np.ndarray:
        """Read features.

        Args:
            keys: N keys, all on disk.

        Returns:
            float16 `[N, D]`. A large array is mapped from a temporary file without a name, so
            that the system can reclaim its memory.

        Raises:
            LostFeatures: A shard with some of the features is damaged. The cache has forgotten its
                keys, so they can be computed again.
            OSError: The disk has no room for the temporary file.
        """
        places = np.array([self._rows[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        shape = (len(keys), self.dtype["features"].shape[0])
        result = Scratch(self.folder).array(shape, np.float16)
        for number in np.unique(places[:, 0]):
            shard = self._read(self._shards[number])
            if shard is None:
                self._rows = {key: at for key, at in self._rows.items() if at[0] != number}
                raise LostFeatures
            chosen = np.flatnonzero(places[:, 0] == number)
            result[chosen] = shard["features"][places[chosen, 1]]
        return result


def storable(backbone: Backbone, features: np.ndarray, photograph: object) -> np.ndarray:
    """Convert features to float16, the type in which they are stored.

    Args:
        backbone: The backbone that computed them.
        features: Array of any shape.
        photograph: The first photograph, for the error message.

    Returns:
        float16, of the same shape.

    Raises:
        ValueError: A feature is not a finite number in float16.
    """
    if not np.isfinite(features).all() or np.abs(features).max() > 65504:
        raise ValueError(
            f"Backbone {backbone.spec.name} gives features that are not finite numbers "
            f"(first photograph: {photograph})."
        )
    return features.astype(np.float16)
