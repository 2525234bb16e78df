"""The parts of scale.py that run in separate processes, apart from training."""
