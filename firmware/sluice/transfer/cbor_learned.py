"""What a good block's message in CBOR has around its index, in front of its payload.

Part of sluice.transfer.cbor_block, loaded when it learns: once a download, as a rule, and each
time that an index takes more bytes than the one before.

source   RFC 8949, section 3.1
"""


def around(head, parser):
    """Find the bytes of the index: those that, when they are others, change it alone.

    head      bytes, the message up to its payload
    parser    the BlockParser that read them
    returns   the bytes before the index, those behind it, and (its first byte or None, how many
              follow that); None where the index is not told in them, or not alone
    """
    index = parser.index
    if index is None or index < 0:
        return None
    for extra, size in ((None, 0), (24, 1), (25, 2), (26, 4)):
        if index >> 8 * size and size or not size and index > 23:
            continue
        at = head.find(b"\x61i" + _wide(index, extra, size)) + 2
        if at <= 1:
            return None
        front, back = head[:at], head[at + 1 + size :]
        twin = type(parser)(_Anyone())
        text = bytearray(front + _wide(index ^ 1, extra, size) + back)
        twin.feed(text, 0, len(text))
        if twin.index == index ^ 1 and twin.so_far() == parser.so_far():
            return front, back, (extra, size)
        return None
    return None


class _Anyone:
    """Receives what is only tried."""

    def wanted(self, parser):
        return True


def _wide(number, extra, size):
    """A number in so many bytes behind its first one, which is `extra`; None: it is the number."""
    return bytes((number,)) if extra is None else bytes((extra,)) + number.to_bytes(size, "big")
