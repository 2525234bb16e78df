"""Checkpoints of the Hugging Face Hub, fetched by name and revision, and what its errors mean.

The token is huggingface_hub's own affair: the variable HF_TOKEN, or what `hf auth login` stored.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.backbones.weights import transport_errors
from model.checkpoints.checkpoint import FILES

TIMEOUT = 5.0
"""Seconds for the one request that resolves a revision; after that the cache is used."""

_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(\w[\w./-]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(OSError):
    """The Hub refuses or cannot be reached; the message says what to do.

    Attributes:
        status: The HTTP status, or 0 without one.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the message and the status."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Located:
    """A checkpoint on this machine.

    Attributes:
        folder: Its folder.
        repo: `USER/NAME` where it came from the Hub, else "".
        pinned: What names exactly this checkpoint: the folder, or `USER/NAME@COMMIT`.
        note: What its user should know of how it was found, or "".
    """

    folder: Path
    repo: str
    pinned: str
    note: str


def require_name(text: str) -> None:
    """Make sure that a text can name a repository.

    Raises:
        ValueError: It is not `USER/NAME`.
    """
    if not (parts := _NAME.fullmatch(text)) or parts[2]:
        raise ValueError(f"'{text}' is no name on the Hugging Face Hub. Expected USER/NAME.")


def locate(name: str | Path) -> Located:
    """Find a checkpoint: a local folder, else `USER/NAME[@REVISION]` on the Hub, or in its cache.

    Only a checkpoint's own files are downloaded (safetensors, JSON, CSV, Markdown, PNG). A full
    commit hash that is cached needs no network. Anything else is resolved by one request of at most
    `TIMEOUT` seconds; when the Hub cannot be reached, what was cached last is used and `note`
    says so.

    Args:
        name: A folder, or as text a folder or a name on the Hub.

    Returns:
        Where it is. What can be no name on the Hub (`./roses`) is a folder, even if there is none.

    Raises:
        HubError: The Hub has no such model, or cannot be reached and nothing is cached.
    """
    text = str(name)
    parts = None if isinstance(name, Path) else _NAME.fullmatch(text)
    if Path(name).is_dir() or not parts:
        return Located(Path(name), "", text, "")
    repo, revision = parts[1], parts[2] or "main"
    try:
        folder, note = _find(repo, revision)
    except HubError as error:
        raise HubError(f"There is no folder {text}. {error}", error.status) from error
    pinned = f"{repo}@{folder.name}"
    if not note and revision != folder.name:
        note = f"{repo} is at {folder.name}. The same again: --checkpoint {pinned}"
    return Located(folder, repo, pinned, note)


def _find(repo: str, revision: str) -> tuple[Path, str]:
    """Return a snapshot, named by its commit, and a note where it may not be the newest."""
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    if (offline or _COMMIT.fullmatch(revision)) and (folder := _cached(repo, revision)):
        return folder, f"HF_HUB_OFFLINE: {repo} as it was cached last." if offline else ""
    if offline:
        raise HubError(f"{repo}@{revision} is not in the cache. Unset HF_HUB_OFFLINE to fetch it.")
    try:
        return _download(repo, revision), ""
    except HubError as error:
        folder = None if 0 < error.status < 500 else _cached(repo, revision)
        if folder is None:
            raise
        return folder, f"{error} Using {repo} as it was cached last, {folder.name}."


def _cached(repo: str, revision: str) -> Path | None:
    """Return the cached snapshot of a revision, if it is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = sorted(FILES)
    try:
        return Path(
            snapshot_download(repo, revision=revision, allow_patterns=wanted, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None


def _download(repo: str, revision: str) -> Path:
    from huggingface_hub import HfApi

    api = HfApi()
    with explained(repo):
        api.model_info(repo, revision=revision, timeout=TIMEOUT)  # a download retries for 24 s
        return Path(api.snapshot_download(repo, revision=revision, allow_patterns=sorted(FILES)))


@contextmanager
def explained(repo: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what huggingface_hub raises in this context into one sentence with its remedy.

    Args:
        repo: `USER/NAME`.
        writing: Something is to be changed there.

    Raises:
        HubError: What went wrong and what to do.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise HubError(
            _sentence(status, repo, writing, error.server_message or ""), status
        ) from error
    except (ConnectionError, TimeoutError, LocalEntryNotFoundError, *transport_errors()) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HubError(
            f"The Hugging Face Hub cannot be reached ({reason}). Check the network and repeat."
        ) from error


_HIDDEN = (
    "The Hugging Face Hub has no {repo} at that revision that you can see ({status}). Check the "
    "name; for a private one sign in with: hf auth login"
)
_SENTENCES = {
    401: "The Hugging Face Hub does not accept your token, or there is none (401). Make one with "
    "write access on https://huggingface.co/settings/tokens, then: hf auth login",
    402: "The Hugging Face Hub asks for payment (402): a Space on cpu-basic needs a paid account; "
    "a free one may have two on ZeroGPU. Choose --hardware zero-a10g, delete an old Space, or see "
    "https://huggingface.co/pricing",
    403: "Your token may not change {repo} (403). Put it under your own user name, with a token "
    "that has write access.",
    404: _HIDDEN,
    409: "{repo} exists already, or is being changed at this moment (409). Repeat the command, or "
    "choose another name.",
    429: "The Hugging Face Hub asks for fewer requests (429). Repeat in some minutes.",
}


def _sentence(status: int, repo: str, writing: bool, said: str) -> str:
    if status >= 500:
        return f"The Hugging Face Hub failed ({status}). Repeat the command in some minutes."
    said = " ".join(said.split())[:200] or "no reason given"
    refused = f"The Hugging Face Hub refused ({status}: {said}). Check the name and the token."
    sentence = _SENTENCES.get(status, refused) if writing or status not in (401, 403) else _HIDDEN
    return sentence.replace("{repo}", repo).replace("{status}", str(status))
