"""The parts of the About tab: facts, programs that use the page, and downloads."""
