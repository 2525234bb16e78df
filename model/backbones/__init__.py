"""Frozen pretrained networks: framing, weights, pooling, and the engines that run them."""
