"""Texts of a checkpoint for the visitors of its page: a title, and a link about each class."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from model.photographs.class_names import UNPRINTABLE, escaped

MAX_TITLE, MAX_LINK = 100, 1000  # characters

_PLACES = re.compile(r"\{label\}|\{class_id\}")
_START = re.compile(r"https?://[^\s{}/?#\\@]+[/?#]")  # so that no class name can change the host
_SHOWN = 80  # characters of a refused text that a message quotes


def title_problem(title: str) -> str:
    """Describe a valid title if this one is invalid; "" if it is valid."""
    if not title.strip() or len(title) > MAX_TITLE or UNPRINTABLE.search(title):
        return f"a line of 1 to {MAX_TITLE} printable characters"
    return ""


def link_problem(link: str) -> str:
    """Describe a valid link if this one is invalid; "" if it is valid.

    Args:
        link: An address with `{label}` or `{class_id}` in the places to fill in for each class.

    Returns:
        A text such as "a link that begins with https:// or http:// and a host", or "".
    """
    if len(link) > MAX_LINK or UNPRINTABLE.search(link) or re.search(r"\s", link):
        return f"a link of at most {MAX_LINK:,} printable characters without spaces"
    if not _is_address(link):
        return "a link that begins with https:// or http://, a host and a /"
    if not _PLACES.search(link):
        return "a link that contains {label} or {class_id}"
    if re.search("[{}]", _PLACES.sub("", link)):
        return "a link without braces other than those of {label} and {class_id}"
    return ""


def _is_address(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return bool(_START.match(link) and parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or the IPv6 address is broken
        return False


@dataclass(frozen=True)
class PageTexts:
    """Texts for the visitors of a checkpoint's page; "" for those that were not stored.

    Attributes:
        title: The question that the classifier answers, such as "Which of 102 flowers is it?".
        link: An address to read about a class, with `{label}` or `{class_id}` to fill in.
    """

    title: str = ""
    link: str = ""

    def __post_init__(self) -> None:
        """Check the texts.

        Raises:
            ValueError: The title is too long or has several lines, or the link is invalid.
        """
        for option, text, problem in (
            ("--title", self.title, title_problem),
            ("--link", self.link, link_problem),
        ):
            if text and (expected := problem(text)):
                shown = escaped(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
                raise ValueError(f"{option} '{shown}' must be {expected}.")

    def to_json(self) -> dict[str, str]:
        """Return the texts that are not empty."""
        return {name: text for name, text in vars(self).items() if text}

    def changed(self, title: str | None, link: str | None) -> "PageTexts":
        """Return a copy with other texts.

        Args:
            title: The new title; None keeps the present one, and "" removes it.
            link: The new link; None and "" have the same effect.

        Returns:
            The new texts.

        Raises:
            ValueError: A new text is invalid.
        """
        return PageTexts(
            self.title if title is None else title, self.link if link is None else link
        )


def link_for(link: str, label: str, class_id: str) -> str:
    """Fill a class into a link.

    Args:
        link: From `PageTexts`.
        label: The class's display name.
        class_id: The class's folder name.

    Returns:
        The address. Label and class id are percent-encoded, so they cannot change its other parts.
    """
    found = {"{label}": label, "{class_id}": class_id}
    return _PLACES.sub(lambda place: quote(found[place[0]], safe=""), link)
