"""Gets a board to its prompt whose program swallows Ctrl-C.

Ctrl-C is sent again and again, so that it also strikes between two of the program's `try`, or
before the program starts: a reset by DTR and RTS, or by the board's button, gives that chance.

source   ESP-IDF, "Boot Mode Selection": RTS pulls EN down, DTR pulls GPIO0, neither where both are
         set; the same of a chip's own USB. No board without these lines is reset
"""

import time

import serial

_CTRL_C = 8 * b"\x03"
_PAUSE_S = 0.02  # between such: a pty takes 4,096 bytes that nobody reads
_QUIET_S = 0.2  # without a byte, and what was sent has been answered
_PROMPTS = (  # the raw REPL's, too: what asked for it may have waited until the program ended
    b">>> ",
    b"raw REPL; CTRL-B to exit\r\n>",
)
_EN_S = 0.1  # for which EN stays down
_KEPT = 256  # bytes


def prompt(port: serial.SerialBase, limit_s: float) -> tuple[bool, bytes]:
    """Hold Ctrl-C until the prompt shows; whether it does, and the last that was heard."""
    heard, limit = b"", time.monotonic() + limit_s
    while time.monotonic() < limit:
        port.write(_CTRL_C)
        time.sleep(_PAUSE_S)
        heard = (heard + port.read(port.in_waiting))[-_KEPT:]
        if heard.endswith(_PROMPTS):
            heard = _quiet(port, heard)
            if heard.endswith(_PROMPTS):  # else the board is slow, and goes on saying it
                return True, heard
    return False, heard


def _quiet(port: serial.SerialBase, heard: bytes) -> bytes:
    """Take what else is said to what was sent; the last of all that was heard."""
    raw = b"-"
    while raw:
        time.sleep(_QUIET_S)
        raw = port.read(port.in_waiting)
        heard = (heard + raw)[-_KEPT:]
    return heard


def reset(port: serial.SerialBase) -> bool:
    """A hardware reset by DTR and RTS; False where the port has no such lines."""
    before = port.dtr, port.rts
    try:
        port.dtr = False  # GPIO0 stays up: no boot loader
        port.rts = True
        time.sleep(_EN_S)
        port.rts = False
        time.sleep(_EN_S)  # GPIO0 has been looked at
        port.dtr, port.rts = before
    except OSError:
        return False
    return True
