"""The classifier: photographs in, predictions out."""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from drawing import CLASSES, drawn_photograph
from PIL import Image, ImageOps
from safetensors.numpy import load_file, save_file

from model.backbones.backbone import Backbone
from model.checkpoints.checkpoint import write_hashes
from model.classifier import Classifier
from model.features.extract import extract
from model.photographs import images
from model.photographs.dataset import Photos
from model.trust.calibrate import assess


@pytest.fixture
def classifier(
    trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path
) -> Classifier:
    return Classifier(trained, device="cpu", cache_dir=cache_dir)


def photographs(trained: Path) -> tuple[list[Path], list[str]]:
    """The photographs it was trained on and their class ids."""
    paths = sorted((trained.parent / "photographs").glob("*/*.jpg"))
    return paths, [path.parent.name for path in paths]


def test_it_knows_what_it_was_trained_on(classifier: Classifier, trained: Path):
    paths, class_ids = photographs(trained)
    predictions = classifier.predict([images.decode(path) for path in paths])
    found = [prediction.top[0].class_id for prediction in predictions]
    assert np.mean([a == b for a, b in zip(found, class_ids, strict=True)]) > 0.9


def test_a_prediction_is_sorted_named_and_sums_to_one(classifier: Classifier):
    (prediction,) = classifier.predict([drawn_photograph(1 / 3, 7)])
    shares = [candidate.probability for candidate in prediction.top]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert {(c.class_id, c.label) for c in prediction.top} == {
        ("daisy", "Oxeye daisy"),
        ("rose", "Dog rose"),
        ("tulip", "Garden tulip"),
    }
    assert prediction.seconds > 0


@pytest.mark.parametrize(("top", "count"), [(1, 1), (2, 2), (3, 3), (50, 3)])
def test_top_is_how_many_classes_are_named(top: int, count: int, classifier: Classifier):
    (prediction,) = classifier.predict([drawn_photograph(0.5, 1)], top)
    assert len(prediction.top) == count


@pytest.mark.parametrize("top", [0, -1])
def test_a_top_below_one_is_an_error(top: int, classifier: Classifier):
    with pytest.raises(ValueError, match=f"top is {top}"):
        classifier.predict([drawn_photograph(0.5, 1)], top)


def test_no_photographs_give_no_predictions(classifier: Classifier):
    assert classifier.predict([]) == []


def test_a_batch_gives_what_each_photograph_gives_alone(classifier: Classifier):
    batch = [drawn_photograph(k / 5, k, (40 + 9 * k, 70 - 7 * k)) for k in range(5)]
    together = classifier.assess(batch).logits
    alone = np.concatenate([classifier.assess([image]).logits for image in batch])
    assert together.shape == (5, 3)
    assert np.allclose(together, alone, atol=1e-3)


def test_several_photographs_of_one_object_average_their_logits(classifier: Classifier):
    photos = [drawn_photograph(0, 0), drawn_photograph(1, 0), drawn_photograph(1, 1)]
    logits = classifier.assess(photos).logits.mean(axis=0)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = classifier.predict_together(photos, len(CLASSES), explain=True)
    order = [classifier.checkpoint.class_ids.index(one.class_id) for one in found.top]
    np.testing.assert_allclose([one.probability for one in found.top], expected[order], atol=1e-5)
    assert found.heat is not None and found.heat.label == order[0]


def test_one_photograph_together_is_one_photograph(classifier: Classifier):
    photo = drawn_photograph(0, 0)
    alone, together = classifier.predict([photo])[0], classifier.predict_together([photo])
    assert together.to_json() == alone.to_json()


def test_no_photographs_of_one_object_are_an_error(classifier: Classifier):
    with pytest.raises(ValueError, match="no photographs; expected 1 or more"):
        classifier.predict_together([])


def test_serving_gives_the_logits_that_training_measured(
    classifier: Classifier, trained: Path, cache_dir: Path
):
    paths, _ = photographs(trained)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    photos = Photos(paths, np.zeros(len(paths), np.int64), digests)
    views = classifier.checkpoint.views
    cached = extract(classifier.backbone, photos, views, cache_dir=cache_dir)
    checkpoint = classifier.checkpoint
    measured = assess(checkpoint.calibration, checkpoint.head, cached).logits
    served = classifier.assess([images.decode(path) for path in paths]).logits
    assert np.abs(served - measured).max() < 0.05 * np.abs(measured).max()
    assert np.array_equal(served.argmax(1), measured.argmax(1))


