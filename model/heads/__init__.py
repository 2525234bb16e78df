"""What is trained: a head on frozen features, and how one is fitted."""
