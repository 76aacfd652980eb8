"""The agent's version. A bundle of kind agent states the same."""

VERSION = "0.3.0"
