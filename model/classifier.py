"""The classifier: photographs in, predictions out. The page, the CLI and the API all use it."""

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone, serving_threads
from model.backbones.device import resolve_device
from model.backbones.maps import Maps
from model.cache import default_cache_dir
from model.checkpoints.checkpoint import SHIPPED, Checkpoint, load
from model.checkpoints.hub import locate
from model.explain.evidence import Evidence, disagree
from model.explain.heat_map import HeatMap, attribute
from model.features.inputs import PredictionInputs, frame, prediction_inputs
from model.features.signatures import both_ways
from model.trust import calibrate, restrict
from model.trust.levels import Answer
from model.trust.metrics import softmax
from model.trust.restrict import Allowed, ClassFinder

SIMILAR = 5
"""How many training photographs are returned as evidence."""


@dataclass(frozen=True)
class Candidate:
    """One class and its probability, 0-1."""

    label: str
    class_id: str
    probability: float


@dataclass(frozen=True)
class Similar:
    """A training photograph that is similar to the classified one.

    Attributes:
        label: The name of its class.
        class_id: Its class.
        distance: Cosine distance, 0 (the same) to 2.
        name: Its path in the data folder.
        thumbnail: JPEG, at most 96 px per side; None if the checkpoint keeps none.
    """

    label: str
    class_id: str
    distance: float
    name: str
    thumbnail: bytes | None


@dataclass(frozen=True)
class AnswerEvidence:
    """The training photographs most similar to the classified one.

    Attributes:
        similar: The photographs, the nearest first.
        disagree: Whether most of them belong to another class than the answer.
        training_photograph: Name of the training photograph that this is a copy of, or None.
    """

    similar: list[Similar]
    disagree: bool
    training_photograph: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without thumbnails."""
        return {
            "similar": [
                {key: value for key, value in asdict(one).items() if key != "thumbnail"}
                for one in self.similar
            ],
            "disagree": self.disagree,
            "training_photograph": self.training_photograph,
        }


@dataclass(frozen=True)
class Restricted:
    """The effect on one answer of allowing only some classes.

    Attributes:
        allowed: The number of allowed classes.
        classes: The number of all classes.
        set_aside: The share of the probability that the other classes had, 0-1.
        best: The most probable of the other classes, with its probability among all classes.
    """

    allowed: int
    classes: int
    set_aside: float
    best: Candidate

    @property
    def is_most(self) -> bool:
        """Whether more than half of the probability was set aside."""
        return self.set_aside > 0.5


@dataclass(frozen=True)
class Prediction:
    """The classifier's answer for one photograph.

    Attributes:
        top: The most probable classes, highest first.
        label_set: The prediction set, most probable first; never empty.
        coverage: Share of photographs whose set should contain the right class, 0-1.
        none_of_these: Whether the photograph is unlike everything the classifier knows.
        unknown_score: How unlike it is: 0 for the median of known photographs, 1 for the oddest
            twentieth. `none_of_these` is true above the checkpoint's `unknown_threshold`.
        seconds: Time from the decoded photograph to the probabilities, in s.
        evidence: Similar training photographs; None if the checkpoint keeps none.
        heat: Heat map of the first answer; None unless it was requested.
        answer: The lowest class or parent that is certain enough; None if no class has a parent.
        restricted: The effect of allowing only some classes; None if all are allowed. `top` and
            `label_set` then contain only allowed classes, whose probabilities sum to 1, while
            `none_of_these` and the similar photographs are unaffected.
    """

    top: list[Candidate]
    label_set: list[str]
    coverage: float
    none_of_these: bool
    unknown_score: float
    seconds: float
    evidence: AnswerEvidence | None = None
    heat: HeatMap | None = None
    answer: Answer | None = None
    restricted: Restricted | None = None

    @property
    def parent(self) -> Answer | None:
        """The answer if it is a parent; None if it is a class, or nothing is certain enough."""
        answer = self.answer
        return answer if answer and answer.level and answer.class_id is None else None

    @property
    def is_mostly_aside(self) -> bool:
        """Whether more than half of the probability was set aside."""
        return self.restricted is not None and self.restricted.is_most

    @property
    def set_aside(self) -> float | None:
        """The probability of the classes that are not allowed, 0-1; None if all are allowed."""
        return self.restricted.set_aside if self.restricted else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the heat map and thumbnails."""
        values = {
            "top": [asdict(candidate) for candidate in self.top],
            "set": self.label_set,
            "coverage": self.coverage,
            "none_of_these": self.none_of_these,
            "unknown_score": self.unknown_score,
            "evidence": self.evidence and self.evidence.to_json(),
        }
        if self.answer:
            values["answer"] = self.answer.to_json()
        if self.restricted:
            values["set_aside"] = self.restricted.set_aside
            values["best_set_aside"] = asdict(self.restricted.best)
        return values


