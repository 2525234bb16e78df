"""Why: the training photographs nearest to a photograph, kept beside a checkpoint in one file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.cache import atomic_path
from model.features.signatures import SIGNATURE_BYTES, differing_bits, same_below, signature

FILE = "evidence.safetensors"
MAX_WIDTH = 512
_VERSION = 1
ROWS = 8192
"""Training photographs in a block: its similarities and rows as float32 stay in a few MB."""


def disagree(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Tell which answers most of their neighbours contradict.

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
        signatures: uint8 `[N, 32]`, see `signatures.signature`.
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

    def __post_init__(self) -> None:
        """Check that all parts fit together; the file may have been edited or cut off.

        Raises:
            ValueError: They do not.
        """
        count, width = self.vectors.shape if self.vectors.ndim == 2 else (0, 0)
        if not count or not 1 <= width <= MAX_WIDTH:
            raise ValueError(
                f"Evidence has vectors of shape {self.vectors.shape}; expected [N, R] with N at "
                f"least 1 and R from 1 to {MAX_WIDTH}."
            )
        expected = {
            "vectors": (self.vectors, np.int8, (count, width)),
            "scales": (self.scales, np.float32, (count,)),
            "labels": (self.labels, np.int32, (count,)),
            "digests": (self.digests, np.uint8, (count, 16)),
            "signatures": (self.signatures, np.uint8, (count, SIGNATURE_BYTES)),
        }
        for name, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(
                    f"Evidence has {name} of type {array.dtype} and shape {array.shape}; "
                    f"expected {np.dtype(dtype)} {shape}."
                )
        if len(self.names) != count:
            raise ValueError(f"Evidence has {len(self.names)} names for {count} photographs.")
        if not (np.isfinite(self.scales) & (self.scales > 0)).all() or self.labels.min() < 0:
            raise ValueError("Evidence has scales or labels that are out of range.")
        if not 0 <= self.same_below <= 8 * SIGNATURE_BYTES:
            raise ValueError(f"Evidence calls {self.same_below} bits a copy; expected 0 to 256.")
        self._check_thumbnails(count)

    def _check_thumbnails(self, count: int) -> None:
        blob, offsets = self.blob, self.offsets
        if blob is None and offsets is None:
            return
        if blob is None or offsets is None or blob.dtype != np.uint8 or blob.ndim != 1:
            raise ValueError("Evidence has one part of its thumbnails only.")
        if offsets.dtype != np.int64 or offsets.shape != (count + 1,):
            raise ValueError(f"Evidence has {offsets.shape} offsets; expected int64 [{count + 1}].")
        if offsets[0] != 0 or offsets[-1] != len(blob) or (np.diff(offsets) <= 0).any():
            raise ValueError(f"Evidence has offsets that do not divide {len(blob)} bytes.")

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
            signatures: uint8 `[N, 32]` of `summaries.summarise`.
            thumbnails: N JPEGs of `summaries.summarise`; None to keep none.

        Returns:
            The evidence.

        Raises:
            ValueError: The parts do not fit together, or an embedding is not finite.
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
            thumbnails: N JPEGs of `summaries.summarise`.

        Returns:
            The evidence.

        Raises:
            ValueError: They are not N.
        """
        blob = np.frombuffer(b"".join(thumbnails), np.uint8)
        offsets = np.cumsum([0, *map(len, thumbnails)], dtype=np.int64)
        return replace(self, blob=blob, offsets=offsets)

    def without_thumbnails(self) -> "Evidence":
        """Return the same evidence without a thumbnail; names and hashes stay."""
        return replace(self, blob=None, offsets=None)

    def save(self, path: Path) -> int:
        """Write one safetensors file.

        Args:
            path: The file.

        Returns:
            Its size, in bytes.
        """
        tensors = {
            "version": np.array([_VERSION], np.int32),
            "same_below": np.array([self.same_below], np.int32),
            "names": np.frombuffer("\0".join(self.names).encode(), np.uint8),
            **{name: getattr(self, name) for name in _ARRAYS},
        }
        if self.blob is not None and self.offsets is not None:
            tensors |= {"blob": self.blob, "offsets": self.offsets}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)
        return path.stat().st_size

    @classmethod
    def load(cls, path: Path) -> "Evidence":
        """Read and check a file of `save`; no thumbnail is decoded.

        Args:
            path: The file.

        Returns:
            The evidence.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, was edited, or is of another version.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Train again without --no-evidence.")
        remedy = "Train again, or remove the file to do without evidence."
        try:
            tensors = load_file(path)
            version = tensors["version"].tolist()
            if version != [_VERSION]:
                raise ValueError(f"Version {version} is not {_VERSION}.")
            if tensors["same_below"].shape != (1,) or tensors["names"].ndim != 1:
                raise ValueError("Evidence has names or same_below of another shape.")
            return cls(
                **{name: tensors[name] for name in _ARRAYS},
                names=tensors["names"].tobytes().decode().split("\0"),
                same_below=int(tensors["same_below"][0]),
                blob=tensors.get("blob"),
                offsets=tensors.get("offsets"),
            )
        except KeyError as error:
            raise ValueError(f"{path} lacks the entry {error}. {remedy}") from error
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{path} cannot be used: {error} {remedy}") from error

    def nearest(self, embedding: np.ndarray, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest training photographs.

        Args:
            embedding: float `[M, R]`.
            k: How many; more than there are means all.

        Returns:
            Euclidean distances of the embeddings, each scaled to length 1, so 0 (the same) to 2:
            float32 `[M, k]`, nearest first; and the photographs' numbers, int64 `[M, k]`.

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
        for start in range(0, count, ROWS):
            rows = self.vectors[start : start + ROWS].astype(np.float32)
            rows *= self.scales[start : start + ROWS, None]
            # |q - x|^2, where |x| is not quite 1 for the rounding
            found = 1 + (rows**2).sum(axis=1) - 2 * queries @ rows.T
            here = np.broadcast_to(np.arange(start, start + len(rows)), found.shape)
            squares = np.concatenate([squares, found], axis=1)
            indices = np.concatenate([indices, here], axis=1)
            order = np.argsort(squares, axis=1, kind="stable")[:, :k]
            squares = np.take_along_axis(squares, order, axis=1)
            indices = np.take_along_axis(indices, order, axis=1)
        return np.sqrt(np.maximum(squares, 0)), indices

    def thumbnail(self, index: int) -> bytes | None:
        """Return a training photograph's JPEG, at most 96 px a side; None where they were left out.

        Args:
            index: The photograph's number.
        """
        if self.blob is None or self.offsets is None:
            return None
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def seen(self, image: Image.Image) -> str | None:
        """Tell whether a photograph is one of the training photographs.

        Args:
            image: The decoded photograph, RGB.

        Returns:
            The name of the training photograph that it is a copy of, resized, recompressed or
            mirrored, or None.
        """
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        bits = differing_bits(
            np.stack([signature(image), signature(mirrored)]), self.signatures
        ).min(axis=0)
        best = int(bits.argmin())
        return self.names[best] if bits[best] <= self.same_below else None


_ARRAYS = ("vectors", "scales", "labels", "digests", "signatures")
