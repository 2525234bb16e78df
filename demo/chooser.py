"""Radio buttons above the page that choose one of several classifiers, also by the address.

Each classifier has its own part of the page. Gradio removes an invisible part from the document
but keeps its content, so ids stay unique, choosing needs no request, and an answer is still there
when the visitor returns to it. `gr.Radio` is not used because arrow keys do not move between its
buttons and screen readers do not read its label.
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
    """Lay out the choice of a classifier; the one in the address, or else the first, is chosen.

    Args:
        names: Names of the classifiers.

    Returns:
        The component; `connect` makes it work.
    """
    buttons = join(html(_BUTTON, number=number, name=name) for number, name in enumerate(names))
    return gr.HTML(
        html(_BUTTONS, buttons=buttons), js_on_load=script("chooser"), elem_id="classifier"
    )


def connect(choice: gr.HTML, parts: Mapping[str, gr.Column], titles: Mapping[str, str]) -> None:
    """Show only the part of the page that the visitor chooses.

    Args:
        choice: The component that `choose` returned.
        parts: Name -> part of the page, in the order of the buttons.
        titles: Name -> title of the page.
    """
    chosen = _CHOSEN.replace("TITLES", json.dumps([titles[name] for name in parts]))
    choice.input(None, None, list(parts.values()), js=chosen, api_visibility="private")
