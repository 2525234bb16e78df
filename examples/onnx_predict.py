"""Classify photographs with an exported ONNX file, without Frostflower.

    python -m model export --onnx flowers.onnx
    python examples/onnx_predict.py flowers.onnx flower.jpg --json

Copy this file to wherever you need it: it uses nothing but onnxruntime, numpy and pillow. Class
names, framing and thresholds come from the metadata of the ONNX file. The mirror image, the
temperature, the prediction set and the unknown score are computed inside it. HEIC files need the
package pillow-heif as well.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime's wheels report to Microsoft
import onnxruntime


def read(path: str, least_side: int) -> Image.Image:
    """Read a photograph as Frostflower does: upright, RGB, transparent places white.

    Args:
        path: The file.
        least_side: A larger JPEG may be decoded at a part of its size, as long as its short side
            keeps this many px. That is quicker.

    Returns:
        The photograph.

    Raises:
        OSError: It cannot be read.
    """
    with Image.open(path) as opened:
        opened.draft(None, (least_side, least_side))
        upright = ImageOps.exif_transpose(opened)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")


def frame(image: Image.Image, transforms: dict[str, Any]) -> np.ndarray:
    """Make the square that the network sees.

    Args:
        image: The photograph.
        transforms: From the metadata of the ONNX file.

    Returns:
        uint8 `[size, size, 3]`.
    """
    size, (width, height) = transforms["size"], image.size
    resample = Image.Resampling[transforms["interpolation"].upper()]
    if transforms["framing"] == "pad":
        scale = size / max(width, height)
        inner = image.resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), resample
        )
        canvas = Image.new("RGB", (size, size), tuple(transforms["fill"]))
        canvas.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
        return np.asarray(canvas)
    box = None
    if transforms["framing"] == "crop":
        side = min(width, height) * transforms["crop_pct"]
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), resample, box))


class OnnxClassifier:
    """An exported classifier."""

    def __init__(self, path: str) -> None:
        """Load the file and what its metadata says.

        Args:
            path: The ONNX file.
        """
        self.session = onnxruntime.InferenceSession(path)
        stored = self.session.get_modelmeta().custom_metadata_map
        self.class_names: list[str] = json.loads(stored["class_names"])
        self.transforms: dict[str, Any] = json.loads(stored["transforms"])
        self.thresholds: dict[str, float] = json.loads(stored["thresholds"])

    def predict(self, path: str, top: int = 5) -> dict[str, Any]:
        """Classify a photograph.

        Args:
            path: The file.
            top: How many classes to list.

        Returns:
            The fields of `python -m model predict --json` that the ONNX file can give.

        Raises:
            OSError: The photograph cannot be read.
        """
        image = read(path, self.transforms["least_side"])
        pixels = frame(image, self.transforms)[None]
        names = ["probabilities", "unknown_score", "set"]
        outputs = self.session.run(names, {"pixels": pixels})
        probabilities, score, inside = (np.asarray(output)[0] for output in outputs)
        order = np.argsort(-probabilities, kind="stable")
        return {
            "path": path,
            "top": [
                {"label": self.class_names[k], "probability": float(probabilities[k])}
                for k in order[:top]
            ],
            "set": [self.class_names[k] for k in order if inside[k]],
            "coverage": self.thresholds["coverage"],
            "none_of_these": bool(score > self.thresholds["unknown_threshold"]),
            "unknown_score": float(score),
        }


def in_words(prediction: dict[str, Any]) -> str:
    """Return a prediction as lines for people."""
    lines = [prediction["path"]]
    lines += [f"  {one['label']:<24}{one['probability']:7.1%}" for one in prediction["top"]]
    if prediction["none_of_these"]:
        lines.append("  Probably none of these.")
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="FILE.onnx", help="what `python -m model export` wrote")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="photographs")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="how many classes to list")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser.parse_args(arguments)


def main(options: argparse.Namespace) -> int:
    """Print a prediction for each photograph.

    Returns:
        Exit status: 1 if a photograph could not be read.
    """
    classifier, status = OnnxClassifier(options.model), 0
    for path in options.images:
        try:
            prediction = classifier.predict(path, options.top)
        except OSError as error:
            print(f"{path} cannot be read: {error}", file=sys.stderr)
            status = 1
            continue
        print(json.dumps(prediction) if options.json else in_words(prediction))
    return status


if __name__ == "__main__":
    sys.exit(main(parse()))
