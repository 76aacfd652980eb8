"""One connection of the HTTP server: how many there may be, and how long a request may take.

uvicorn's own protocol waits for ever for the headers of a request, and takes any number of
connections. Neither costs a thread, but each costs a file.
"""

import asyncio
import logging

from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

LOG = logging.getLogger("sluice.cloud")
CONNECTIONS = 400  # at once, of one server; a process may have 1,024 files open
HEADERS_S = 10  # from the connection, or a request's first byte, to the end of its headers
IDLE_S = 60  # between two requests


class Connection(H11Protocol):
    """What uvicorn makes of each connection."""

    _late: asyncio.TimerHandle | None = None
    _full = False  # so that it is said once each time that it is

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take it, unless there are too many."""
        self.timeout_keep_alive = IDLE_S
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            if not Connection._full:
                LOG.warning("%d connections by HTTP: more are refused", CONNECTIONS)
            Connection._full = True
            transport.abort()
            return
        Connection._full = False
        self._within_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a request start its deadline, its last header ends it."""
        if self._waits and self._late is None:
            self._within_deadline()
        super().data_received(data)
        if not self._waits:
            self._in_time()

    def on_response_complete(self) -> None:
        """Go on to the next request, of which something may have come already."""
        super().on_response_complete()
        if self._waits and self._late is None and self.conn.trailing_data[0]:
            self._within_deadline()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; in the middle of an answer there is no way to say so."""
        try:
            super().send_400_response(msg)
        except LocalProtocolError:
            self.transport.abort()

    @property
    def _waits(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _within_deadline(self) -> None:
        self._late = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
