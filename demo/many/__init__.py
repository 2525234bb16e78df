"""Many photographs at once: what was sent, what was found, and what can be downloaded."""
