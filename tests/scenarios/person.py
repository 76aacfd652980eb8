"""Someone at the board's serial port."""

import contextlib
import os
import time
from pathlib import Path

from patience import FUSE_S

PROMPT = b">>> "
CTRL_C = b"\x03"


class Person:
    """Types at the port and reads what comes."""

    def __init__(self, port: Path) -> None:
        self._port = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def type(self, text: bytes) -> None:
        """Press those keys."""
        os.write(self._port, text)

    def read_until(self, wanted: bytes, deadline_s: float = FUSE_S) -> bytes:
        """All that came, up to and with `wanted`."""
        seen = b""
        limit = time.monotonic() + deadline_s
        while wanted not in seen:
            assert time.monotonic() < limit, seen
            try:
                seen += os.read(self._port, 4096)
            except BlockingIOError:
                time.sleep(0.005)
        return seen

    def ignore(self) -> None:
        """Pass over what came so far."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._port, 65_536)

    def interrupt(self) -> str:
        """Press Ctrl-C; what was said until the prompt."""
        self.type(CTRL_C)
        return self.read_until(PROMPT).decode()

    def say(self, line: str, until: bytes = PROMPT, deadline_s: float = FUSE_S) -> str:
        """Type a line; what was answered, without the line, the prompt, and carriage returns."""
        self.type(line.encode() + b"\r")
        said = self.read_until(until, deadline_s).decode().replace("\r", "")
        return said.removeprefix(line + "\n").removesuffix(PROMPT.decode())

    def close(self) -> None:
        """Leave the port."""
        os.close(self._port)
