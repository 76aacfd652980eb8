"""Someone at a terminal of their own, who runs `sluice console` there."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from patience import FUSE_S

# fmt: off
RED, GREEN, GREY, PLAIN = b"\x1b[1;31m", b"\x1b[32m", b"\x1b[90m", b"\x1b[0m"
# fmt: on


# No line is broken, however long the paths of a test's folder are.
SIZE = struct.pack("HHHH", 24, 400, 0, 0)


class Seat:
    """`sluice console` on a wide terminal of its own."""

    def __init__(self, port: Path, *words: str) -> None:
        self._screen, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, SIZE)
        command = [sys.executable, "-m", "sluice.cli", "console", "--port", str(port), *words]
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        os.set_blocking(self._screen, False)
        self._shown = b""  # and not asked for yet

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def read_until(self, wanted: bytes, deadline_s: float = FUSE_S) -> bytes:
        """All that was shown, up to and with `wanted`."""
        limit = time.monotonic() + deadline_s
        while wanted not in self._shown:
            assert time.monotonic() < limit, self._shown
            try:
                self._shown += os.read(self._screen, 4096)
            except BlockingIOError:
                time.sleep(0.005)
            except OSError:
                raise AssertionError(f"ended: {self._shown!r}") from None
        seen, found, self._shown = self._shown.partition(wanted)
        return seen + found

    def say(self, line: str, until: bytes = b">>> ") -> str:
        """Type a line; all that was shown until then, the line too."""
        self.type(line.encode() + b"\r")
        return self.read_until(until).decode()

    def rest(self) -> bytes:
        """All that is shown until the program ends."""
        limit, seen = time.monotonic() + FUSE_S, self._shown
        self._shown = b""
        while time.monotonic() < limit:
            over = self.process.poll() is not None
            try:
                seen += os.read(self._screen, 4096)
            except OSError:
                if over:
                    break
                time.sleep(0.005)
        return seen

    def end(self) -> int:
        """Its exit code; what it still shows is not looked at."""
        limit = time.monotonic() + FUSE_S
        while self.process.poll() is None and time.monotonic() < limit:
            with contextlib.suppress(OSError):
                os.read(self._screen, 4096)
            time.sleep(0.005)
        return self.process.wait(timeout=FUSE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)
