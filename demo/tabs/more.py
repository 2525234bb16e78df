"""Further photographs of the same object, under the first one: their logits are averaged."""

import sys
from pathlib import Path, PurePath
from typing import NamedTuple, TypedDict

import gradio as gr
import msgspec
from markupsafe import Markup
from PIL import Image

from demo.markup import html, join
from demo.photo import read_upload, refusal
from demo.pictures import picture_url
from demo.style import script
from model.photographs import images

MOST = 4
"""Most photographs besides the first one."""

_SIDE = 96  # px
_LONGEST = 20_000  # most characters of the text that the page sends


class Further(NamedTuple):
    """Another photograph of the same object.

    Attributes:
        path: The page's path of its upload.
        image: The photograph, upright RGB.
    """

    path: str
    image: Image.Image


class Asked(NamedTuple):
    """The photographs of one object that the page wants to be classified, as paths of uploads.

    Attributes:
        first: The first photograph.
        further: The others.
    """

    first: str
    further: list[str]


class _Sent(TypedDict):
    first: str
    further: list[str]


def more_part(max_bytes: int) -> gr.HTML:
    """Lay out the part; its script writes the list of photographs into the field `#asked`.

    Args:
        max_bytes: Largest upload, in bytes.

    Returns:
        The component.
    """
    return gr.HTML(
        strip(None),
        js_on_load=script("more"),
        elem_id="more",
        most=MOST,
        max_bytes=max_bytes,
    )


def read_asked(text: object) -> Asked:
    """Read the list of photographs that the page sends.

    Args:
        text: The value of the field `#asked`, normally JSON.

    Returns:
        The paths, which have not been checked.

    Raises:
        gr.Error: The text is not such a list, or has too many photographs.
    """
    try:
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise ValueError
        asked = msgspec.json.decode(text, type=_Sent)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise refusal("The list of photographs cannot be read. Please reload the page.") from None
    if len(asked["further"]) > MOST:
        raise refusal(f"At most {MOST} further photographs can be added.")
    return Asked(**asked)


def read_further(paths: list[str], uploads: Path, max_bytes: int, side: int) -> list[Further]:
    """Decode further photographs.

    Args:
        paths: The page's paths of their uploads.
        uploads: The upload folder; nothing outside it is opened.
        max_bytes: Largest upload, in bytes.
        side: Shortest side that a photograph may have, in px.

    Returns:
        The photographs.

    Raises:
        gr.Error: One of them cannot be used.
    """
    further = []
    for path in paths:
        try:
            content = read_upload(path, uploads, max_bytes)
            further.append(Further(path, images.decode(content, least_side=side)))
        except images.BadImageError as error:
            print(f"Refused: a photograph {error}.", file=sys.stderr, flush=True)
            raise refusal(f"{PurePath(path).name[:80]} {error}.") from None
    return further


def strip(further: list[Further] | None) -> Markup:
    """Render the further photographs and the button that adds one.

    Args:
        further: The photographs; None if there is no first one yet.

    Returns:
        HTML.
    """
    photographs = [
        html(
            '<li><img src="{source}" alt="Further photograph {number}">'
            '<button type="button" data-remove="{path}" '
            'aria-label="Remove further photograph {number}">×</button></li>',
            source=_thumbnail(one.image),
            path=one.path,
            number=number,
        )
        for number, one in enumerate(further or (), start=1)
    ]
    if further is None:
        button = html(
            "<span>After the answer you can add more photographs of the same object.</span>"
        )
    elif len(further) == MOST:
        button = html("<span>{count} photographs, the maximum.</span>", count=MOST + 1)
    else:
        button = html('<button type="button" data-add>Add another photograph of it</button>')
    return html(
        '<div class="ff-more"><ul>{photographs}</ul>{button}<span role="status" data-said></span>'
        "</div>",
        photographs=join(photographs),
        button=button,
    )


def _thumbnail(photo: Image.Image) -> str:
    small = photo.copy()
    small.thumbnail((_SIDE, _SIDE))
    return picture_url(small, quality=80)
