"""The part of CBOR (RFC 8949) that stream messages use.

Read: whole numbers, text, byte strings, arrays, maps, true, false and null, of definite or
indefinite length. Written: the same; a map always with indefinite length, as AWS does it.
"""

from typing import Any

BREAK = object()
SIMPLE = {20: False, 21: True, 22: None, 31: BREAK}
WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information → bytes of the number that follows
DEPTH = 8  # nested containers; a stream request has none


def loads(data: bytes) -> Any:
    """Decode one item that fills `data`; ValueError for everything else."""
    reader = Reader(data)
    value = reader.item(DEPTH)
    if value is BREAK or reader.at != len(data):
        raise ValueError("not one CBOR item")
    return value


class Reader:
    """A place in the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next bytes, all of them."""
        piece = self._data[self.at : self.at + count]
        if len(piece) != count:
            raise ValueError("CBOR ends too early")
        self.at += count
        return piece

    def item(self, depth: int) -> Any:
        """The next item."""
        if depth == 0:
            raise ValueError("CBOR nests too deep")
        head = self.take(1)[0]
        kind, extra = head >> 5, head & 31
        if kind == 7:
            return self._simple(extra)
        length = self._number(extra)
        if kind in (2, 3):
            return self._string(kind, length)
        if kind in (4, 5):
            return self._container(kind, length, depth)
        if length is None or kind == 6:
            raise ValueError("CBOR item of no use here")
        return length if kind == 0 else -1 - length

    def _number(self, extra: int) -> int | None:
        if extra < 24:
            return extra
        if extra == 31:
            return None
        if extra not in WIDTHS:
            raise ValueError("reserved CBOR length")
        return int.from_bytes(self.take(WIDTHS[extra]), "big")

    def _simple(self, extra: int) -> Any:
        if extra not in SIMPLE:
            raise ValueError("CBOR item of no use here")
        return SIMPLE[extra]

    def _string(self, kind: int, length: int | None) -> bytes | str:
        if length is None:
            pieces = []
            while (piece := self.item(1)) is not BREAK:
                if not isinstance(piece, bytes if kind == 2 else str):
                    raise ValueError("CBOR string made of something else")
                pieces.append(piece)
            return (b"" if kind == 2 else "").join(pieces)
        data = self.take(length)
        return data if kind == 2 else data.decode()

    def _container(self, kind: int, length: int | None, depth: int) -> Any:
        items = []
        wanted = None if length is None else length * (kind - 3)
        while wanted is None or len(items) < wanted:
            value = self.item(depth - 1)
            if value is BREAK:
                if wanted is not None:
                    raise ValueError("CBOR break within a definite length")
                break
            items.append(value)
        return items if kind == 4 else _pairs(items)


def _pairs(items: list) -> dict:
    if len(items) % 2 or not all(isinstance(key, int | str | bytes) for key in items[::2]):
        raise ValueError("CBOR map with odd items")
    return dict(zip(items[::2], items[1::2], strict=True))


def dumps(value: Any) -> bytes:
    """Encode a value; TypeError for what stream messages do not hold."""
    if value is None or isinstance(value, bool):
        return bytes((0xF6 if value is None else 0xF4 + value,))
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes | bytearray):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list | tuple):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    if isinstance(value, dict):
        items = (dumps(key) + dumps(item) for key, item in value.items())
        return b"\xbf" + b"".join(items) + b"\xff"
    raise TypeError(f"no CBOR for {type(value).__name__}")


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes((kind << 5 | number,))
    for extra, width in WIDTHS.items():
        if number < 1 << 8 * width:
            return bytes((kind << 5 | extra,)) + number.to_bytes(width, "big")
    raise ValueError("number too large for CBOR")
