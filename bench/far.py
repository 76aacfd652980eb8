"""A TCP relay that is far away: every byte takes half a round trip, either way."""

import contextlib
import queue
import socket
import threading
import time
from collections import deque

PIECE = 4_096  # bytes read at a time
FIRST = 14_600  # bytes that TCP sends before the first is acknowledged: RFC 6928
LARGE = 1 << 22  # bytes of a window that is no limit
LOOK_S = 0.0005


class FarRelay:
    """Listens on `port` of localhost and passes all on to another port, later.

    trip_s   seconds of a round trip
    window   bytes on their way to who connected, at most, as with TCP's window. A connection
             begins with ten segments, and each acknowledgement adds as many as it is for
    """

    def __init__(self, port: int, trip_s: float, window: int = LARGE) -> None:
        self._to = port
        self._half_s = trip_s / 2
        self._window = window
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all."""
        for end in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("localhost", self._to))
                self._open += [near, far]
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Way(far, near, self._half_s, self._window)
                Way(near, far, self._half_s, LARGE)


class Way:
    """One direction of a connection, in two threads of its own."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, half_s: float, window: int
    ) -> None:
        self._source, self._sink = source, sink
        self._half_s, self._most = half_s, window
        self._allowed = min(FIRST, window)
        self._out = 0  # bytes that are not acknowledged
        self._flying: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._acknowledged: deque[tuple[float, int]] = deque()
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(self._room()):
                self._out += len(data)
                self._flying.put((time.monotonic() + self._half_s, data))
        self._flying.put((time.monotonic() + self._half_s, b""))

    def _room(self) -> int:
        """How many bytes may go now; waits until one may."""
        known = self._acknowledged
        while True:
            while known and known[0][0] <= time.monotonic():
                _, size = known.popleft()
                self._out -= size
                self._allowed = min(self._allowed + size, self._most)
            if self._out < self._allowed:
                return min(PIECE, self._allowed - self._out)
            time.sleep(LOOK_S)

    def _give(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                when, data = self._flying.get()
                time.sleep(max(0.0, when - time.monotonic()))
                if not data:
                    break
                self._sink.sendall(data)
                self._acknowledged.append((time.monotonic() + self._half_s, len(data)))
        for end in (self._source, self._sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
