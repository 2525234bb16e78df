"""A model card that leaves the folder of its checkpoint: what it must say differently elsewhere."""

import json
import re

from model.checkpoints.card import PLACE, titles
from model.checkpoints.checkpoint import Checkpoint

_METADATA = re.compile(r"\A---\n.*?^---$", re.DOTALL | re.MULTILINE)
# A long text goes on in lines that are indented further than its key.
_TITLE = re.compile(r"^title:.*(?:\n +\S.*)*$", re.MULTILINE)
_NAME = re.compile(r"^model-index:\n- name:.*(?:\n {3,}\S.*)*$", re.MULTILINE)
_HEADING = re.compile(r"\A(?P<before>(?:(?!# |```|~~~).*\n)*)# .*")
_COMMANDS = re.compile(rf"^```sh\n(?:.*{PLACE}.*\n)+```$", re.MULTILINE)

_ELSEWHERE = """Ask whoever runs the page that this card came from for the checkpoint. The page's
About tab says how programs ask it, and offers the classifier as an ONNX file."""


def retitled(text: str, checkpoint: Checkpoint) -> str:
    """Replace title and heading of a card.

    Args:
        text: The card, written when the checkpoint had another title; perhaps edited since.
        checkpoint: The checkpoint as it is now.

    Returns:
        The card; what it does not have is not added.
    """
    title, heading = titles(checkpoint)
    quoted = json.dumps(title, ensure_ascii=False)  # which is YAML, too
    end = found.end() if (found := _METADATA.match(text)) else 0
    metadata = _TITLE.sub(lambda _: f"title: {quoted}", text[:end], count=1)
    metadata = _NAME.sub(lambda _: f"model-index:\n- name: {quoted}", metadata, count=1)
    body = _HEADING.sub(lambda place: f"{place['before']}# {heading}", text[end:], count=1)
    return metadata + body


def placed(text: str, name: str) -> str:
    """Put a checkpoint's name into the commands of its card.

    Args:
        text: The card.
        name: What `--checkpoint` takes where the card is read; "" where there is no such thing.

    Returns:
        The card; without a name, it says instead whom to ask.
    """
    if not name:
        text = _COMMANDS.sub(_ELSEWHERE, text)
    return text.replace(PLACE, name or "CHECKPOINT")
