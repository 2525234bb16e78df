"""Adapts the text of a model card for readers outside its checkpoint's folder."""

import json
import re

from model.checkpoints.card import PLACE, titles
from model.checkpoints.checkpoint import Checkpoint

_METADATA = re.compile(r"\A---\n.*?^---$", re.DOTALL | re.MULTILINE)
# A long value continues on lines that are indented further than its key.
_TITLE = re.compile(r"^title:.*(?:\n +\S.*)*$", re.MULTILINE)
_NAME = re.compile(r"^model-index:\n- name:.*(?:\n {3,}\S.*)*$", re.MULTILINE)
_HEADING = re.compile(r"\A(?P<before>(?:(?!# |```|~~~).*\n)*)# .*")
_COMMANDS = re.compile(rf"^```sh\n(?:.*{PLACE}.*\n)+```$", re.MULTILINE)

_ELSEWHERE = """Ask the owner of the page that this card came from for the checkpoint. The page's
About tab explains how programs can query it, and offers the classifier as an ONNX file."""


def retitled(text: str, checkpoint: Checkpoint) -> str:
    """Replace the title and the heading of a card.

    Args:
        text: The card, written when the checkpoint had another title, and perhaps edited since.
        checkpoint: The checkpoint in its present state.

    Returns:
        The card. A card without a title or heading does not get one.
    """
    title, heading = titles(checkpoint)
    quoted = json.dumps(title, ensure_ascii=False)  # a JSON string is also valid YAML
    end = found.end() if (found := _METADATA.match(text)) else 0
    metadata = _TITLE.sub(lambda _: f"title: {quoted}", text[:end], count=1)
    metadata = _NAME.sub(lambda _: f"model-index:\n- name: {quoted}", metadata, count=1)
    body = _HEADING.sub(lambda place: f"{place['before']}# {heading}", text[end:], count=1)
    return metadata + body


def placed(text: str, name: str) -> str:
    """Put a checkpoint's name into the commands of its card.

    Args:
        text: The card.
        name: The value of `--checkpoint` for readers of the card; "" if they have no checkpoint.

    Returns:
        The card; without a name, the commands are replaced by advice on whom to ask.
    """
    if not name:
        text = _COMMANDS.sub(_ELSEWHERE, text)
    return text.replace(PLACE, name or "CHECKPOINT")
