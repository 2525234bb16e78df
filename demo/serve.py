"""Launch the page, with the settings that the Space and the command line share."""

import os
from typing import Any

import gradio as gr

from demo.style import CSS, THEME


def launch(demo: gr.Blocks, *, max_file_size: str, **options: Any) -> tuple[str, str]:
    """Start serving in the background.

    Args:
        demo: The page.
        max_file_size: Largest upload, such as `10mb`.
        options: More of Gradio's `launch` options: host, port, sign-in, share.

    Returns:
        The local address, and the public one or "".

    Raises:
        ValueError: The port is in use.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        _, local, public = demo.launch(
            theme=THEME,
            css=CSS,
            max_file_size=max_file_size,
            run_history=False,
            ssr_mode=False,
            show_error=True,
            footer_links=["api"],
            quiet=True,
            prevent_thread_lock=True,
            **options,
        )
    except OSError as error:
        if "empty port" not in str(error):
            raise
        port = options.get("server_port") or os.environ.get("GRADIO_SERVER_PORT", "7860")
        raise ValueError(f"Port {port} is in use. Choose another with --port.") from error
    return local, public or ""
