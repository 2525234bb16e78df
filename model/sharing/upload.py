"""Uploads folders to the Hugging Face Hub, in one commit each, and leaves nothing incomplete."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.checkpoint import FILES
from model.checkpoints.hub import require_name
from model.hub import HubError, explained
from model.sharing import publish

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TAG = "frostflower"
"""The tag in a card that marks repositories of this program, which it may replace."""

_FROM_THE_START = {".gitattributes", "README.md"}


@dataclass(frozen=True)
class Uploaded:
    """The result of an upload.

    Attributes:
        url: The repository's page.
        commit: The commit's hash.
        created: Whether the upload created the repository.
        hardware: The hardware of a Space; "" for a model, or if the Hub does not say.
    """

    url: str
    commit: str
    created: bool
    hardware: str


def push(folder: Path, repo: str, *, private: bool = False, license_id: str = "") -> Uploaded:
    """Upload the public form of a checkpoint to the Hub as a model.

    Args:
        folder: The checkpoint folder.
        repo: `USER/NAME`.
        private: Make a new repository private.
        license_id: The Hub's identifier of the licence, for the card.

    Returns:
        Where it was uploaded.

    Raises:
        FileNotFoundError: There is no checkpoint in `folder`.
        HubError: The upload failed.
        ValueError: The checkpoint cannot be used, or `repo` is not a valid name.
    """
    require_name(repo)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "checkpoint")
        publish.write(folder, out, name=repo, license_id=license_id)
        return upload(out, repo, private=private, replaces=sorted(FILES))


def upload(
    folder: Path,
    repo: str,
    *,
    kind: str = "model",
    private: bool = False,
    replaces: Sequence[str] = (),
    hardware: Sequence[str] = (),
    fit: Callable[[str], None] | None = None,
) -> Uploaded:
    """Upload a folder to the Hub in one commit; if that fails, a new repository is deleted again.

    Args:
        folder: The folder to upload completely.
        repo: `USER/NAME`; an existing repository must come from this program or be empty.
        kind: `model` or `space`.
        private: Make a new repository private; an existing one must already be.
        replaces: Patterns of files to delete from the repository unless the folder has them.
        hardware: Choices for a new Space; the first one that needs no payment is used.
        fit: Called before the upload with the later value of `Uploaded.hardware`; it may change
            the folder to suit it.

    Returns:
        Where it was uploaded.

    Raises:
        HubError: The upload failed. Nothing incomplete remains on the Hub, or the message says what
            does.
        ValueError: `repo` is not a valid name, or holds something else.
    """
    from huggingface_hub import HfApi

    require_name(repo)
    api = HfApi()
    found = _find(api, repo, kind, private)
    created = found is None
    used = _create(api, repo, kind, private, hardware) if found is None else found
    try:
        if fit:
            fit(used)
        with explained(repo, writing=True):
            done = api.upload_folder(
                repo_id=repo,
                repo_type=kind,
                folder_path=folder,
                commit_message="Upload with Frostflower",
                delete_patterns=list(replaces) or None,
            )
    except Exception as error:  # hf_xet, which uploads large files, raises its own errors
        state = _remove(api, repo, kind) if created else f"{repo} is unchanged."
        raise HubError(f"{error} {state}", getattr(error, "status", 0)) from error
    prefix = "spaces/" if kind == "space" else ""
    return Uploaded(f"{api.endpoint}/{prefix}{repo}", done.oid, created, used)


def _find(api: "HfApi", repo: str, kind: str, private: bool) -> str | None:
    """Find a repository and its hardware.

    Returns:
        The hardware, or "" if it is not known; None if there is no such repository.

    Raises:
        HubError: The Hub cannot be asked.
        ValueError: The repository exists and must not be replaced.
    """
    try:
        with explained(repo):
            info = api.space_info(repo) if kind == "space" else api.model_info(repo)
    except HubError as error:
        if error.status in (401, 403, 404):  # the Hub's answers for an unknown name
            return None
        raise
    names = {file.rfilename for file in info.siblings or []}
    card = info.card_data.to_dict() if info.card_data else {}
    tags = [*(info.tags or []), *(card.get("tags") or [])]
    if TAG not in tags and not names <= _FROM_THE_START:
        raise ValueError(
            f"{repo} already exists and holds something else (see {min(names - _FROM_THE_START)}). "
            "Choose another name."
        )
    if private and not info.private:
        raise ValueError(
            f"{repo} already exists and is public. Make it private in its settings on the Hub, or "
            "choose another name."
        )
    runtime = getattr(info, "runtime", None)  # models have no runtime
    return (runtime and (runtime.requested_hardware or runtime.hardware)) or ""


def _create(api: "HfApi", repo: str, kind: str, private: bool, hardware: Sequence[str]) -> str:
    """Create a repository, and return its hardware.

    Raises:
        HubError: The Hub refuses to create it.
    """
    *others, last = hardware or [""]
    for choice in (*others, last):
        try:
            with explained(repo, writing=True):
                api.create_repo(
                    repo,
                    repo_type=kind,
                    private=private or None,
                    space_sdk="gradio" if kind == "space" else None,
                    space_hardware=choice or None,  # pyrefly: ignore[bad-argument-type]
                )
        except HubError as error:
            if error.status != 402 or choice == last:
                raise
        else:
            return choice
    raise AssertionError("The Hub neither created nor refused the last choice of hardware.")


def _remove(api: "HfApi", repo: str, kind: str) -> str:
    """Delete the repository that was just created, and return a sentence about its state."""
    try:
        with explained(repo, writing=True):
            api.delete_repo(repo, repo_type=kind)
    except HubError:
        return f"{repo} was created and is still empty; run the same command again to fill it."
    return f"{repo}, which had been created for this, was deleted again."
