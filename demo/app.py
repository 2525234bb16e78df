"""The program that a Hugging Face Space runs: `python demo/app.py`.

The variable CHECKPOINT names the checkpoint (a folder, or USER/NAME[@REVISION] on the Hub). Without
it, the program serves demo/checkpoint, where `python -m demo deploy` puts the checkpoint, or else
the shipped flowers. The variable ALLOW_ORIGIN lists other sites that may use the Space from a
visitor's browser, separated by spaces.
"""

import atexit
import os
import sys
from pathlib import Path

# `python demo/app.py` puts only demo/ on the path; imports need the folder above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo import gpu  # noqa: F401  (before torch; demo/gpu.py says why)
from demo.memory import share_arenas
from demo.page import MAX_BYTES, build
from demo.serve import launch, wait_until_stopped
from demo.uploads import UploadFolder
from model.checkpoints.checkpoint import SHIPPED
from model.classifier import Classifier

share_arenas()
deployed = Path(__file__).resolve().parent / "checkpoint"
uploads = UploadFolder().__enter__()
atexit.register(uploads.__exit__)
classifier = Classifier(
    os.environ.get("CHECKPOINT") or (deployed if deployed.is_dir() else SHIPPED)
)
demo = build(classifier)

if __name__ == "__main__":
    origins = os.environ.get("ALLOW_ORIGIN", "").split()
    address = launch(demo, max_bytes=MAX_BYTES, uploads=uploads, allow_origins=origins)
    print(f"Serving on {address} with {classifier.backbone.device_text}.", flush=True)
    wait_until_stopped(demo)
