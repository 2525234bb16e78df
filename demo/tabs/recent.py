"""The visitor's last answers, which only the browser keeps; the server does not store them."""

from hashlib import sha256

import gradio as gr

from demo.markup import html
from demo.style import script
from model.checkpoints.checkpoint import Checkpoint

_PART = html(
    """<section class="ff-recent" aria-label="Your last answers"><div class="ff-recent-head">
<h2 tabindex="-1" data-part="title">Your last answers</h2>
<button type="button" data-part="clear" aria-label="Clear your last answers" hidden>Clear</button>
</div>
<p class="ff-text" data-part="empty">They appear here and are kept in this browser only.</p>
<ul data-part="list"></ul><div data-part="detail" class="ff-recent-detail" hidden></div>
<p class="ff-small" data-part="note" hidden>Kept in this browser only.</p></section>"""
)


def recent_part(checkpoint: Checkpoint, endpoint: str) -> gr.HTML:
    """Lay out the part; `static/recent.js` fills it.

    Args:
        checkpoint: The checkpoint of the classifier. Answers are kept apart for other classes.
        endpoint: Name of the endpoint. Answers are kept apart for other classifiers of the page.

    Returns:
        The component.
    """
    store = sha256("\0".join([endpoint, *checkpoint.class_ids]).encode()).hexdigest()[:16]
    return gr.HTML(_PART, js_on_load=script("recent"), elem_id="recent", store=store)
