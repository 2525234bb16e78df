"""README and docs: what they name exists, and what they tell people to type can be parsed."""

import contextlib
import importlib.util
import io
import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import train
from demo import __main__ as demo
from examples import digits_as_files, onnx_predict
from model.commands import main as model

ROOT = Path(__file__).resolve().parent.parent
AT_THE_ROOT = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCS = [
    *(ROOT / name for name in AT_THE_ROOT if (ROOT / name).exists()),
    *sorted((ROOT / "docs").glob("*.md")),
]
README, MAP = ROOT / "README.md", ROOT / "docs" / "how-it-works.md"

PARSERS: dict[str, Callable[[list[str]], object]] = {
    "train.py": train.parse,
    "examples/digits_as_files.py": digits_as_files.parse,
    "examples/onnx_predict.py": onnx_predict.parse,
    "-m model": model.parse,
    "-m demo": demo.parse,
}
OF_OTHERS = {"--no-cache-dir", "--dist"}  # pip's and pytest-xdist's

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:model|demo|tests|benchmarks|examples|docs)/[\w./-]+)`")
PLACEHOLDERS = re.compile(r"COMMAND|…|\.\.\.")

Words = list[str]


def each(*paths: Path) -> pytest.MarkDecorator:
    ids = [path.relative_to(ROOT).as_posix() for path in paths]
    return pytest.mark.parametrize("path", paths, ids=ids)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def simple_commands(line: str) -> Iterator[Words]:
    """What a line of a shell runs, one after the other; comments are left out."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = "#"
    command: Words = []
    for word in [*words, ";"]:
        if word in ("&&", ";", "||", "|"):
            if command:
                yield command
            command = []
        else:
            command.append(word)


def typed(text: str) -> list[Words]:
    """The commands of its shell blocks."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [command for line in lines for command in simple_commands(line)]


def quoted(text: str) -> list[Words]:
    """The commands of its sentences, which may be incomplete."""
    found = re.findall(r"`((?:time )?(?:python3?|pip) [^`]+)`", prose(text))
    return [command for span in found for command in simple_commands(" ".join(span.split()))]


def program(words: Words) -> tuple[str, Words]:
    """A program of ours, or a script or module of others, and its arguments."""
    assert words[0] in ("python", "python3")
    first = 3 if words[1] == "-m" else 2
    return " ".join(words[1:first]), words[first:]


@cache
def help_of(name: str, *command: str) -> str:
    """What `--help` prints; of a benchmark, what it adds to its parser."""
    if name in PARSERS:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            PARSERS[name]([*command, "--help"])
        return out.getvalue()
    source = read(ROOT / name)
    assert "argparse" in source or name.startswith("docs/"), name
    shared = {"add_cache_dir": "--cache-dir", "add_max_pixels": "--max-pixels"}
    added = [flag for function, flag in shared.items() if function in source]
    return " ".join([*re.findall(r'"(--[a-z][a-z-]*)"', source), *added])


def subcommand(name: str, arguments: Words) -> Words:
    has_some = name == "-m model" or (name == "-m demo" and arguments[:1] == ["deploy"])
    return arguments[:1] if has_some else []


def check_python(words: Words) -> None:
    name, arguments = program(words)
    if name == "-c":
        return
    if name.startswith("-m ") and name not in PARSERS:
        assert importlib.util.find_spec(name.removeprefix("-m ")), words
        return
    if name not in PARSERS:
        assert (ROOT / name).is_file(), words
    command = [] if PLACEHOLDERS.search(" ".join(arguments)) else subcommand(name, arguments)
    flags = FLAG.findall(" ".join(arguments))
    unknown = set(flags) - set(FLAG.findall(help_of(name, *command)))
    assert help_of(name, *command), words
    assert not unknown, f"{' '.join(words)}: {unknown}"


def check_pip(words: Words) -> None:
    for option, value in itertools.pairwise(words):
        if option in ("-r", "-c") and value != "FILE":
            assert (ROOT / value).is_file(), words


def check(words: Words) -> None:
    if words[0] in ("python", "python3"):
        check_python(words)
    elif words[0] == "pip":
        check_pip(words)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(path: Path) -> set[str]:
    return {slug(found) for found in re.findall(r"^#+ (.+)$", prose(read(path)), re.MULTILINE)}


def broken_links(path: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose(read(path))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@each(*DOCS)
def test_what_people_shall_type_can_be_parsed(path: Path):
    for words in typed(read(path)):
        check(words)
        name, arguments = program(words) if words[0] == "python" else ("", [])
        if name in PARSERS:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                try:
                    PARSERS[name](arguments)
                except SystemExit:
                    pytest.fail(f"{' '.join(words)}: {said.getvalue()[-300:]}")


@each(*DOCS)
def test_commands_in_sentences_exist_with_their_flags(path: Path):
    for words in quoted(read(path)):
        check(words[1:] if words[0] == "time" else words)


@each(*DOCS)
def test_every_flag_that_is_named_exists(path: Path):
    known = set(OF_OTHERS)
    commands: Sequence[Words] = [[name] for name in ("predict", "evaluate", "audit", "race")]
    commands = [*commands, ["export"], ["verify"], ["push"]]
    programs = [*PARSERS, *(f"benchmarks/{one.name}" for one in (ROOT / "benchmarks").glob("*.py"))]
    for name in programs:
        if name in PARSERS or "argparse" in read(ROOT / name):  # else it is a part of others
            known |= set(FLAG.findall(help_of(name)))
    for command in commands:
        known |= set(FLAG.findall(help_of("-m model", *command)))
    known |= set(FLAG.findall(help_of("-m demo", "deploy")))
    quoted_messages = re.sub(r'"[^"]*"', "", prose(read(path)))
    assert set(FLAG.findall(quoted_messages)) <= known


@each(*DOCS)
def test_every_link_leads_somewhere(path: Path):
    assert not broken_links(path)


@each(*DOCS)
def test_every_file_that_is_named_exists(path: Path):
    for name in NAMED.findall(prose(read(path))):
        assert (ROOT / name).exists(), name


@each(*DOCS)
def test_every_python_example_is_python(path: Path):
    for source in blocks(read(path), "python"):
        compile(source, str(path), "exec")


def test_what_does_not_exist_is_found(tmp_path: Path):
    wrong = (
        "python -m model predikt a.jpg",
        "python -m model predict a.jpg --jsn",
        "python -m demo --checkpoints runs/a",
        "python nowhere.py",
        "python -m nomodule",
        "python benchmarks/startup.py --round 3",
        "pip install -r requirements-nowhere.txt && python -m demo",
    )
    for line in wrong:
        with pytest.raises(AssertionError):
            for words in simple_commands(line):
                check(words)
    page = tmp_path / "page.md"
    page.write_text("# A title\n\n[a](#a-title) [b](page.md#b) [c](c.md) [d](https://e.org)\n")
    assert broken_links(page) == ["page.md#b", "c.md"]


def test_readme_is_short_and_leads_to_every_document():
    text = read(README)
    assert len(text.splitlines()) <= 180
    linked = {link.partition("#")[0] for link in LINK.findall(text)}
    assert {path.relative_to(ROOT).as_posix() for path in DOCS if path.parent != ROOT} <= linked


def rows_of_the_map() -> Iterator[str]:
    """The paths that the map in docs/how-it-works.md names."""
    (body,) = [block for block in blocks(read(MAP), "") if block.startswith("train.py")]
    folders: list[str] = []
    for line in body.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if depth > len(folders):
            continue  # what a long line says in a second one
        folders = folders[:depth]
        names = re.split(r"  +", line.strip())[0].split(", ")
        yield from ("".join(folders) + name for name in names)
        folders.append(names[0])


def test_the_map_agrees_with_the_folders():
    named = {path.rstrip("/") for path in rows_of_the_map()}
    assert not [path for path in named if not (ROOT / path).exists()]
    rooms = {
        path.relative_to(ROOT).as_posix()
        for path in [*(ROOT / "model").iterdir(), *(ROOT / "demo").iterdir()]
        if path.is_dir() or (path.parent.name == "model" and path.suffix == ".py")
    }
    left_out = {path for path in rooms if path.rpartition("/")[2].startswith("__")}
    assert rooms - left_out <= named
