"""The checkpoint folder: what it holds, how it is written and read, and where one comes from."""
