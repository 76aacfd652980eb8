"""Small CBOR messages, held whole: the description of a stream, and refusals.

Whole numbers, texts, byte strings, arrays, maps and simple values, of definite or indefinite
length. It is loaded when such a message comes, and then forgotten. cbor_block reads the blocks.

source   RFC 8949, section 3
"""

from micropython import const

_DEPTH = const(6)  # containers in each other
_ITEMS = const(256)  # at most: each costs time, however short it is
_BREAK = object()


def loads(data):
    """The item that fills `data`, bytes. Raises ValueError when it is not one."""
    try:
        value, at = _item(data, 0, _DEPTH, [_ITEMS])
    except (IndexError, TypeError):  # cut off; a map's key that is none
        raise ValueError("not CBOR")
    if value is _BREAK or at != len(data):
        raise ValueError("not CBOR")
    return value


def _item(data, at, depth, left):
    """(value, where the next item begins); `left` holds how many there may still be."""
    left[0] -= 1
    if not left[0]:
        raise ValueError("not CBOR")
    kind, number = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7 and number == 31:
        return _BREAK, at
    if 24 <= number < 28:
        size = 1 << number - 24
        number = int.from_bytes(_piece(data, at, size), "big")
        at += size
    elif number > 27 and not (number == 31 and 2 <= kind <= 5):
        raise ValueError("not CBOR")
    else:
        number = None if number == 31 else number
    if kind < 2:
        return -1 - number if kind else number, at
    if kind < 4 and number is not None:
        piece = bytes(_piece(data, at, number))
        return piece if kind == 2 else piece.decode(), at + number
    if kind < 6:
        return _container(data, at, kind, number, depth - 1, left)
    if kind == 6:
        raise ValueError("not CBOR")
    return (False, True)[number - 20] if 20 <= number < 22 else None, at


def _piece(data, at, size):
    if at + size > len(data):
        raise ValueError("not CBOR")
    return data[at : at + size]


def _container(data, at, kind, count, depth, left):
    """An array, a map, or a string in chunks; `count` is None for one that ends with a break."""
    if not depth:
        raise ValueError("not CBOR")
    wanted = None if count is None else count * (kind - 3)
    items = []
    while wanted is None or len(items) < wanted:
        value, at = _item(data, at, depth, left)
        if value is _BREAK:
            if wanted is not None or kind == 5 and len(items) & 1:
                raise ValueError("not CBOR")
            break
        items.append(value)
    if kind < 4:
        return (b"" if kind == 2 else "").join(items), at
    if kind == 4:
        return items, at
    return {items[n]: items[n + 1] for n in range(0, len(items), 2)}, at
