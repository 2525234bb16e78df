"""Which photographs are for training, for validation and for testing."""
