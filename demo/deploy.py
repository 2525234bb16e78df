"""Writes or uploads a Hugging Face Space: the files it needs to serve a checkpoint, no others."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from model.backbones import graphs
from model.backbones.spec import BackboneSpec
from model.checkpoints.card import results_table, trust_text
from model.checkpoints.checkpoint import Checkpoint, load
from model.checkpoints.hub import Located, require_name
from model.sharing import publish
from model.sharing.upload import TAG, Uploaded, upload

FREE, ZERO = "cpu-basic", "zero-a10g"
AUTO = "auto"

# ZeroGPU offers Python 3.10.13 and 3.12.12 (huggingface.co/docs/hub/spaces-zerogpu), and this code
# needs 3.11 or newer; other hardware can use any version.
PYTHON_VERSION = "3.12.12"

_ROOT = Path(__file__).resolve().parent.parent
_CHECKPOINT = "demo/checkpoint"
_PACKED = ("demo/**/*.py", "demo/static/*", "model/**/*.py", "model/backbones/packaged/*")
_REPLACED = ("demo/*", "model/*")
_REQUIREMENTS = "requirements.txt"
_SHORT = 60  # most characters of a short_description that the Hub accepts


@dataclass(frozen=True)
class Packages:
    """The list of packages that a Space installs.

    Attributes:
        file: The name of the list, at the root of the repository.
        text: A sentence for people: which list it is, and why.
    """

    file: str
    text: str


def packages(backbone: BackboneSpec, hardware: str) -> Packages:
    """Choose the packages of a Space: torch takes longest to install, so only if it is needed.

    Args:
        backbone: The backbone of the checkpoint.
        hardware: The Hub's name of the hardware; "" if it is not known.

    Returns:
        The list without torch for a packaged backbone on a CPU, else the list of all packages.
    """
    where = hardware or "hardware that the Hub does not name"
    if not hardware.startswith("cpu-"):
        reason = f"the Space runs on {where}, which may be a GPU"
    elif not graphs.is_packaged(backbone):
        reason = f"its backbone {backbone.described} is not packaged"
    else:
        text = f"It installs requirements-serve.txt: a packaged backbone on {hardware} needs no "
        return Packages("requirements-serve.txt", f"{text}torch.")
    return Packages(_REQUIREMENTS, f"It installs requirements.txt, with torch: {reason}.")


def asked_for(hardware: str) -> tuple[str, ...]:
    """Return the Hub's names for a value of `--hardware`, the preferred one first."""
    return (FREE, ZERO) if hardware == AUTO else (hardware,)


def assemble(
    checkpoint: Located,
    out: Path,
    repo: str,
    *,
    hardware: str = FREE,
    title: str | None = None,
    link: str | None = None,
) -> list[Path]:
    """Write the files that a Space needs, and no others.

    Args:
        checkpoint: The checkpoint to serve.
        out: The folder to write to; it must be empty or not exist.
        repo: `USER/NAME` of the Space.
        hardware: The Hub's name of the hardware; see `packages`.
        title: Title of the page in the Space; None for the checkpoint's own.
        link: Link for each class in the Space; None for the checkpoint's own.

    Returns:
        The files, relative to `out`, sorted.

    Raises:
        FileNotFoundError: There is no checkpoint.
        ValueError: The checkpoint cannot be used, `out` is not empty, or a name or text is refused.
    """
    require_name(repo)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty. Choose an empty folder, or one that does not exist.")
    public = publish.write(
        checkpoint.folder, out / _CHECKPOINT, name=checkpoint.repo, title=title, link=link
    )
    for pattern in _PACKED:
        for path in sorted(_ROOT.glob(pattern)):
            place = out / path.relative_to(_ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    _require(out, packages(public.backbone, hardware))
    (out / "README.md").write_text(card(public, checkpoint, repo), encoding="utf-8")
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())


def _require(out: Path, wanted: Packages) -> None:
    """Write the list of packages under the only name that the Hub reads."""
    shutil.copyfile(_ROOT / wanted.file, out / _REQUIREMENTS)


def deploy(
    checkpoint: Located,
    repo: str,
    *,
    hardware: str = AUTO,
    private: bool = False,
    title: str | None = None,
    link: str | None = None,
) -> Uploaded:
    """Make or update a Space that serves a checkpoint.

    Args:
        checkpoint: The checkpoint to serve.
        repo: `USER/NAME` of the Space.
        hardware: The Hub's name of the hardware for a new Space; `auto` is cpu-basic, or ZeroGPU
            if the account would have to pay for cpu-basic.
        private: Whether to make a new Space private.
        title: Title of the page in the Space; None for the checkpoint's own.
        link: Link for each class in the Space; None for the checkpoint's own.

    Returns:
        The address of the Space, and whether it is new.

    Raises:
        FileNotFoundError: There is no checkpoint.
        HubError: The upload failed.
        ValueError: The checkpoint, a name or a text cannot be used.
    """
    backbone = load(checkpoint.folder).backbone
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "space")
        assemble(checkpoint, folder, repo, title=title, link=link)
        return upload(
            folder,
            repo,
            kind="space",
            private=private,
            replaces=_REPLACED,
            hardware=asked_for(hardware),
            fit=lambda granted: _require(folder, packages(backbone, granted)),
        )


def short_description(class_names: list[str], title: str = "") -> str:
    """Describe a classifier in at most 60 characters: its question, and the first classes."""
    text = title or f"Which of {len(class_names)}?"
    if len(text) > _SHORT - 2:
        return text if len(text) <= _SHORT else f"{text[: _SHORT - 1].rstrip()}…"
    for number, name in enumerate(class_names):
        longer = f"{text}{',' if number else ''} {' '.join(name.split())}"
        if len(longer) > _SHORT - 2:
            return text if number == 0 else f"{text} …"
        text = longer
    return text


def card(checkpoint: Checkpoint, located: Located, repo: str) -> str:
    """Write a Space's README.md.

    Args:
        checkpoint: The checkpoint that the Space serves.
        located: Where that checkpoint was found.
        repo: `USER/NAME` of the Space.

    Returns:
        Markdown; the front matter configures the Space.
    """
    title = checkpoint.page.title or f"Frostflower: {checkpoint.metrics['data']['name']}"
    settings: dict[str, Any] = {
        "title": title,
        "emoji": "🌸",
        "colorFrom": "green",
        "colorTo": "purple",
        "sdk": "gradio",
        "sdk_version": gr.__version__,
        "python_version": PYTHON_VERSION,
        "app_file": "demo/app.py",
        "short_description": short_description(checkpoint.class_names, checkpoint.page.title),
        "license": "apache-2.0",
        "tags": ["image-classification", TAG, "transfer-learning"],
    }
    if located.repo:
        settings["models"] = [located.repo]
    # JSON is also YAML; it quotes every text, and a name may contain any character.
    front = "\n".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()
    )
    return f"""---
{front}
---

# {title}

Upload a photograph: the page names the most probable of {len(checkpoint.class_names)} classes, and
shows how sure the classifier is and where it looked.

{results_table(checkpoint.metrics)}

{trust_text(checkpoint)}

Not in this Space: {publish.LEFT_OUT}.

```python
from gradio_client import Client, handle_file

Client("{repo}").predict(handle_file("photograph.jpg"), api_name="/predict")
```

Made with Frostflower (Apache-2.0). `{_CHECKPOINT}/README.md` says more about the checkpoint.
"""
