"""The Hugging Face Hub: names of repositories, and errors explained in a sentence.

huggingface_hub manages the token: the variable HF_TOKEN, or what `hf auth login` stored.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator

TIMEOUT = 5.0
"""Time limit in s of the one request that resolves a revision; after that the cache is used."""

REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
"""Pattern of `USER/NAME`."""

REVISION = r"\w[\w./-]*"
"""Pattern of a branch, a tag or a commit."""

COMMIT = re.compile(r"[0-9a-f]{40}")
"""Pattern of a full commit hash; its content never changes, so a cached copy needs no request."""


class HubError(OSError):
    """The Hub refuses a request or cannot be reached; the message says what to do.

    Attributes:
        status: The HTTP status; 0 if there is none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the message and the status."""
        super().__init__(message)
        self.status = status


def transport_errors() -> tuple[type[Exception], ...]:
    """Return the errors of huggingface_hub's HTTP library, which differs between its versions."""
    errors = []
    for name in ("httpx", "httpx2", "requests"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            errors.append(getattr(module, "HTTPError", Exception))
            errors.append(getattr(module, "RequestException", OSError))
    return tuple(errors)


def resolve(repo: str, revision: str, *, kind: str) -> str:
    """Ask the Hub for the commit of a revision, with one request of at most `TIMEOUT` seconds.

    Args:
        repo: `USER/NAME`.
        revision: A branch, a tag or a commit.
        kind: `model` or `dataset`.

    Returns:
        The full commit hash.

    Raises:
        HubError: The Hub has no such repository or revision, or cannot be reached.
    """
    from huggingface_hub import HfApi

    with explained(repo):  # a download would retry for 24 s
        found = HfApi().repo_info(repo, repo_type=kind, revision=revision, timeout=TIMEOUT)
    if not COMMIT.fullmatch(commit := found.sha or ""):
        raise HubError(f"The Hugging Face Hub names no commit for {repo}@{revision}. Try later.")
    return commit


def list_files(repo: str, commit: str, *, kind: str, most: int) -> dict[str, int]:
    """Ask the Hub for the files of a commit.

    Args:
        repo: `USER/NAME`.
        commit: The full commit hash.
        kind: `model` or `dataset`.
        most: The most files that there may be.

    Returns:
        Path in the repository -> size in bytes. Paths that lead out of it are left out.

    Raises:
        HubError: The Hub refuses or cannot be reached.
        ValueError: There are more files than allowed.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    files: dict[str, int] = {}
    with explained(repo):
        for entry in HfApi().list_repo_tree(repo, recursive=True, revision=commit, repo_type=kind):
            if isinstance(entry, RepoFile) and not {"", ".", ".."} & set(entry.path.split("/")):
                files[entry.path] = entry.size
            if len(files) > most:
                raise ValueError(f"{repo} has more than {most:,} files, the limit.")
    return files


@contextlib.contextmanager
def explained(repo: str, *, writing: bool = False) -> Iterator[None]:
    """Turn errors that huggingface_hub raises in this context into one sentence with a remedy.

    Args:
        repo: `USER/NAME`.
        writing: Whether the context changes the repository.

    Raises:
        HubError: The cause and the remedy.
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
            f"The Hugging Face Hub cannot be reached ({reason}). Check the network and try again."
        ) from error


_HIDDEN = (
    "The Hugging Face Hub has no {repo} at that revision that you can access ({status}). Check the "
    "name. If it is private, sign in with: hf auth login"
)
_SENTENCES = {
    401: "The Hugging Face Hub does not accept your token, or there is none (401). Create one with "
    "write access on https://huggingface.co/settings/tokens, then run: hf auth login",
    402: "The Hugging Face Hub asks for payment (402): a Space on cpu-basic needs a paid account; "
    "a free account may have two Spaces on ZeroGPU. Choose --hardware zero-a10g, delete an old "
    "Space, or see https://huggingface.co/pricing",
    403: "Your token may not change {repo} (403). Use your own user name, and a token with write "
    "access.",
    404: _HIDDEN,
    409: "{repo} already exists, or is being changed at this moment (409). Try again, or choose "
    "another name.",
    429: "The Hugging Face Hub asks for fewer requests (429). Try again in a few minutes.",
}


def _sentence(status: int, repo: str, writing: bool, said: str) -> str:
    if status >= 500:
        return f"The Hugging Face Hub failed ({status}). Try again in a few minutes."
    said = " ".join(said.split())[:200] or "no reason given"
    refused = f"The Hugging Face Hub refused ({status}: {said}). Check the name and the token."
    sentence = _SENTENCES.get(status, refused) if writing or status not in (401, 403) else _HIDDEN
    return sentence.replace("{repo}", repo).replace("{status}", str(status))
