"""The house: every room uses only rooms below it, and no file knows who knows it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ROOMS = (  # from the bottom up; those in one line do not use one another
    ("cache", "hub", "recipes", "shell"),
    ("photographs",),
    ("backbones",),
    ("features",),
    ("splits",),
    ("loading",),
    ("heads",),
    ("trust",),
    ("explain",),
    ("audit",),
    ("checkpoints",),
    ("classifier",),
    ("evaluation", "predictions", "race", "verify"),
    ("training",),
    ("sharing",),
    ("serving",),
    ("commands",),
    ("__main__",),
)
FLOORS = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def imports(source: str) -> Iterator[str]:
    """Every module that is imported, at the top, in a function or for types alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def arrows_up(module: str, source: str) -> list[str]:
    """The imports of a module of `model` that lead to a room on its own floor or above."""
    room, found = room_of(module), []
    for other in imports(source):
        used = room_of(other) if other.startswith("model.") else ""
        if used in FLOORS and used != room and FLOORS[used] >= FLOORS[room]:
            found.append(f"{module} -> {other}")
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of modules, or nothing."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if found := visit(other, [*path, module]):
                return found
        done.add(module)
        return []

    for module in sorted(graph):
        if found := visit(module, []):
            return found
    return []


def files(package: str) -> dict[str, str]:
    """Module name -> source."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_an_arrow_up_is_found_wherever_it_stands():
    up = (
        "from model.training import train",
        "def f():\n    from model.commands import console",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import model.classifier",
        "from model import training",
    )
    for source in up:
        assert arrows_up("model.heads.fit", source), source
    assert arrows_up("model.verify", "from model.predictions import x"), "the same floor"
    down = "from model.photographs import images\nfrom model.heads.head import Head\nimport numpy"
    assert not arrows_up("model.heads.fit", down)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_every_room_uses_only_rooms_below_it():
    found = [
        arrow
        for module, source in files("model").items()
        if module != "model.__init__"
        for arrow in arrows_up(module, source)
    ]
    assert not found


def test_no_two_files_import_one_another():
    for package in ("model", "demo"):
        sources = files(package)
        graph = {
            module: {other for other in imports(source) if other in sources}
            for module, source in sources.items()
        }
        assert not circle(graph)


def test_every_file_of_the_library_is_in_a_room():
    rooms = {room_of(module) for module in files("model")} - {"__init__"}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize(
    ("package", "forbidden", "except_in"),
    [
        ("model", "gradio", ()),
        ("model", "demo", ()),
        ("model", "argparse", ("model.commands",)),
        ("demo", "timm", ()),
        ("demo", "torch", ()),
    ],
)
def test_what_a_package_never_imports(package: str, forbidden: str, except_in: tuple[str, ...]):
    found = [
        module
        for module, source in files(package).items()
        if not module.startswith(except_in or ("-",))
        for other in imports(source)
        if other.split(".")[0] == forbidden
    ]
    assert not found


def test_the_library_never_prints():
    for module, source in files("model").items():
        if not module.startswith("model.commands"):
            names = [node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
            assert "print" not in names, module


def test_the_classifier_is_imported_when_it_is_asked_for():
    program = (
        "import sys, model; heavy = {'torch', 'timm', 'gradio', 'numpy', 'PIL'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "from model import Classifier; from model.classifier import Classifier as same;"
        "assert Classifier is same;"
        "assert not {'torch', 'timm', 'gradio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_what_the_library_does_not_have_is_an_ordinary_error():
    import model

    with pytest.raises(AttributeError, match="has no attribute 'Klassifier'"):
        _ = model.Klassifier  # type: ignore[attr-defined]
