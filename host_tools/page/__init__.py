"""The fleet as a page: it only reads, shows changes as they come, and is for this machine alone."""