def test_a_photograph_and_its_mirror_image_are_the_same_to_it(classifier: Classifier):
    image = drawn_photograph(0.4, 3, (64, 48))
    logits = classifier.assess([image, ImageOps.mirror(image)]).logits
    assert np.allclose(logits[0], logits[1], atol=1e-2)


def test_several_threads_may_ask_at_once(classifier: Classifier, monkeypatch):
    batch = [drawn_photograph(k / 6, k) for k in range(6)]
    expected = classifier.assess(batch).logits
    monkeypatch.setattr(
        classifier.backbone, "engine", classifier.backbone.torch_engine
    )  # torch, whose hooks hold a state
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        found[number] = classifier.assess([batch[number]]).logits[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.allclose(np.stack([found[k] for k in range(6)]), expected, atol=1e-2)


def test_the_set_begins_with_the_first_answer(classifier: Classifier):
    (prediction,) = classifier.predict([drawn_photograph(1 / 3, 7)], top=3)
    labels = [candidate.label for candidate in prediction.top]
    assert prediction.label_set == labels[: len(prediction.label_set)]
    assert prediction.label_set


def test_what_is_no_photograph_of_its_classes_is_none_of_these(classifier: Classifier):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    known, unknown = classifier.predict([drawn_photograph(0, 7), Image.fromarray(noise)])
    threshold = classifier.checkpoint.calibration.trust.unknown_threshold
    assert unknown.none_of_these and unknown.unknown_score > threshold
    assert not known.none_of_these and known.unknown_score <= threshold


def test_a_head_that_does_not_fit_the_backbone_is_an_error(
    trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path
):
    folder = tmp_path / "wrong"
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())
    width = config["head"]["num_features"]
    config["head"]["num_features"] = width - 1
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "head.safetensors")
    for name in ("mean", "std", "layers.0.weight"):
        tensors[name] = np.ascontiguousarray(tensors[name][..., 1:])
    tensors["embedding.basis"] = tensors["embedding.basis"][1:].copy()
    save_file(tensors, folder / "head.safetensors")
    write_hashes(folder)
    expected = f"its head takes {width - 1} features, but backbone test_resnet gives {width}"
    with pytest.raises(ValueError, match=expected):
        Classifier(folder, device="cpu", cache_dir=cache_dir)


def test_other_weights_than_those_it_was_trained_with_are_refused(
    trained: Path, tmp_path: Path, monkeypatch
):
    tiny.install(monkeypatch, seed=1)
    with pytest.raises(ValueError, match="was trained with"):
        Classifier(trained, device="cpu", cache_dir=tmp_path / "new")


def test_only_a_backbone_that_computes_the_same_is_shared(
    trained: Path, classifier: Classifier, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    other = tiny_backbone("test_resnet", stages=1, device="cpu")
    backbones = [other, classifier.backbone]
    options = {"device": "cpu", "cache_dir": cache_dir}
    again = Classifier(trained, backbones=backbones, **options)
    assert again.backbone is classifier.backbone
    photo = drawn_photograph(1 / 3, 7)
    assert again.predict([photo])[0].top == classifier.predict([photo])[0].top
    assert Classifier(trained, backbones=[other], **options).backbone not in backbones


def test_a_missing_checkpoint_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="is not a checkpoint folder"):
        Classifier(tmp_path / "none")


def test_classes_are_those_of_the_folders(classifier: Classifier):
    assert classifier.checkpoint.class_ids == list(CLASSES)


def test_evidence_names_similar_photographs_and_the_one_that_was_seen(
    classifier: Classifier, trained: Path
):
    kept = classifier.checkpoint.evidence
    assert kept is not None
    by_name = {
        path.relative_to(trained.parent / "photographs").as_posix(): path
        for path in photographs(trained)[0]
    }
    image = images.decode(by_name[kept.names[4]])
    evidence = classifier.predict([image])[0].evidence
    assert evidence is not None
    assert evidence.training_photograph == kept.names[4]
    nearest = evidence.similar[0]
    assert nearest.name == kept.names[4]
    assert nearest.class_id == kept.names[4].split("/")[0]
    assert nearest.thumbnail == kept.thumbnail(4)
    assert not evidence.disagree


