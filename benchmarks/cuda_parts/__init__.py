"""What cuda.py is made of: shared values, drawn photographs, and what is tried once."""
