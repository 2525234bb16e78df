"""Many photographs at once: receives them, shows a table of answers, and offers downloads."""
