"""Assigns photographs to training, validation and testing."""
