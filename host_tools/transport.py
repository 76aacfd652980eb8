"""mpremote's transport as `board_port` drives it. Loading mpremote takes long."""

import time
from collections.abc import Callable

from mpremote.transport_serial import SerialTransport


class Transport(SerialTransport):
    """mpremote's, which also remembers what it last heard: an error message wants to know."""

    heard = b""

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], None] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """As mpremote has it, which looks every 10 ms, at 1,000 statements of a flashing; this is
        woken by a byte. It may be late by one read of the port where none comes."""
        self.heard = b""
        begin = last = time.monotonic()
        while not self.heard.endswith(ending):
            new, now = self.serial.read(1), time.monotonic()
            if new and data_consumer:
                data_consumer(new)
            self.heard = new if data_consumer and new else self.heard + new
            last = now if new else last
            if not new and _over(now - last, timeout) or _over(now - begin, timeout_overall):
                break
        return self.heard


def _over(passed_s: float, limit_s: float | None) -> bool:
    return limit_s is not None and passed_s >= limit_s
