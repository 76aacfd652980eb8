"""/boot.py, for an image whose own `main` does not come so far: a trial of it ends all the same.

MicroPython runs /boot.py before any `main`, frozen or not. It arms the watchdog on trial, so an
image without an agent, or with one that cannot start, is taken back. It does not arm it anew after
a soft reset, or an image that resets softly again and again would feed it so.
"""

import os

from sluice.log import Log

_PATH = "/boot.py"
TEXT = b"""\
# Written by Sluice before it tries an image. A reset takes back an image on trial that hangs, or
# that stands at its prompt. Put code of your own below.
import machine

if machine.reset_cause() != machine.SOFT_RESET:
    try:
        from esp32 import Partition

        record = bytearray(32)
        for table in Partition.find(1, 0):
            for sector in (0, 1):
                table.readblocks(sector, record, 0)
                if record[24:28] == b"\\x01\\0\\0\\0":
                    machine.WDT(timeout=300_000)
    except Exception as error:
        print("boot.py:", error)
"""

log = Log("boot")


def write():
    """Put it there, unless there is one with code of somebody's. No update waits for it."""
    try:
        if _free():
            with open(_PATH + ".new", "wb") as file:
                file.write(TEXT)
            os.rename(_PATH + ".new", _PATH)
    except OSError as error:
        log.w("not written", error)


def _free():
    """Whether there is none, or one of comments, as MicroPython makes it."""
    try:
        with open(_PATH, "rb") as file:
            for line in file.read(2_048).split(b"\n"):
                line = line.strip()
                if line and not line.startswith(b"#"):
                    return False
    except OSError:
        pass
    return True
