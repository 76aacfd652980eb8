"""A TCP relay between board and broker that goes dead when told to."""

import contextlib
import socket
import threading


class Relay:
    """Listens on `port` of localhost and passes all on to the broker's port.

    cut_after   ends the first connection after that many bytes from the broker, in mid-packet
    stall       keeps that connection open then, and passes on nothing more
    asleep      refuses connections until `wake`
    cuts        how many connections ended so
    """

    def __init__(
        self, broker_port: int, cut_after: int, stall: bool = False, asleep: bool = False
    ) -> None:
        self._broker_port = broker_port
        self._left = cut_after
        self._stall = stall
        self.cuts = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        if not asleep:
            self.wake()

    def wake(self) -> None:
        """Listen."""
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                board, _ = self._listener.accept()
                broker = socket.create_connection(("localhost", self._broker_port))
                self._open += [board, broker]
                for words in ((board, broker, False), (broker, board, True)):
                    threading.Thread(target=self._pass, args=words, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if counted and not self.cuts:
                    if len(data) >= self._left:
                        sink.sendall(data[: self._left])
                        self.cuts += 1
                        break
                    self._left -= len(data)
                sink.sendall(data)
            if counted and self.cuts == 1 and self._stall:
                return  # the board is to find out by itself
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all."""
        for end in (self._listener, *self._open):
            end.close()
