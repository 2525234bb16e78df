"""The parts of cuda.py: shared values, drawn photographs, and everything that runs only once."""
