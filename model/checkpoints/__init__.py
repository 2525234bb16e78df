"""The checkpoint folder: its contents, how it is written and read, and where to find one."""
