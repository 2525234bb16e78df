"""Checkpoints on the Hugging Face Hub, downloaded by name and revision."""

import re
from dataclasses import dataclass
from pathlib import Path

from model.checkpoints.checkpoint import FILES
from model.hub import COMMIT, REPOSITORY, REVISION, HubError, explained, resolve

_NAME = re.compile(rf"({REPOSITORY})(?:@({REVISION}))?")


@dataclass(frozen=True)
class Located:
    """A checkpoint on this machine.

    Attributes:
        folder: Its folder.
        repo: `USER/NAME` if it came from the Hub, else "".
        pinned: A name for exactly this version: the folder, or `USER/NAME@COMMIT`.
        note: What the user should know about how it was found, or "".
    """

    folder: Path
    repo: str
    pinned: str
    note: str


def require_name(text: str) -> None:
    """Make sure that a text is a valid repository name.

    Raises:
        ValueError: The text is not of the form `USER/NAME`.
    """
    if not (parts := _NAME.fullmatch(text)) or parts[2]:
        raise ValueError(f"'{text}' is not a name on the Hugging Face Hub. Expected USER/NAME.")


def locate(name: str | Path) -> Located:
    """Find a checkpoint: a local folder, else `USER/NAME[@REVISION]` on the Hub or in its cache.

    Only a checkpoint's own files are downloaded (safetensors, JSON, CSV, Markdown, PNG). A cached
    full commit hash needs no network. Any other revision is resolved with one request of at most
    `hub.TIMEOUT` seconds. If the Hub cannot be reached, the version cached last is used and `note`
    says so.

    Args:
        name: A folder, or a text that names a folder or a repository on the Hub.

    Returns:
        Where it is. A text that cannot name a repository (`./roses`) is a folder, even if missing.

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
        note = (
            f"{repo} is at commit {folder.name}. To use this version again: --checkpoint {pinned}"
        )
    return Located(folder, repo, pinned, note)


def _find(repo: str, revision: str) -> tuple[Path, str]:
    """Return a snapshot's folder, named by its commit, and a note if it may not be the newest."""
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    if (offline or COMMIT.fullmatch(revision)) and (folder := _cached(repo, revision)):
        return folder, f"HF_HUB_OFFLINE is set: using {repo} as last cached." if offline else ""
    if offline:
        raise HubError(
            f"{repo}@{revision} is not in the cache. Unset HF_HUB_OFFLINE to download it."
        )
    try:
        return _download(repo, revision), ""
    except HubError as error:
        folder = None if 0 < error.status < 500 else _cached(repo, revision)
        if folder is None:
            raise
        return folder, f"{error} Using {repo} as last cached, {folder.name}."


def _cached(repo: str, revision: str) -> Path | None:
    """Return the cached snapshot of a revision, if it is complete."""
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

    resolve(repo, revision, kind="model")
    with explained(repo):
        return Path(
            HfApi().snapshot_download(repo, revision=revision, allow_patterns=sorted(FILES))
        )
