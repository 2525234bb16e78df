"""The About tab: what it is, how it was trained, its limits, and how to call it."""

import gradio as gr

from demo.markup import html, join, show, text
from model.checkpoints.checkpoint import Checkpoint

_LIMITS = """### Limits

- "None of these" is a warning, not a wall: what looks much like one of the classes can pass, and a
  known class photographed in an unusual way can be refused.
- The figures hold for photographs like those it was trained on; another camera, season or style can
  lower them.
- Do not use it to decide whether a plant is safe to eat or touch.
"""

_API = """### Call it

```python
from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860")  # or a Space: "USER/NAME"
client.predict(handle_file("photograph.jpg"), api_name="/predict")
```

It returns two values: `{"label": …, "confidences": [{"label": …, "confidence": …}, …]}`, and
`{"top": […], "set": […], "none_of_these": …, "unknown_score": …, "evidence": …}`.
"""


def about_tab(checkpoint: Checkpoint, device: str) -> None:
    """Lay out the tab inside a `gr.Tab`.

    Args:
        checkpoint: The checkpoint.
        device: The device in words.
    """
    rows = join(
        html("<tr><th>{name}</th><td>{value}</td></tr>", name=name, value=value)
        for name, value in _facts(checkpoint, device).items()
    )
    show(html('<div class="ff-panel"><table class="ff-table">{rows}</table></div>', rows=rows))
    with gr.Row():
        for words in (_LIMITS, _API):
            with gr.Column(min_width=320):
                gr.Markdown(words, container=True, elem_classes="ff-markdown")
    names = sorted(checkpoint.class_names, key=str.casefold)
    with gr.Accordion(f"All {len(names)} classes", open=False):
        show(text(join(names, ", ")))


def _facts(checkpoint: Checkpoint, device: str) -> dict[str, str]:
    training, data = checkpoint.training, checkpoint.metrics["data"]
    transforms, pooled = checkpoint.backbone.transforms, checkpoint.backbone.pooled_text
    members = " and ".join(f"{m.name} ({m.image_size} px)" for m in checkpoint.backbone.members)
    counts = ", ".join(f"{count:,} {split}" for split, count in data["photographs"].items())
    return {
        "Backbone": f"{members}, pretrained and frozen{pooled}",
        "Head": f"{training['head_text']} on {len(checkpoint.head.mean):,} features",
        "Training": training["text"],
        "Data": f"{data['name']}: {counts} photographs",
        "Framing": f"{transforms.framing}, {transforms.image_size} px; "
        f"averages over {' and '.join(checkpoint.views)}",
        "Runs on": device,
    }
