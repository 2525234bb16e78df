"""Theme, style sheets, scripts and logo. Only system fonts are used, none from other sites."""

from pathlib import Path

import gradio as gr

from demo.markup import html, join

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    secondary_hue=gr.themes.colors.violet,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    spacing_size=gr.themes.sizes.spacing_md,
    text_size=gr.themes.sizes.text_md,
    font=("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
).set(
    body_background_fill="#f6f8f9",
    body_background_fill_dark="#10171c",
    block_background_fill="#ffffff",
    block_background_fill_dark="#18222a",
    block_border_color="#dfe6ea",
    block_border_color_dark="#2a3842",
    block_shadow="0 1px 2px rgb(16 23 28 / 5%)",
    block_label_background_fill="*block_background_fill",
    block_label_background_fill_dark="*block_background_fill",
    block_label_border_width="0",
    table_even_background_fill="transparent",
    table_even_background_fill_dark="transparent",
    table_odd_background_fill="transparent",
    table_odd_background_fill_dark="transparent",
    input_background_fill_dark="#10171c",
    body_text_color_subdued="#55646e",
    body_text_color_subdued_dark="#9fb0ba",
    block_label_text_color="#55646e",
    block_label_text_color_dark="#9fb0ba",
    link_text_color="#0f766e",
    link_text_color_dark="#5eead4",
)

_STATIC = Path(__file__).resolve().parent / "static"

STYLES = sorted(_STATIC.glob("*.css"))
"""The style sheets, one for each part of the page; their order does not matter."""

HEAD = _STATIC / "head.html"
"""HTML for the head of the page: the script for buttons that several parts use."""


def script(name: str) -> str:
    """Return the JavaScript of a part of the page.

    Args:
        name: Name of the file in `static/`, without `.js`.
    """
    return (_STATIC / f"{name}.js").read_text(encoding="utf-8")


_ARM = """<path d="M24 24V4M24 11l-5-4M24 11l5-4"/>
<path d="M24 21c-4-3-4.5-7 0-10 4.5 3 4 7 0 10Z" fill="currentColor" fill-opacity=".18"
 stroke-width="1.6"/>"""

LOGO = html(
    """<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.4"
 stroke-linecap="round" aria-hidden="true"><g id="ff-arm">{arm}</g>{arms}<circle cx="24" cy="24"
 r="2.6" fill="currentColor"/></svg>""",
    arm=html(_ARM),
    arms=join(
        html('<use href="#ff-arm" transform="rotate({angle} 24 24)"/>', angle=angle)
        for angle in range(60, 360, 60)
    ),
)
