"""The terminal under the REPL: whether Ctrl-C interrupts, and how lines end. Small, as main runs.

The supervisor made it raw, reads ISIG there, and interrupts. Ctrl-C interrupts while code runs and
is a byte at the prompt. Code that reads binary data turns it off with `micropython.kbd_intr(-1)`,
as on a board, and line ends are then left alone too.
"""

import sys
import termios

import micropython

_ISIG, _OPOST_ONLCR = 1, 5

cooked = True  # line ends are translated: the friendly prompt, and main


def set_mode(signals, ends):
    """Whether Ctrl-C is a signal, and line ends are translated."""
    settings = termios.tcgetattr(0)
    settings[1] = settings[1] & ~_OPOST_ONLCR | (_OPOST_ONLCR if ends else 0)
    settings[3] = settings[3] & ~_ISIG | (_ISIG if signals else 0)
    termios.tcsetattr(0, 0, settings)


class _MicroPython:
    """The module `micropython`, whose kbd_intr also reaches the terminal."""

    def __getattr__(self, name):
        return getattr(micropython, name)

    def kbd_intr(self, char):
        """Ctrl-C interrupts (3), or is a byte like any other (-1)."""
        if char == 3:
            micropython.kbd_intr(char)  # before the supervisor sees that it may signal
        set_mode(char == 3, char == 3 and cooked)
        if char != 3:
            micropython.kbd_intr(char)


def deaf():
    """Ctrl-C is a byte from here on, though one comes meanwhile. As in `pyexec.c` this follows
    whatever ran: an interrupt outside of the `try` around that would end the board."""
    while True:
        try:
            set_mode(False, cooked)
            for _ in (0,):  # MicroPython raises at the jump of a loop what it only noted so far
                pass
            return
        except KeyboardInterrupt:
            pass


def attach():
    """Have `micropython.kbd_intr` reach the terminal."""
    sys.modules["micropython"] = _MicroPython()
