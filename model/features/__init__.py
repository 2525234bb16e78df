"""The pass over the files: each is checked, summarised and run through the backbone once."""
