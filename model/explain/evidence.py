"""Evidence for an answer: the most similar training photographs, kept in one checkpoint file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from model.cache import atomic_path
from model.features.signatures import differing_bits, same_below

FILE = "evidence.safetensors"
MAX_WIDTH = 512
VERSION = 1
ROWS, QUERIES = 8192, 256
"""Training photographs in a block, and photographs that are compared with a block at a time. The
intermediate arrays take about 50 MB."""


def disagree(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Tell which answers are contradicted by most of the nearest training photographs.

    Args:
        labels: int `[M, k]`, the labels of each photograph's neighbours.
        answers: int `[M]`, class indices.

    Returns:
        bool `[M]`.
    """
    return 2 * (labels != answers[:, None]).sum(axis=1) > labels.shape[1]


def _unit(embedding: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    return (embedding / np.maximum(lengths, 1e-12)).astype(np.float32)


def _quantise(embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 vectors `[N, R]` and their scales, float32 `[N]`."""
    if not np.isfinite(embedding).all():
        raise ValueError("An embedding has values that are not finite numbers.")
    unit = _unit(embedding)
    largest = np.maximum(unit.max(axis=1), -unit.min(axis=1))
    scales = np.maximum(largest, 1e-12).astype(np.float32) / 127
    return np.rint(np.divide(unit, scales[:, None], out=unit), out=unit).astype(np.int8), scales


@dataclass(frozen=True)
class Evidence:
    """Training photographs as quantised embeddings, with names and thumbnails for people.

    An embedding is scaled to length 1 and kept as int8 with one scale per photograph: its largest
    coordinate / 127. Every coordinate is off by at most half a scale.

    Attributes:
        vectors: int8 `[N, R]`.
        scales: float32 `[N]`; `vectors * scales` are the embeddings.
        labels: int32 `[N]`, class indices.
        digests: uint8 `[N, 16]`, the start of the SHA-256 of the files' contents.
        signatures: uint8 `[N, 32]`, see `signatures.signature`.
        names: N paths inside the data folder.
        same_below: A photograph whose signature differs in at most this many bits is a copy.
        blob: uint8, the thumbnails' JPEGs one after the other; None without thumbnails.
        offsets: int64 `[N + 1]`, where each thumbnail starts in `blob`; None without thumbnails.
    """

    vectors: np.ndarray
    scales: np.ndarray
    labels: np.ndarray
    digests: np.ndarray
    signatures: np.ndarray
    names: list[str]
    same_below: int
    blob: np.ndarray | None = None
    offsets: np.ndarray | None = None

    @classmethod
    def build(
        cls,
        embedding: np.ndarray | Iterable[np.ndarray],
        labels: np.ndarray,
        digests: Sequence[str],
        names: Sequence[str],
        signatures: np.ndarray,
        thumbnails: Sequence[bytes] | None = None,
    ) -> "Evidence":
        """Quantise the training photographs' embeddings.

        Args:
            embedding: Whitened embeddings, float `[N, R]`, or an iterable of their blocks. Only the
                directions are kept.
            labels: int `[N]`.
            digests: SHA-256 of the N files, hexadecimal.
            names: N paths inside the data folder.
            signatures: uint8 `[N, 32]`, from `summaries.summarise`.
            thumbnails: N JPEGs from `summaries.summarise`; None to keep none.

        Returns:
            The evidence.

        Raises:
            ValueError: An embedding is not finite.
        """
        blocks = [embedding] if isinstance(embedding, np.ndarray) else embedding
        vectors, scales = zip(*map(_quantise, blocks), strict=True)
        built = cls(
            np.concatenate(vectors),
            np.concatenate(scales),
            labels.astype(np.int32),
            np.frombuffer(
                b"".join(bytes.fromhex(digest)[:16] for digest in digests), np.uint8
            ).reshape(-1, 16),
            signatures,
            [name.encode("utf-8", "backslashreplace").decode() for name in names],
            same_below(signatures),
        )
        return built if thumbnails is None else built.with_thumbnails(thumbnails)

    def with_thumbnails(self, thumbnails: Sequence[bytes]) -> "Evidence":
        """Return the same evidence with thumbnails.

        Args:
            thumbnails: N JPEGs from `summaries.summarise`.

        Returns:
            The evidence.
        """
        blob = np.frombuffer(b"".join(thumbnails), np.uint8)
        offsets = np.cumsum([0, *map(len, thumbnails)], dtype=np.int64)
        return replace(self, blob=blob, offsets=offsets)

    def without_thumbnails(self) -> "Evidence":
        """Return the same evidence without thumbnails; names and hashes stay."""
        return replace(self, blob=None, offsets=None)

    def save(self, path: Path) -> int:
        """Write the evidence to a safetensors file, which `checkpoints.tensors` can read.

        Args:
            path: The file.

        Returns:
            Its size, in bytes.

        Raises:
            OSError: The file cannot be written.
        """
        tensors = {
            "version": np.array([VERSION], np.int32),
            "same_below": np.array([self.same_below], np.int32),
            "names": np.frombuffer("\0".join(self.names).encode(), np.uint8),
            "vectors": self.vectors,
            "scales": self.scales,
            "labels": self.labels,
            "digests": self.digests,
            "signatures": self.signatures,
        }
        if self.blob is not None and self.offsets is not None:
            tensors |= {"blob": self.blob, "offsets": self.offsets}
        with atomic_path(path) as temporary:
            try:
                save_file(tensors, temporary)
            except SafetensorError as error:  # such as a full disk
                raise OSError(f"{path} cannot be written ({error}).") from error
        return path.stat().st_size

    def nearest(self, embedding: np.ndarray, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest training photographs.

        Args:
            embedding: float `[M, R]`.
            k: Number of photographs to find; all of them if there are fewer.

        Returns:
            Euclidean distances between embeddings of length 1, from 0 (the same) to 2, float32
            `[M, k]`, nearest first; and the indices of the photographs, int64 `[M, k]`.

        Raises:
            ValueError: `k` is below 1, or the embedding has another width.
        """
        count, width = self.vectors.shape
        if k < 1:
            raise ValueError(f"k is {k}; expected 1 or more.")
        if embedding.ndim != 2 or embedding.shape[1] != width:
            raise ValueError(f"Embedding has shape {embedding.shape}; expected [M, {width}].")
        k = min(k, count)
        distances = np.empty((len(embedding), k), np.float32)
        indices = np.empty((len(embedding), k), np.int64)
        for start in range(0, len(embedding), QUERIES):
            rows = slice(start, start + QUERIES)
            distances[rows], indices[rows] = self._nearest(_unit(embedding[rows]), k)
        return distances, indices

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Do what `nearest` does, for a block of embeddings of length 1."""
        squares = np.full((len(queries), k), np.inf, np.float32)
        indices = np.zeros((len(queries), k), np.int64)
        for start in range(0, len(self.vectors), ROWS):
            rows = self.vectors[start : start + ROWS].astype(np.float32)
            rows *= self.scales[start : start + ROWS, None]
            # |q - x|^2, where |x| is not exactly 1 because of the rounding
            found = 1 + (rows**2).sum(axis=1) - 2 * queries @ rows.T
            here = np.broadcast_to(np.arange(start, start + len(rows)), found.shape)
            squares = np.concatenate([squares, found], axis=1)
            indices = np.concatenate([indices, here], axis=1)
            order = np.argsort(squares, axis=1, kind="stable")[:, :k]
            squares = np.take_along_axis(squares, order, axis=1)
            indices = np.take_along_axis(indices, order, axis=1)
        return np.sqrt(np.maximum(squares, 0)), indices

    def thumbnail(self, index: int) -> bytes | None:
        """Return a training photograph's thumbnail.

        Args:
            index: The photograph's index, from 0.

        Returns:
            A JPEG of at most 96 px a side; None if thumbnails were left out.
        """
        if self.blob is None or self.offsets is None:
            return None
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def seen(self, signatures: np.ndarray) -> str | None:
        """Find the training photograph that a photograph is a copy of.

        Args:
            signatures: The photograph's signatures, from `signatures.both_ways`.

        Returns:
            The name of the training photograph, which may have been resized, recompressed or
            mirrored; None if the photograph is not a copy.
        """
        bits = differing_bits(signatures, self.signatures).min(axis=0)
        best = int(bits.argmin())
        return self.names[best] if bits[best] <= self.same_below else None
