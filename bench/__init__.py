"""Measurements of the firmware, of the local cloud and of what lies between them."""
