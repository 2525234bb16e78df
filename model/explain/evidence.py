"""Why: the training photographs nearest to a photograph, kept beside a checkpoint in one file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from model.cache import atomic_path
from model.features.signatures import differing_bits, same_below, signature

FILE = "evidence.safetensors"
MAX_WIDTH = 512
VERSION = 1
_ROWS = 8192  # a block's similarities and its int8 rows as float32 stay in a few MB


@dataclass(frozen=True)
class Neighbour:
    """A training photograph near to a photograph.

    Attributes:
        index: Its number among the training photographs.
        label: Its class's index.
        distance: Euclidean distance of the embeddings, each of length 1: 0 (same) to 2.
        name: Its path inside the data folder.
        sha256: The first 16 bytes of its content's hash, hexadecimal.
        thumbnail: JPEG, at most 96 px a side; None where they were left out.
    """

    index: int
    label: int
    distance: float
    name: str
    sha256: str
    thumbnail: bytes | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the thumbnail."""
        return {key: value for key, value in asdict(self).items() if key != "thumbnail"}


@dataclass(frozen=True)
class Card:
    """The evidence for one answer.

    Attributes:
        neighbours: The nearest training photographs, nearest first.
        disagree: Most of them have another label than the answer.
        seen: Index of the training photograph that this one is a copy of (resized, recompressed
            or mirrored); None where it is new.
    """

    neighbours: tuple[Neighbour, ...]
    disagree: bool
    seen: int | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without thumbnails."""
        return {
            "neighbours": [neighbour.to_json() for neighbour in self.neighbours],
            "disagree": self.disagree,
            "seen": self.seen,
        }


def _unit(embedding: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    return (embedding / np.maximum(lengths, 1e-12)).astype(np.float32)


@dataclass(frozen=True)
class Evidence:
    """Training photographs as quantised embeddings, with what a person needs to recognise them.

    An embedding is scaled to length 1 and kept as int8 with one scale a photograph: every
    coordinate is off by at most half a scale, which is its largest coordinate / 127.

    Attributes:
        vectors: int8 `[N, R]`.
        scales: float32 `[N]`; `vectors * scales` are the embeddings.
        labels: int32 `[N]`, class indices.
        digests: uint8 `[N, 16]`, the start of the SHA-256 of the files' contents.
        signatures: uint8 `[N, 32]`, see `copies.signature`.
        names: N paths inside the data folder.
        same_below: A photograph whose signature differs in at most this many bits is a copy.
        blob: uint8, the thumbnails' JPEGs one after the other; None without thumbnails.
        offsets: int64 `[N + 1]`, where each starts in `blob`; None without thumbnails.
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
        embedding: np.ndarray,
        labels: np.ndarray,
        digests: Sequence[str],
        names: Sequence[str],
        signatures: np.ndarray,
        thumbnails: Sequence[bytes] | None = None,
    ) -> "Evidence":
        """Quantise the training photographs' embeddings.

        Args:
            embedding: float `[N, R]`, whitened: only its directions are kept.
            labels: int `[N]`.
            digests: N SHA-256, hexadecimal.
            names: N paths inside the data folder.
            signatures: uint8 `[N, 32]` of `copies.summarise`.
            thumbnails: N JPEGs of `copies.summarise`; None to keep none.

        Returns:
            The evidence.

        Raises:
            ValueError: An embedding is not finite.
        """
        if not np.isfinite(embedding).all():
            raise ValueError("An embedding has values that are not finite numbers.")
        unit = _unit(embedding)
        largest = np.maximum(unit.max(axis=1), -unit.min(axis=1))
        scales = np.maximum(largest, 1e-12).astype(np.float32) / 127
        np.rint(np.divide(unit, scales[:, None], out=unit), out=unit)
        built = cls(
            unit.astype(np.int8),
            scales,
            labels.astype(np.int32),
            np.stack([np.frombuffer(bytes.fromhex(digest)[:16], np.uint8) for digest in digests]),
            signatures,
            [name.encode("utf-8", "backslashreplace").decode() for name in names],
            same_below(signatures),
        )
        return built if thumbnails is None else built.with_thumbnails(thumbnails)

    def with_thumbnails(self, thumbnails: Sequence[bytes]) -> "Evidence":
        """Return the same evidence with thumbnails.

        Args:
            thumbnails: N JPEGs of `copies.summarise`.

        Returns:
            The evidence.
        """
        blob = np.frombuffer(b"".join(thumbnails), np.uint8)
        offsets = np.cumsum([0, *map(len, thumbnails)], dtype=np.int64)
        return replace(self, blob=blob, offsets=offsets)

    def without_thumbnails(self) -> "Evidence":
        """Return the same evidence without a thumbnail; names and hashes stay."""
        return replace(self, blob=None, offsets=None)

    def save(self, path: Path) -> int:
        """Write one safetensors file, which `checkpoints.tensors` reads.

        Args:
            path: The file.

        Returns:
            Its size, in bytes.
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
            save_file(tensors, temporary)
        return path.stat().st_size

    def nearest(self, embedding: np.ndarray, k: int = 5) -> list[list[Neighbour]]:
        """Find the nearest training photographs.

        Args:
            embedding: float `[M, R]`.
            k: How many; more than there are means all.

        Returns:
            For each of M, its neighbours, nearest first.

        Raises:
            ValueError: `k` is below 1, or the embedding has another width.
        """
        count, width = self.vectors.shape
        if k < 1:
            raise ValueError(f"k is {k}; expected 1 or more.")
        if embedding.ndim != 2 or embedding.shape[1] != width:
            raise ValueError(f"Embedding has shape {embedding.shape}; expected [M, {width}].")
        queries, k = _unit(embedding), min(k, count)
        squares = np.full((len(queries), k), np.inf, np.float32)
        indices = np.zeros((len(queries), k), np.int64)
        for start in range(0, count, _ROWS):
            rows = self.vectors[start : start + _ROWS].astype(np.float32)
            rows *= self.scales[start : start + _ROWS, None]
            # |q - x|^2, where |x| is not quite 1 for the rounding
            found = 1 + (rows**2).sum(axis=1) - 2 * queries @ rows.T
            here = np.broadcast_to(np.arange(start, start + len(rows)), found.shape)
            squares = np.concatenate([squares, found], axis=1)
            indices = np.concatenate([indices, here], axis=1)
            order = np.argsort(squares, axis=1, kind="stable")[:, :k]
            squares = np.take_along_axis(squares, order, axis=1)
            indices = np.take_along_axis(indices, order, axis=1)
        distances = np.sqrt(np.maximum(squares, 0))
        return [
            [self._neighbour(int(i), float(d)) for i, d in zip(row, far, strict=True)]
            for row, far in zip(indices, distances, strict=True)
        ]

    def _neighbour(self, index: int, distance: float) -> Neighbour:
        jpeg = None
        if self.blob is not None and self.offsets is not None:
            jpeg = self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()
        return Neighbour(
            index,
            int(self.labels[index]),
            distance,
            self.names[index],
            self.digests[index].tobytes().hex(),
            jpeg,
        )

    def seen(self, image: Image.Image) -> int | None:
        """Tell whether a photograph is one of the training photographs.

        Args:
            image: The decoded photograph, RGB.

        Returns:
            The index of the training photograph that it is a copy of, resized, recompressed or
            mirrored, or None.
        """
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        bits = differing_bits(
            np.stack([signature(image), signature(mirrored)]), self.signatures
        ).min(axis=0)
        best = int(bits.argmin())
        return best if bits[best] <= self.same_below else None

    def cards(
        self,
        embedding: np.ndarray,
        photographs: Sequence[Image.Image],
        answers: Sequence[int],
        k: int = 5,
    ) -> list[Card]:
        """Gather the evidence for answers.

        Args:
            embedding: float `[M, R]`.
            photographs: M decoded photographs, RGB.
            answers: M class indices.
            k: As `nearest`.

        Returns:
            M cards.

        Raises:
            ValueError: As `nearest`.
        """
        result = []
        for found, image, answer in zip(
            self.nearest(embedding, k), photographs, answers, strict=True
        ):
            others = sum(neighbour.label != answer for neighbour in found)
            result.append(Card(tuple(found), 2 * others > len(found), self.seen(image)))
        return result
