"""The firmware on a microcontroller's instruction set: `make bench-rv32`."""
