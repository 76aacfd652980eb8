"""Inflates a stream that comes bit by bit: a queue, and what reads from it.

MicroPython's DeflateIO reads a byte at a time, so its source has to be in C. If the queue ended in
the middle, that would spoil it. So its caller first makes sure that the queue has enough bytes.

memory   1.5 KB for the queue; 2.4 KB to inflate with, 3.4 where the window is 2 KiB
"""

import gc
from io import BytesIO

from deflate import RAW, DeflateIO
from micropython import const

from sluice.errors import Fail

DAMAGED = "the container is damaged"
_QUEUE = const(2_048)  # bytes
_MOVED = const(256)  # bytes moved at a time


class Inflater:
    """A raw deflate stream whose window has so many bits.

    What is large is taken at once, before other code cuts the heap to pieces.
    """

    def __init__(self, bits):
        gc.collect()
        self._bits = bits
        self._queue = BytesIO(_QUEUE)
        self._slice = memoryview(bytearray(_MOVED))
        self.begin()

    def begin(self):
        """Another stream begins. DeflateIO takes its memory when it is first read from: a byte
        that is stored is read, which has no other use."""
        queue, self._stream = self._queue, None
        gc.collect()
        queue.seek(0)
        queue.write(b"\0\1\0\xfe\xff\0")
        queue.seek(0)
        self._stream = DeflateIO(queue, RAW, self._bits)
        self._stream.read(1)
        queue.seek(0)
        self._end = 0  # of what is in the queue

    def left(self):
        """Bytes that were not inflated yet."""
        return self._end - self._queue.tell()

    def room(self):
        """Bytes that there is room for."""
        return _QUEUE - self.left()

    def feed(self, part):
        """Put it behind what is in the queue."""
        queue = self._queue
        at, end = queue.tell(), self._end
        if end + len(part) > _QUEUE:  # to the front
            to = 0
            while to < end - at:
                queue.seek(at + to)
                moved = self._slice[: end - at - to]
                queue.readinto(moved)
                queue.seek(to)
                to += queue.write(moved)
            at, end = 0, to
        queue.seek(end)
        self._end = end + queue.write(part)
        queue.seek(at)

    def inflate(self, view):
        """Fill the view with the next bytes. Raises Fail."""
        try:
            while view:
                size = self._stream.readinto(view)
                if not size:
                    raise Fail(DAMAGED)
                view = view[size:]
        except (OSError, EOFError):
            raise Fail(DAMAGED)
