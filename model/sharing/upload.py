"""Folders put on the Hugging Face Hub, in one commit each; nothing half-made stays behind."""

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
"""The tag in a card that marks what this program made, and may replace."""

_FROM_THE_START = {".gitattributes", "README.md"}


@dataclass(frozen=True)
class Uploaded:
    """What an upload made.

    Attributes:
        url: The repository's page.
        commit: The commit's hash.
        created: Whether the repository is new.
        hardware: Where a Space runs, else ""; "" too where the Hub does not say.
    """

    url: str
    commit: str
    created: bool
    hardware: str


def push(folder: Path, repo: str, *, private: bool = False, license_id: str = "") -> Uploaded:
    """Put the public form of a checkpoint on the Hub as a model.

    Args:
        folder: The checkpoint folder.
        repo: `USER/NAME`.
        private: Make a new repository private.
        license_id: The Hub's identifier of the licence, for the card.

    Returns:
        Where it is.

    Raises:
        FileNotFoundError: There is no checkpoint.
        HubError: The upload failed.
        ValueError: The checkpoint cannot be used, or `repo` is no such name.
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
    """Put a folder on the Hub in one commit; a repository made for it goes again if that fails.

    Args:
        folder: What to upload, whole.
        repo: `USER/NAME`; one that exists must be of this program, or empty.
        kind: `model` or `space`.
        private: Make a new repository private; one that exists must be.
        replaces: Patterns of files that are deleted there unless they are in the folder.
        hardware: For a new Space: the first of these that needs no payment.
        fit: Called before the upload with what will be `Uploaded.hardware`; it may change the
            folder accordingly.

    Returns:
        Where it is.

    Raises:
        HubError: It failed; nothing half-made is left, or the message says what is.
        ValueError: `repo` is no such name, or holds something else.
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
    except Exception as error:  # hf_xet, which uploads large files, has errors of its own
        state = _remove(api, repo, kind) if created else f"{repo} is as it was before."
        raise HubError(f"{error} {state}", getattr(error, "status", 0)) from error
    prefix = "spaces/" if kind == "space" else ""
    return Uploaded(f"{api.endpoint}/{prefix}{repo}", done.oid, created, used)


def _find(api: "HfApi", repo: str, kind: str, private: bool) -> str | None:
    """Find a repository; return its hardware where that is known, else "".

    Returns:
        None where there is no such repository.

    Raises:
        HubError: That cannot be found out.
        ValueError: It exists and must not be replaced.
    """
    try:
        with explained(repo):
            info = api.space_info(repo) if kind == "space" else api.model_info(repo)
    except HubError as error:
        if error.status in (401, 403, 404):  # what the Hub says of a name it does not know
            return None
        raise
    names = {file.rfilename for file in info.siblings or []}
    card = info.card_data.to_dict() if info.card_data else {}
    tags = [*(info.tags or []), *(card.get("tags") or [])]
    if TAG not in tags and not names <= _FROM_THE_START:
        raise ValueError(
            f"{repo} exists already and holds something else (see {min(names - _FROM_THE_START)}). "
            "Choose another name."
        )
    if private and not info.private:
        raise ValueError(
            f"{repo} exists already and is public. Make it private in its settings on the Hub, or "
            "choose another name."
        )
    runtime = getattr(info, "runtime", None)  # models have none
    return (runtime and (runtime.requested_hardware or runtime.hardware)) or ""


def _create(api: "HfApi", repo: str, kind: str, private: bool, hardware: Sequence[str]) -> str:
    """Create a repository; return its hardware.

    Raises:
        HubError: The Hub refuses.
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
    raise AssertionError("The last choice was neither made nor refused.")


def _remove(api: "HfApi", repo: str, kind: str) -> str:
    """Delete the repository that was just made; say how that went."""
    try:
        with explained(repo, writing=True):
            api.delete_repo(repo, repo_type=kind)
    except HubError:
        return f"{repo} was made and is still empty; the same command fills it."
    return f"{repo}, which was made for it, has been deleted again."
