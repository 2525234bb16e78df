"""Serve a checkpoint in the browser.

python -m demo                                   the shipped flower classifier
python -m demo --checkpoint runs/roses --port 8080
python -m demo --share                           with a public address
"""

import argparse
import sys
from pathlib import Path

from demo.batch import BATCH
from model import console
from model.checkpoint import SHIPPED


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: What stands behind `python -m demo`; by default the process's own.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        prog="python -m demo", description=__doc__, formatter_class=console.HelpFormatter
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=SHIPPED,
        metavar="DIR",
        help="checkpoint folder (default: the shipped flowers)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    parser.add_argument("--share", action="store_true", help="make a public Gradio address too")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors to sign in")
    parser.add_argument(
        "--max-file-size", default="10mb", metavar="SIZE", help="largest upload, such as 10mb"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="auto: CUDA or CPU"
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=BATCH,
        metavar="N",
        help="photographs of the API that are classified together, at most",
    )
    console.add_cache_dir(parser)
    return parser.parse_args(arguments)


def sign_in(text: str | None) -> tuple[str, str] | None:
    """Split `USER:PASSWORD`.

    Raises:
        ValueError: A part is missing. The text itself is not repeated, it may be a secret.
    """
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise ValueError("--auth must be USER:PASSWORD.")
    return user, password


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Returns:
        Exit status 0.

    Raises:
        ValueError: A wrong option, or a checkpoint that cannot be used.
    """
    from demo import gpu  # noqa: F401  (before torch, see there)
    from demo.serve import launch
    from demo.ui import build, parse_size
    from model.classifier import Classifier

    if options.batch < 1:
        raise ValueError(f"--batch {options.batch} must be 1 or more.")
    auth = sign_in(options.auth)
    max_bytes = parse_size(options.max_file_size)
    classifier = Classifier(options.checkpoint, device=options.device, cache_dir=options.cache_dir)
    if classifier.backbone.note:
        print(f"Note: {classifier.backbone.note}")
    demo = build(classifier, max_bytes=max_bytes, batch=options.batch)
    local, public = launch(
        demo,
        max_bytes=max_bytes,
        server_name=options.host,
        server_port=options.port,
        auth=auth,
        share=options.share,
    )
    name = options.checkpoint.name
    print(f"Serving {name} on {local} with {classifier.backbone.device_text}. Ctrl-C ends it.")
    if public:
        print(f"Public address: {public}")
    elif options.share:
        print(
            "No public address: Gradio's tunnel could not be made (is there a network?). "
            "The page is served on this machine only."
        )
    sys.stdout.flush()
    demo.block_thread()
    return 0


if __name__ == "__main__":
    parsed = parse()
    sys.exit(console.run("python -m demo", lambda: main(parsed)))
