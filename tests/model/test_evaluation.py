"""Folders matched to the classes of a checkpoint."""

import time
from dataclasses import replace

import pytest
from small_checkpoint import made

from model.evaluation import match_classes
from model.photographs.class_names import MAX_CLASSES


def test_the_folders_of_as_many_classes_as_allowed_are_matched_at_once():
    class_ids = [f"{number:05d}" for number in range(MAX_CLASSES)]
    checkpoint = replace(made(), class_ids=class_ids, class_names=[f"a {one}" for one in class_ids])
    started = time.process_time()
    matched = match_classes(class_ids[::-1], checkpoint)
    assert time.process_time() - started < 1  # comparing each with each takes 5 s
    assert [matched[one] for one in class_ids] == list(range(MAX_CLASSES))


def test_two_folders_of_one_class_are_both_named():
    with pytest.raises(ValueError, match="'1' and 'gänseblümchen' are the same class"):
        match_classes(["1", "gänseblümchen"], made())
