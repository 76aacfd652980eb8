"""A TCP relay that is far away: every byte takes half a round trip, either way, or is lost.

What is lost can only be modelled here: TCP below the relay is the machine's own, and loses
nothing. A lost segment holds up all that follows it, as TCP does: for one round trip where others
are on their way behind it, so that the sender hears of it, and for a retransmission time (a round
trip and 200 ms) where none are. The sender halves what it has out, or begins anew with one
segment, and then grows by a segment a round trip. The same segments are lost in every run.
"""

import contextlib
import queue
import random
import socket
import threading
import time
from collections import deque

SEGMENT = 1_448  # bytes of a TCP segment on Ethernet
PIECE = 2 * SEGMENT  # bytes read at a time
FIRST = 10 * SEGMENT  # bytes that TCP sends before the first is acknowledged: RFC 6928
HEARD = 3 * SEGMENT  # bytes behind a lost segment that tell of it: RFC 5681
LEAST_S = 0.2  # of a retransmission time, beside the round trip
LARGE = 1 << 22  # bytes of a window that is no limit
LOOK_S = 0.0005


class FarRelay:
    """Listens on `port` of localhost and passes all on to another port, later.

    trip_s   seconds of a round trip
    window   bytes on their way to who connected, at most, as with TCP's window. A connection
             begins with ten segments, and each acknowledgement adds as many as it is for
    loss     share of the segments that are lost, 0 to 1
    carried  bytes that were passed on, {True: to who connected, False: from there}
    """

    def __init__(self, port: int, trip_s: float, window: int = LARGE, loss: float = 0) -> None:
        self._to = port
        self._half_s = trip_s / 2
        self._window = window
        self._loss = loss
        self.carried = {True: 0, False: 0}
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
                Way(self, far, near, True, self._half_s, self._window, self._loss)
                Way(self, near, far, False, self._half_s, LARGE, self._loss)


class Way:
    """One direction of a connection, in two threads of its own."""

    def __init__(
        self,
        relay: FarRelay,
        source: socket.socket,
        sink: socket.socket,
        down: bool,
        half_s: float,
        window: int,
        loss: float,
    ) -> None:
        self._relay, self._down = relay, down
        self._source, self._sink = source, sink
        self._half_s, self._most = half_s, window
        self._allowed = min(FIRST, window)
        self._slow_start = True
        self._loss, self._chance = loss, random.Random(down)
        self._held_until = 0.0  # by what was lost, all that follows it
        self._out = 0  # bytes that are not acknowledged
        self._flying: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._acknowledged: deque[tuple[float, int]] = deque()
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(self._room()):
                self._out += len(data)
                self._lose(-(-len(data) // SEGMENT))
                self._flying.put((self._arrival(), data))
        self._flying.put((self._arrival(), b""))

    def _arrival(self) -> float:
        return max(time.monotonic() + self._half_s, self._held_until)

    def _lose(self, segments: int) -> None:
        """Some of so many segments may be lost, on a line that loses any."""
        if not self._loss or all(self._chance.random() >= self._loss for _ in range(segments)):
            return
        heard = self._out > HEARD
        again_s = 2 * self._half_s + (0 if heard else LEAST_S)
        self._held_until = time.monotonic() + self._half_s + again_s
        self._allowed = max(self._allowed // 2, 2 * SEGMENT) if heard else SEGMENT
        self._slow_start = False

    def _room(self) -> int:
        """How many bytes may go now; waits until one may."""
        known = self._acknowledged
        while True:
            while known and known[0][0] <= time.monotonic():
                _, size = known.popleft()
                self._out -= size
                more = size if self._slow_start else size * SEGMENT // self._allowed
                self._allowed = min(self._allowed + more, self._most)
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
                self._relay.carried[self._down] += len(data)
                self._acknowledged.append((time.monotonic() + self._half_s, len(data)))
        for end in (self._source, self._sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
