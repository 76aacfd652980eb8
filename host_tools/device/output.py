"""What a board says, line by line, for whoever waits for it."""

import re
import threading
import time
from collections.abc import Callable

_TAIL = 25  # lines shown when a wait is in vain


class Output:
    """Lines in the order they came; safe to read from any thread."""

    def __init__(self, on_line: Callable[[str], None] | None = None):
        self.lines: list[str] = []
        self._on_line = on_line
        self._partial = b""
        self._news = threading.Condition()

    def say(self, line: str) -> None:
        """Add a line."""
        with self._news:
            self.lines.append(line)
            self._news.notify_all()
        if self._on_line:
            self._on_line(line)

    def feed(self, raw: bytes) -> None:
        """Add bytes; a line is said when it is complete, without what is not printable."""
        *whole, self._partial = (self._partial + raw).split(b"\n")
        for line in whole:
            self.say(_printable(line))

    def flush(self) -> None:
        """Say what is left of a line that will not be completed."""
        left, self._partial = self._partial, b""
        if _printable(left):
            self.say(_printable(left))

    def wake(self) -> None:
        """Have those who wait look again: the board ended."""
        with self._news:
            self._news.notify_all()

    def wait_for(
        self, pattern: str, deadline_s: float, after: int, alive: Callable[[], bool]
    ) -> re.Match:
        """The first line from index `after` that `pattern` matches anywhere.

        raises  TimeoutError with the last lines, also when the board ended without it
        """
        limit = time.monotonic() + deadline_s
        seen = after
        with self._news:
            while True:
                ended = not alive()
                for line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                seen = max(seen, len(self.lines))
                left = limit - time.monotonic()
                if left <= 0 or ended:
                    raise TimeoutError(f"no line matches {pattern!r}:\n{self.tail}")
                self._news.wait(min(left, 0.5))

    @property
    def tail(self) -> str:
        """The last lines, for a message."""
        return "\n".join(self.lines[-_TAIL:])


def _printable(line: bytes) -> str:
    text = line.decode(errors="replace").rstrip("\r")
    return "".join(char for char in text if char.isprintable() or char == "\t")