def _answers(checkpoint: Checkpoint, features: np.ndarray, count: int) -> calibrate.Assessment:
    """Score features float32 `[N * V, D]` of `count` objects, averaging over views."""
    rows = features.reshape(count, -1, features.shape[1])
    return calibrate.assess(checkpoint.calibration, checkpoint.head, rows)


def assess(
    checkpoint: Checkpoint, backbone: Backbone, images: Sequence[Image.Image]
) -> calibrate.Assessment:
    """Score decoded photographs, averaging the logits of their views.

    Args:
        checkpoint: The checkpoint, which may not have been saved yet.
        backbone: Its opened backbone.
        images: N upright RGB photographs from `images.decode`.

    Returns:
        Calibrated logits, sets and "none of these".
    """
    features = backbone.features(frame(backbone, checkpoint.views, images))
    return _answers(checkpoint, features, len(images))


class Classifier:
    """A checkpoint that is ready to predict."""

    def __init__(
        self,
        folder: str | Path = SHIPPED,
        *,
        device: str = "auto",
        cache_dir: Path | None = None,
        threads: int | None = None,
        verify: bool = True,
        backbones: Sequence[Backbone] = (),
    ) -> None:
        """Load a checkpoint and its backbone.

        Args:
            folder: The checkpoint folder, by default the shipped one. A text may also be
                `USER/NAME[@REVISION]` on the Hugging Face Hub.
            device: `auto`, `cpu`, `cuda` or `mps`.
            cache_dir: Keeps the exported backbone; by default the user's cache folder.
            threads: Threads for one batch on a CPU; by default one per core, at most 4.
            verify: See `checkpoint.load`.
            backbones: Opened backbones of other classifiers. One that computes the same features
                on the same device is reused, with its own threads, instead of opened again.

        Raises:
            ConnectionError: The backbone's weights cannot be downloaded.
            FileNotFoundError: There is no checkpoint.
            HubError: The Hub refuses the checkpoint or cannot be reached.
            ValueError: The checkpoint or the device cannot be used.
        """
        self.folder = locate(folder).folder
        self.checkpoint = load(self.folder, verify=verify)
        self._levels = self.checkpoint.levels
        spec, device = self.checkpoint.backbone, resolve_device(device)
        same = (one for one in backbones if one.spec == spec and one.device == device)
        self.backbone = next(same, None) or Backbone(
            spec,
            device=device,
            cache_dir=cache_dir or default_cache_dir(),
            threads=threads or serving_threads(),
        )
        found, expected = self.backbone.embed_dim, len(self.checkpoint.head.mean)
        if found != expected:
            raise ValueError(
                f"Checkpoint {folder} cannot be used: its head takes {expected} features, but "
                f"backbone {self.checkpoint.backbone.name} gives {found}."
            )
        self.allowed: Allowed | None = None
        """The classes that answers may name; None for all. May be set to a result of `resolve`."""

    def resolve(self, only: Sequence[str]) -> Allowed | None:
        """Turn a list of allowed classes into the form that `predict_each` takes.

        Args:
            only: Class ids or names, one or more.

        Returns:
            The classes; None for all.

        Raises:
            ValueError: The list is empty, or contains a class that does not exist or that this
                classifier does not answer.
        """
        found = restrict.resolve(only, self._finder, self.allowed)
        return None if len(found) == self._finder.count else found

    @functools.cached_property
    def _finder(self) -> ClassFinder:
        """Created only once, because it indexes several spellings of all names."""
        return ClassFinder(self.checkpoint.class_ids, self.checkpoint.class_names)

    def assess(self, images: Sequence[Image.Image]) -> calibrate.Assessment:
        """Score decoded photographs; see the module's `assess`."""
        return assess(self.checkpoint, self.backbone, images)

    def predict(
        self,
        images: Sequence[Image.Image],
        top: int = 5,
        *,
        explain: bool = False,
        only: Sequence[str] | None = None,
    ) -> list[Prediction]:
        """Classify decoded photographs.

        Args:
            images: N upright RGB photographs from `images.decode`.
            top: The number of classes to return; all of them if there are fewer.
            explain: Also compute a heat map.
            only: Ids or names of the allowed classes; None for all.

        Returns:
            N predictions.

        Raises:
            ValueError: `top` is below 1; or see `resolve`.
        """
        allowed = None if only is None else self.resolve(only)
        return self.predict_each(images, [allowed] * len(images), top, explain=explain)

    def predict_each(
        self,
        images: Sequence[Image.Image],
        allowed: Sequence[Allowed | None],
        top: int = 5,
        *,
        explain: bool = False,
    ) -> list[Prediction]:
        """Classify decoded photographs in one pass, each with its own allowed classes.

        Args:
            images: See `predict`.
            allowed: N results of `resolve`.
            top: See `predict`.
            explain: See `predict`.

        Returns:
            N predictions.

        Raises:
            ValueError: `top` is below 1.
        """
        if top < 1:
            raise ValueError(f"top is {top}; expected 1 or more.")
        if not images:
            return []
        started = time.perf_counter()
        inputs, maps = self._inputs(images, explain)
        return self._predict(inputs, maps, allowed, top, started)

    def predict_inputs(self, inputs: PredictionInputs, top: int = 5) -> list[Prediction]:
        """Answer from features that were computed elsewhere, such as by a worker of a cluster.

        Args:
            inputs: Features of N photographs, with signatures if the checkpoint keeps evidence.
            top: See `predict`; 1 or more.

        Returns:
            N predictions, without heat maps.
        """
        count = len(inputs.features) // len(self.checkpoint.views)
        return self._predict(inputs, None, [None] * count, top, time.perf_counter())

    def _predict(
        self,
        inputs: PredictionInputs,
        maps: Sequence[Maps] | None,
        allowed: Sequence[Allowed | None],
        top: int,
        started: float,
    ) -> list[Prediction]:
        """Make one prediction for each entry of `allowed`."""
        count = len(allowed)
        answers = _answers(self.checkpoint, inputs.features, count)
        found, restricted = self._limited(answers, allowed)
        heats = self._heats(inputs.features, maps, found)
        evidence = self._evidence(found, inputs.signatures)
        seconds = (time.perf_counter() - started) / count
        rows = zip(evidence, heats, restricted, strict=True)
        return [
            self._prediction(found, number, top, seconds, *row) for number, row in enumerate(rows)
        ]

    def predict_together(
        self,
        images: Sequence[Image.Image],
        top: int = 5,
        *,
        explain: bool = False,
        only: Sequence[str] | None = None,
    ) -> Prediction:
        """Classify one object from several photographs of it, averaging their logits.

        Args:
            images: N upright RGB photographs of the same object, the clearest first.
            top: The number of classes to return; all of them if there are fewer.
            explain: Also compute a heat map of the answer in the first photograph.
            only: See `predict`.

        Returns:
            One prediction; its `seconds` covers all photographs.

        Raises:
            ValueError: There are no photographs or `top` is below 1; or see `resolve`.
        """
        if top < 1:
            raise ValueError(f"top is {top}; expected 1 or more.")
        if not images:
            raise ValueError("There are no photographs; expected 1 or more of the same object.")
        allowed = None if only is None else self.resolve(only)
        started = time.perf_counter()
        (features, signatures), maps = self._inputs(images, explain)
        found, (restricted,) = self._limited(_answers(self.checkpoint, features, 1), [allowed])
        heat = self._heats(features, maps, found)[0]
        evidence = self._evidence(found, signatures and signatures[:1])[0]
        seconds = time.perf_counter() - started
        return self._prediction(found, 0, top, seconds, evidence, heat, restricted)

    def _inputs(
        self, images: Sequence[Image.Image], explain: bool
    ) -> tuple[PredictionInputs, Sequence[Maps] | None]:
        """Return what the answers are made from, and with `explain` the maps behind them."""
        views, signed = self.checkpoint.views, self.checkpoint.evidence is not None
        if not explain:
            return prediction_inputs(self.backbone, views, images, signatures=signed), None
        features, maps = self.backbone.maps(frame(self.backbone, views, images))
        return PredictionInputs(features, list(map(both_ways, images)) if signed else None), maps

    def _heats(
        self, features: np.ndarray, maps: Sequence[Maps] | None, found: calibrate.Assessment
    ) -> Sequence[HeatMap | None]:
        """Return a heat map of each photograph for the first answer of its object."""
        count = len(features) // len(self.checkpoint.views)
        if maps is None:
            return [None] * count
        head = self.checkpoint.head.first(len(self.checkpoint.class_ids))
        answers = found.logits.argmax(axis=1)
        classes = np.repeat(answers, count // len(answers))
        return attribute(self.backbone, head, features, maps, self.checkpoint.views, classes)

    def _limited(
        self, found: calibrate.Assessment, allowed: Sequence[Allowed | None]
    ) -> tuple[calibrate.Assessment, list[Restricted | None]]:
        """Remove classes that are not allowed, and report what that sets aside."""
        limits = [self.allowed if one is None else one for one in allowed]
        restricted = [
            None if limit is None else self._restricted(row, limit)
            for row, limit in zip(found.logits, limits, strict=True)
        ]
        margin = self.checkpoint.calibration.trust.margin
        return restrict.restrict(found, margin, limits), restricted

    def _restricted(self, logits: np.ndarray, allowed: Allowed) -> Restricted:
        names, ids = self.checkpoint.class_names, self.checkpoint.class_ids
        share, best, own = restrict.set_aside(logits, allowed)
        return Restricted(len(allowed), len(ids), share, Candidate(names[best], ids[best], own))

    def _evidence(
        self, found: calibrate.Assessment, signatures: Sequence[np.ndarray] | None
    ) -> Sequence[AnswerEvidence | None]:
        kept = self.checkpoint.evidence
        if kept is None or found.embedded is None or signatures is None:
            return [None] * len(found.logits)
        distances, indices = kept.nearest(found.embedded, SIMILAR)
        contradicted = disagree(kept.labels[indices], found.logits.argmax(axis=1))
        result = []
        for row, signed in enumerate(signatures):
            near = zip(indices[row].tolist(), distances[row].tolist(), strict=True)
            similar = [self._similar(kept, index, distance) for index, distance in near]
            result.append(AnswerEvidence(similar, bool(contradicted[row]), kept.seen(signed)))
        return result

    def _similar(self, kept: Evidence, index: int, distance: float) -> Similar:
        label = int(kept.labels[index])
        names, ids = self.checkpoint.class_names, self.checkpoint.class_ids
        return Similar(names[label], ids[label], distance, kept.names[index], kept.thumbnail(index))

    def _prediction(
        self,
        found: calibrate.Assessment,
        number: int,
        top: int,
        seconds: float,
        evidence: AnswerEvidence | None,
        heat: HeatMap | None,
        restricted: Restricted | None,
    ) -> Prediction:
        names, ids = self.checkpoint.class_names, self.checkpoint.class_ids
        probabilities = softmax(found.logits[number])
        order = np.argsort(-probabilities, kind="stable")
        order = order[found.logits[number, order] > -np.inf]  # `restrict` removes classes like this
        return Prediction(
            top=[Candidate(names[i], ids[i], float(probabilities[i])) for i in order[:top]],
            label_set=[names[i] for i in order[found.sets[number, order]]],
            coverage=self.checkpoint.calibration.trust.coverage,
            none_of_these=bool(found.none_of_these[number]),
            unknown_score=float(found.unknown_scores[number]),
            seconds=seconds,
            evidence=evidence,
            heat=heat,
            answer=self._levels.answer(probabilities) if self._levels else None,
            restricted=restricted,
        )
