"""Keeps what a program says to a board's raw REPL off the screen of who runs the board.

`sluice flash`, `sluice doctor` and mpremote send code there, and their answers are bytes for a
program. They share the serial port with the log.
"""

import re

BEGUN = "another program uses the board's serial port"
_RAW = "raw REPL; CTRL-B to exit"
_OVER = re.compile(  # its own prompt again, or another start of the board
    r"MicroPython .*\bon\b|boot: |power: |end: |reset: (?!soft)"
)


class Screen:
    """What is worth showing, line by line."""

    def __init__(self) -> None:
        self._raw = False

    def shown(self, line: str) -> str | None:
        """The line to show for one of the board's; None for none."""
        if self._raw and _OVER.match(line):
            self._raw = False
        if self._raw:
            return None
        if line.endswith(_RAW):
            self._raw = True
            return BEGUN
        return line
