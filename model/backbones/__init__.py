"""Frozen pretrained networks: framing, weights, pooling, and the engines that run them."""

import os

# ONNX Runtime's own wheels tell their maker what they run, and for how long. It is asked not to
# before it is first imported; whoever sets the variable to 0 lets it do so.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
