"""Frozen pretrained networks: framing, weights, pooling, and the engines that run them."""

import os

# ONNX Runtime's official wheels send usage data to their maker. This must be switched off before
# the first import; users who set the variable to 0 themselves allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
