"""The host side of Sluice: toolchain, simulated board, local cloud and the `sluice` command."""

__version__ = "0.3.0"
