"""HTML is made of values in one place, which escapes them, and in no other."""

import ast
import re
from pathlib import Path

import pytest
from markupsafe import Markup

from demo.markup import figures, html, join, panel, table, text

DEMO = Path(__file__).resolve().parents[2] / "demo"
TAG = re.compile(r"</?[a-zA-Z]")
EVIL = '<img src=x onerror="alert(1)">'


def faults(source: str) -> list[str]:
    """Find HTML that is put together by other means than `html` and `join`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            words = "".join(
                str(part.value) for part in node.values if isinstance(part, ast.Constant)
            )
            if TAG.search(words) and any(isinstance(p, ast.FormattedValue) for p in node.values):
                found.append(f"{node.lineno}: an f-string with tags")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            sides = (node.left, node.right)
            if any(_has_tag(side) for side in sides) and not all(map(_is_text, sides)):
                found.append(f"{node.lineno}: a text with tags joined to a value")
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            of_text = isinstance(node.func, ast.Attribute) and _has_tag(node.func.value)
            if name in ("format", "format_map", "replace", "join") and of_text:
                found.append(f"{node.lineno}: a text with tags and .{name}")
            if isinstance(node.func, ast.Name) and node.func.id == "Markup" and node.args:
                found.append(f"{node.lineno}: Markup of a value")
            if (
                isinstance(node.func, ast.Name)
                and node.func.id == "html"
                and not (node.args and _is_written_down(node.args[0]))
            ):
                found.append(f"{node.lineno}: a template that is not written in the source")
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _has_tag(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and bool(TAG.search(str(node.value)))


def _is_written_down(node: ast.AST) -> bool:
    """A text, or the name of one: of a constant, or assigned a text a few lines above."""
    return _is_text(node) or isinstance(node, ast.Name)


@pytest.mark.parametrize(
    "source",
    [
        "f'<b>{name}</b>'",
        "'<td>' + name",
        "name + '</td>'",
        "'<b>%s</b>' % name",
        "'<b>{}</b>'.format(name)",
        "'<b>NAME</b>'.replace('NAME', name)",
        "'<br>'.join(names)",
        "Markup(name)",
        "html(f'{name}')",
        "html(name + other)",
    ],
)
def test_html_put_together_by_hand_is_found(source: str):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "html('<b>{name}</b>', name=name)",
        "f'{a} < {b}'",
        "f'{count} classes'",
        "Markup()",
        "'a ' + name",
        "', '.join(names)",
    ],
)
def test_other_texts_are_let_pass(source: str):
    assert not faults(source)


def test_no_file_of_the_page_puts_html_together_by_hand():
    files = sorted(DEMO.rglob("*.py"))
    assert len(files) > 15
    found = {
        f"{path.relative_to(DEMO)}:{fault}"
        for path in files
        if path.name != "markup.py"
        for fault in faults(path.read_text(encoding="utf-8"))
    }
    assert not found


def test_names_of_templates_are_texts_of_the_same_file():
    for path in DEMO.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and _is_text(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                template = node.args[0] if node.func.id == "html" and node.args else None
                if isinstance(template, ast.Name) and path.name != "markup.py":
                    assert template.id in texts, f"{path}: {template.id}"


@pytest.mark.parametrize("value", [EVIL, [EVIL], {"a": EVIL}, (EVIL,), None, 1.5])
def test_every_value_is_escaped_whatever_it_is(value: object):
    for shown in (
        html('<p title="{value}">{value}</p>', value=value),
        join([value, value], EVIL),
        table([["a", value]], header=[value, value]),
        panel(str(value), text(value)),
        figures({str(value): str(value)}),
    ):
        assert "<img" not in shown
        assert 'onerror="' not in shown
        assert isinstance(shown, Markup)


def test_what_is_html_already_is_kept():
    assert html("<p>{b}</p>", b=html("<b>{x}</b>", x="<")) == "<p><b>&lt;</b></p>"
