"""A Hugging Face Space: exactly what it needs to serve a checkpoint, written down or uploaded."""

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

# ZeroGPU runs Python 3.10.13 and 3.12.12 (huggingface.co/docs/hub/spaces-zerogpu), this code needs
# 3.11; other hardware takes any version.
PYTHON_VERSION = "3.12.12"

_ROOT = Path(__file__).resolve().parent.parent
_CHECKPOINT = "demo/checkpoint"
_PACKED = ("demo/**/*.py", "demo/static/*", "model/**/*.py", "model/backbones/packaged/*")
_REPLACED = ("demo/*", "model/*")
_REQUIREMENTS = "requirements.txt"
_SHORT = 60  # characters; the Hub refuses a longer short_description


@dataclass(frozen=True)
class Packages:
    """What a Space installs.

    Attributes:
        file: The list at the root of this folder.
        text: Which one it is and why, in a sentence for people.
    """

    file: str
    text: str


def packages(backbone: BackboneSpec, hardware: str) -> Packages:
    """Choose what a Space installs: torch, which takes most of the time, only where it is used.

    Args:
        backbone: What it serves.
        hardware: The Hub's name of it; "" where it is not known.

    Returns:
        All packages, or those without torch: for a packaged backbone on a CPU.
    """
    where = hardware or "hardware that the Hub does not name"
    if not hardware.startswith("cpu-"):
        reason = f"it runs on {where}, which may be a GPU"
    elif not graphs.is_packaged(backbone):
        reason = f"its backbone {backbone.described} is not packaged"
    else:
        text = f"with a packaged backbone on {hardware} it needs no torch"
        return Packages("requirements-serve.txt", f"It installs requirements-serve.txt: {text}.")
    return Packages(_REQUIREMENTS, f"It installs requirements.txt, torch included: {reason}.")


def asked_for(hardware: str) -> tuple[str, ...]:
    """Return the hardware that `--hardware` stands for, the first choice first."""
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
    """Write what a Space needs, and nothing else.

    Args:
        checkpoint: The checkpoint to serve.
        out: The folder to write; it must be empty or not exist.
        repo: `USER/NAME` of the Space.
        hardware: As `packages`.
        title: As `PageTexts.changed`, for the copy in the Space.
        link: Likewise.

    Returns:
        The files, relative to `out`, sorted.

    Raises:
        FileNotFoundError: There is no checkpoint.
        ValueError: It cannot be used, `out` holds something, or a name or text is refused.
    """
    require_name(repo)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty. Choose a folder that is, or that does not exist.")
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
    """Write what a Space installs, under the only name that the Hub reads."""
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
        hardware: The Hub's name of it for a new Space; `auto` is cpu-basic, and ZeroGPU where that
            needs payment.
        private: Make a new Space private.
        title: As `assemble`.
        link: As `assemble`.

    Returns:
        Where it is.

    Raises:
        FileNotFoundError: There is no checkpoint.
        HubError: The upload failed.
        ValueError: As `assemble` and `upload`.
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
    """Describe a classifier in at most 60 characters: what it is asked, and the first classes."""
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
        checkpoint: What it serves.
        located: Where that came from.
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
    # JSON is YAML too, quotes every text, and takes whatever characters a name has.
    front = "\n".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()
    )
    return f"""---
{front}
---

# {title}

Upload a photograph: the page names the most probable of {len(checkpoint.class_names)} classes, says
how sure it is, and where it looked.

{results_table(checkpoint.metrics)}

{trust_text(checkpoint)}

Not in this Space: {publish.LEFT_OUT}.

```python
from gradio_client import Client, handle_file

Client("{repo}").predict(handle_file("photograph.jpg"), api_name="/predict")
```

Made with Frostflower (Apache-2.0). `{_CHECKPOINT}/README.md` says more of the checkpoint.
"""
