"""What the About tab consists of."""
