"""Which of several classifiers the page shows: a row of radio buttons above it, and the address.

Each classifier has a part of the page of its own. Gradio takes a part that is not visible out of
the document and keeps what is in it, so ids do not repeat, a choice needs no request, and an answer
is still there when its visitor comes back. `gr.Radio` is not used: arrow keys do not move between
its buttons, and its label is not read aloud with them.
"""

import json
from collections.abc import Mapping, Sequence

import gradio as gr

from demo.markup import html, join
from demo.style import script

_BUTTONS = """<fieldset class="ff-chooser"><legend>Classifier</legend>{buttons}</fieldset>"""
_BUTTON = """<label><input type="radio" name="classifier" value="{number}"><span>{name}</span>
</label>"""

_CHOSEN = """() => {
  const titles = TITLES, chosen = document.querySelector("#classifier input:checked");
  document.title = titles[chosen.value];
  return titles.map((title, number) => ({__type__: "update", visible: number == chosen.value}));
}"""


def choose(names: Sequence[str]) -> gr.HTML:
    """Lay out the choice of a classifier: the one that the address asks for, else the first.

    Args:
        names: Names of the classifiers.

    Returns:
        The choice; `connect` makes it work.
    """
    buttons = join(html(_BUTTON, number=number, name=name) for number, name in enumerate(names))
    return gr.HTML(
        html(_BUTTONS, buttons=buttons), js_on_load=script("chooser"), elem_id="classifier"
    )


def connect(choice: gr.HTML, parts: Mapping[str, gr.Column], titles: Mapping[str, str]) -> None:
    """Show the part of the page that is chosen, and only that.

    Args:
        choice: The choice.
        parts: Name -> part, in the order of the choice.
        titles: Name -> title of the page.
    """
    chosen = _CHOSEN.replace("TITLES", json.dumps([titles[name] for name in parts]))
    choice.input(None, None, list(parts.values()), js=chosen, api_visibility="private")
