"""What scale.py measures in a process of its own besides training."""
