"""Mosquitto, and the cloud's own client of it."""