def test_evidence_of_other_classes_than_the_answer_disagrees(classifier: Classifier):
    kept = classifier.checkpoint.evidence
    assert kept is not None
    others = replace(kept, labels=(kept.labels + 1) % 3)
    classifier.checkpoint = replace(classifier.checkpoint, evidence=others)
    evidence = classifier.predict([drawn_photograph(1 / 3, 7)])[0].evidence
    assert evidence is not None
    assert evidence.disagree
    assert evidence.training_photograph is None


# only some classes


def test_only_some_classes_are_answered_and_the_rest_of_the_probability_is_said(
    classifier: Classifier,
):
    image = drawn_photograph(1 / 3, 7)
    (free,) = classifier.predict([image])
    (limited,) = classifier.predict([image], only=["Oxeye daisy", "tulip", "daisy"])
    shares = {one.class_id: one.probability for one in free.top}
    assert free.set_aside is None and "set_aside" not in free.to_json()
    assert limited.set_aside == pytest.approx(shares["rose"], abs=1e-6)
    total = shares["daisy"] + shares["tulip"]
    for one in limited.top:
        assert one.probability == pytest.approx(shares[one.class_id] / total, abs=1e-4)
    assert {one.class_id for one in limited.top} == {"daisy", "tulip"}
    assert limited.restricted is not None
    assert (limited.restricted.allowed, limited.restricted.classes) == (2, 3)
    assert limited.restricted.best.class_id == "rose"
    assert set(limited.label_set) <= {"Oxeye daisy", "Garden tulip"}
    assert limited.to_json()["set_aside"] == limited.set_aside
    assert limited.none_of_these == free.none_of_these
    assert limited.unknown_score == free.unknown_score


def test_similar_photographs_stay_and_contradict_the_restricted_answer(classifier: Classifier):
    image = drawn_photograph(1 / 3, 7)
    free = classifier.predict([image])[0].evidence
    limited = classifier.predict([image], only=["tulip"])[0].evidence
    assert free is not None and limited is not None
    assert limited.similar == free.similar
    assert not free.disagree and limited.disagree


def test_the_heat_map_explains_the_restricted_answer(classifier: Classifier):
    (limited,) = classifier.predict([drawn_photograph(1 / 3, 7)], only=["tulip"], explain=True)
    assert limited.heat is not None
    assert classifier.checkpoint.class_ids[limited.heat.label] == "tulip"


def test_all_classes_restrict_nothing(classifier: Classifier):
    image = drawn_photograph(0.4, 3)
    (free,), (every,) = (
        classifier.predict([image], only=only) for only in (None, ["rose", "daisy", "tulip"])
    )
    assert json.dumps(every.to_json()) == json.dumps(free.to_json())


def test_each_photograph_of_a_pass_has_its_own_classes(classifier: Classifier):
    images = [drawn_photograph(k / 3, k) for k in range(3)]
    allowed = [None, classifier.resolve(["tulip"]), classifier.resolve(["rose", "tulip"])]
    found = classifier.predict_each(images, allowed)
    assert [len(one.top) for one in found] == [3, 1, 2]
    assert [one.set_aside is None for one in found] == [True, False, False]


def test_several_photographs_of_one_object_are_restricted_too(classifier: Classifier):
    images = [drawn_photograph(1 / 3, k) for k in range(2)]
    limited = classifier.predict_together(images, only=["tulip", "daisy"])
    assert {one.class_id for one in limited.top} == {"tulip", "daisy"}
    assert limited.set_aside is not None and limited.set_aside > 0.5


def test_a_classifier_that_is_restricted_as_a_whole_stays_within(classifier: Classifier):
    image = drawn_photograph(1 / 3, 7)
    classifier.allowed = classifier.resolve(["daisy", "tulip"])
    (found,) = classifier.predict([image])
    assert {one.class_id for one in found.top} == {"daisy", "tulip"} and found.set_aside
    assert [one.class_id for one in classifier.predict([image], only=["tulip"])[0].top] == ["tulip"]
    with pytest.raises(ValueError, match="Class 'rose' is not answered here"):
        classifier.predict([image], only=["rose"])


@pytest.mark.parametrize(("only", "says"), [([], "is empty"), (["lily"], "'lily'")])
def test_classes_that_cannot_be_are_an_error(only: list[str], says: str, classifier: Classifier):
    with pytest.raises(ValueError, match=says):
        classifier.predict([drawn_photograph(0.5, 1)], only=only)
