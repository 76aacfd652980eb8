"""The fleet as a page: it only reads, and shows what changes as it changes."""
