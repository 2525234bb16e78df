"""Spaces: what one consists of, that it starts as the Hub starts it, and the Hub's refusals."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gradio as gr
import hub_stand_in
import pytest
import yaml
from huggingface_hub import SpaceCard

from demo import deploy as spaces
from demo.__main__ import parse
from model.backbones import graphs
from model.checkpoints.checkpoint import SHIPPED
from model.checkpoints.hub import Located
from model.commands import console
from model.hub import HubError

ROOT = Path(__file__).resolve().parents[2]
NAME = "alice/which-flower"


def local(folder: Path) -> Located:
    return Located(folder, "", str(folder), "")


def test_a_space_is_the_app_the_library_the_checkpoint_and_nothing_else(
    trained: Path, tmp_path: Path
):
    shutil.copytree(trained, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "notes.txt").write_text("mine")
    files = spaces.assemble(local(tmp_path / "checkpoint"), tmp_path / "space", NAME)
    names = {path.as_posix() for path in files}
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("demo", "model")
        for path in (ROOT / package).rglob("*.py")
    }
    packaged = {path.relative_to(ROOT).as_posix() for path in graphs.FOLDER.iterdir()}
    static = {path.relative_to(ROOT).as_posix() for path in (ROOT / "demo/static").iterdir()}
    assert static
    checkpoint = {f"demo/checkpoint/{path.name}" for path in trained.iterdir()}
    assert names == {"README.md", "requirements.txt", *modules, *static, *packaged, *checkpoint}
    everything = b"".join((tmp_path / "space" / path).read_bytes() for path in files)
    assert b"\xff\xd8\xff" not in everything  # no JPEG
    assert b"000.jpg" not in everything
    assert str(tmp_path).encode() not in everything


def test_the_card_configures_the_space(trained: Path, tmp_path: Path):
    spaces.assemble(local(trained), tmp_path / "space", NAME)
    text = (tmp_path / "space" / "README.md").read_text(encoding="utf-8")
    data = SpaceCard(text).data.to_dict()
    assert (data["sdk"], data["sdk_version"]) == ("gradio", gr.__version__)
    assert (tmp_path / "space" / data["app_file"]).is_file()
    assert len(data["short_description"]) <= 60
    assert data["license"] == "apache-2.0"
    assert "frostflower" in data["tags"]
    assert data["title"] == "Frostflower: photographs"
    assert re.search(r'^python_version: "3\.12\.12"$', text, re.MULTILINE)
    assert f'Client("{NAME}")' in text


def test_a_space_of_a_checkpoint_of_the_hub_names_it(trained: Path, tmp_path: Path):
    located = Located(trained, "bob/roses", "bob/roses@1", "")
    spaces.assemble(located, tmp_path / "space", NAME)
    card = SpaceCard.load(tmp_path / "space" / "README.md").data.to_dict()
    assert card["models"] == ["bob/roses"]


@pytest.mark.parametrize(
    "names", [["a"] * 40, ["x" * 80, "b"], ['"q": {y}', "#", "weiße\nBlüte"], ["daisy", "rose"]]
)
def test_a_short_description_is_short_whatever_the_classes_are(names: list[str]):
    text = spaces.short_description(names)
    assert len(text) <= 60
    assert "\n" not in text
    assert text.startswith(f"Which of {len(names)}?")


def test_names_with_the_characters_of_yaml_stay_as_they_are(trained: Path, tmp_path: Path):
    from model.checkpoints import checkpoint as checkpoints

    made = checkpoints.load(trained)
    made.metrics["data"]["name"] = 'a: "b" #c — é'
    text = spaces.card(made, local(trained), NAME)
    assert yaml.safe_load(text.split("---")[1])["title"] == 'Frostflower: a: "b" #c — é'


@pytest.mark.parametrize("title", ["Which flower is it?", "x" * 59, "x" * 61])
def test_a_short_description_begins_with_the_title(title: str):
    text = spaces.short_description(["daisy", "rose"], title)
    assert len(text) <= 60
    assert text.startswith(title[:59])
    assert ("daisy" in text) == (len(title) < 50)


def test_a_space_has_the_title_and_the_link_that_it_is_given(trained: Path, tmp_path: Path, capsys):
    from model.checkpoints import checkpoint as checkpoints

    def run(folder: Path, link: str) -> int:
        texts = ["--title", "Which flower is it?", "--link", link]
        places = ["--checkpoint", str(trained), "--dry-run", str(folder)]
        options = parse(["deploy", NAME, *texts, *places])
        return console.run("python -m demo", lambda: options.run(options))

    assert run(tmp_path / "space", "https://example.org/{label}") == 0
    text = (tmp_path / "space" / "README.md").read_text(encoding="utf-8")
    assert SpaceCard(text).data.to_dict()["title"] == "Which flower is it?"
    assert "\n# Which flower is it?\n" in text
    copy = checkpoints.load(tmp_path / "space" / "demo" / "checkpoint")
    assert (copy.page.title, copy.page.link) == (
        "Which flower is it?",
        "https://example.org/{label}",
    )
    capsys.readouterr()
    assert run(tmp_path / "other", "javascript:{label}") == 2
    assert "--link 'javascript:{label}' must be a link that begins" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_root_readme_names_the_same_python():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f'python_version: "{spaces.PYTHON_VERSION}"' in text


def test_a_dry_run_writes_into_an_empty_folder_only(trained: Path, tmp_path: Path, capsys):
    def run(folder: Path) -> int:
        options = parse(["deploy", NAME, "--checkpoint", str(trained), "--dry-run", str(folder)])
        return console.run("python -m demo", lambda: options.run(options))

    assert run(tmp_path / "new") == 0
    assert "demo/app.py" in capsys.readouterr().out.splitlines()
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 0
    assert run(tmp_path / "empty") == 2
    assert "is not empty" in capsys.readouterr().err


def deployed(standin: hub_stand_in.Hub) -> hub_stand_in.Repository:
    return standin.repositories["space", NAME]


def test_what_is_uploaded_is_what_a_dry_run_writes(
    standin: hub_stand_in.Hub, trained: Path, tmp_path: Path
):
    files = spaces.assemble(local(trained), tmp_path / "space", NAME)
    done = spaces.deploy(local(trained), NAME)
    assert done.url == f"{standin.endpoint}/spaces/{NAME}"
    assert (done.created, done.hardware, deployed(standin).hardware) == (True, *["cpu-basic"] * 2)
    uploaded = dict(deployed(standin).files() or {})
    del uploaded[".gitattributes"]
    assert uploaded == {path.as_posix(): (tmp_path / "space" / path).read_bytes() for path in files}
    assert len(deployed(standin).commits) == 2


def test_a_free_account_gets_zerogpu(standin: hub_stand_in.Hub, trained: Path):
    standin.free_account = True
    assert spaces.deploy(local(trained), NAME).hardware == "zero-a10g"
    assert deployed(standin).hardware == "zero-a10g"
    assert standin.requests["create"] == 2
    with pytest.raises(HubError, match=r"asks for payment \(402\).*--hardware zero-a10g"):
        spaces.deploy(local(trained), "alice/second", hardware="cpu-basic")


def required(standin: hub_stand_in.Hub) -> str:
    """What the Space installs, as the name of the file here that is the same."""
    content = (deployed(standin).files() or {})["requirements.txt"]
    names = ("requirements.txt", "requirements-serve.txt")
    (name,) = (name for name in names if (ROOT / name).read_bytes() == content)
    return name


def of_packaged(tmp_path: Path) -> Located:
    """The shipped checkpoint, without the evidence, which takes time."""
    folder = shutil.copytree(SHIPPED, tmp_path / "packaged")
    (folder / "evidence.safetensors").unlink()
    return local(folder)


def test_a_space_installs_torch_only_where_what_was_granted_may_use_it(
    standin: hub_stand_in.Hub, tmp_path: Path
):
    checkpoint = of_packaged(tmp_path)
    assert spaces.deploy(checkpoint, NAME).hardware == "cpu-basic"
    assert required(standin) == "requirements-serve.txt"
    for hardware in ("t4-small", "cpu-upgrade", "zero-a10g", ""):  # changed in its settings
        deployed(standin).hardware = hardware
        done = spaces.deploy(checkpoint, NAME)
        assert (done.created, done.hardware) == (False, hardware)
        expected = "requirements-serve.txt" if hardware == "cpu-upgrade" else "requirements.txt"
        assert required(standin) == expected, hardware
    del standin.repositories["space", NAME]
    standin.free_account = True
    assert spaces.deploy(checkpoint, NAME).hardware == "zero-a10g"
    assert required(standin) == "requirements.txt"


def test_a_space_whose_backbone_is_not_packaged_installs_torch(
    standin: hub_stand_in.Hub, trained: Path
):
    assert spaces.deploy(local(trained), NAME).hardware == "cpu-basic"
    assert required(standin) == "requirements.txt"


@pytest.mark.parametrize("choice", ["auto", "cpu-basic", "zero-a10g", "a100-large"])
def test_a_dry_run_writes_and_says_what_the_hardware_wants(choice: str, tmp_path: Path, capsys):
    places = [
        "--checkpoint",
        str(of_packaged(tmp_path).folder),
        "--dry-run",
        str(tmp_path / "space"),
    ]
    options = parse(["deploy", NAME, "--hardware", choice, *places])
    assert options.run(options) == 0
    light = choice in ("auto", "cpu-basic")
    name = "requirements-serve.txt" if light else "requirements.txt"
    written = (tmp_path / "space" / "requirements.txt").read_bytes()
    assert written == (ROOT / name).read_bytes()
    said = capsys.readouterr().out
    assert f"It installs {name}" in said
    assert ("needs no torch" in said) == light
    assert not (tmp_path / "space" / "requirements-serve.txt").exists()


def test_another_deploy_updates_the_space(standin: hub_stand_in.Hub, trained: Path):
    spaces.deploy(local(trained), NAME)
    space = deployed(standin)
    space.commit({**(space.files() or {}), "demo/old.py": b"", "mine.txt": b"kept"})
    assert not spaces.deploy(local(trained), NAME).created
    assert "demo/old.py" not in (space.files() or {})
    assert "mine.txt" in (space.files() or {})


def test_a_broken_upload_leaves_no_space_and_can_be_repeated(
    standin: hub_stand_in.Hub, trained: Path
):
    standin.refuse["commit"] = [500]
    with pytest.raises(HubError, match=r"failed \(500\).*was deleted again"):
        spaces.deploy(local(trained), NAME)
    assert not standin.repositories
    assert spaces.deploy(local(trained), NAME).created


def test_deploy_from_the_command_line_says_where_and_never_the_token(
    standin: hub_stand_in.Hub, trained: Path, tmp_path: Path
):
    standin.free_account = True
    environment = {
        **os.environ,
        "HF_ENDPOINT": standin.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": hub_stand_in.TOKEN,
    }

    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "demo", "deploy", *arguments, "--checkpoint", str(trained)],
            cwd=ROOT,
            env={**environment, **changed},
            capture_output=True,
            text=True,
            timeout=120,
        )

    done = run(NAME)
    assert done.returncode == 0, done.stderr
    assert "would have to pay for cpu-basic, so the Space runs on ZeroGPU" in done.stdout
    assert f"{standin.endpoint}/spaces/{NAME} was made" in done.stdout
    assert "It installs requirements.txt, with torch: the Space runs on zero-a10g" in done.stdout
    dry = run(NAME, "--dry-run", str(tmp_path / "dry"))
    assert dry.returncode == 0, dry.stderr
    failures = {
        "does not accept your token": run("alice/b", HF_TOKEN="hf_wrong"),
        "may not change bob/b": run("bob/b"),
        "cannot be reached": run("alice/b", HF_ENDPOINT="http://127.0.0.1:9"),
        "Expected USER/NAME": run("b"),
    }
    for message, failed in failures.items():
        assert failed.returncode == 2
        assert re.search(message, failed.stderr.splitlines()[-1]), failed.stderr
        assert "Traceback" not in failed.stderr
    for result in (done, dry, *failures.values()):
        assert hub_stand_in.TOKEN not in result.stdout + result.stderr
    files = [path for path in (tmp_path / "dry").rglob("*") if path.is_file()]
    uploaded = deployed(standin).files() or {}
    for content in (*(path.read_bytes() for path in files), *uploaded.values()):
        assert hub_stand_in.TOKEN.encode() not in content
