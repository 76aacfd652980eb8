"""Base64 that is written with escapes. Loaded for the first one that comes.

Base64 needs none, but some write \\/ for every slash.

source   RFC 8259, section 7
"""

from binascii import unhexlify

from micropython import const

_ESCAPE = const(0x5C)


def plain(text):
    """A piece of a payload without its escapes, and the escape that the end cuts in two.

    A piece may be nothing but escapes: little is allocated for each, and their digits are read
    all at once.

    text      bytes
    returns   (bytearray, bytes); the first is None when an escape is none of base64
    """
    last = text.rfind(b"\\")
    size = 6 if text[last + 1 : last + 2] == b"u" else 2
    cut = text[last:] if last >= 0 and len(text) - last < size else b""
    text = text[: len(text) - len(cut)].replace(b"\\/", b"/")
    count = text.count(b"\\u00")
    if text.count(b"\\") != count:
        return None, cut
    found, digits = bytearray(text), bytearray(2 * count)
    at = size = 0  # of the text; of what is plain
    for number in range(0, 2 * count, 2):
        mark = text.find(b"\\", at)
        if not 0 <= mark <= len(text) - 6:  # one escape begins within another
            return None, cut
        if mark > at:
            found[size : size + mark - at] = text[at:mark]
            size += mark - at
        digits[number] = text[mark + 4]
        digits[number + 1] = text[mark + 5]
        found[size] = _ESCAPE  # a place kept
        size += 1
        at = mark + 6
    found[size:] = text[at:]
    try:
        digits = unhexlify(digits)
    except ValueError:
        return None, cut
    at = -1
    for byte in digits:
        at = found.find(b"\\", at + 1)
        found[at] = byte
    return found, cut
