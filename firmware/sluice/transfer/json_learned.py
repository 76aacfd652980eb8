"""What a good block's message in JSON has around its index and its payload.

Part of sluice.transfer.json_block, loaded when it learns: once a download, as a rule.
"""

from micropython import const

_TRIES = const(4)  # numbers of a message, at most, that are tried for its index


def around(text, opened, size, read):
    """Find the digits of the index: those that, when they are others, change it alone.

    text      bytearray, of which `size` bytes are the message with an empty payload
    opened    where the payload begins
    read      text → (token, file, index, length)
    returns   the text before the digits, that between them and the payload, and that behind the
              payload; None when no number of the message is its index alone
    """
    token, file, index, length = read(memoryview(text)[:size])
    digits, tries = b"%d" % index, _TRIES
    at = text.find(digits, 0, opened)
    while at >= 0 and tries:
        stop = at + len(digits)
        if text[at - 1] in b": \t\r\n" and text[stop] in b",} \t\r\n":
            tries -= 1
            if read(text[:at] + b"%d" % (index + 1) + text[stop:size]) == (
                token,
                file,
                index + 1,
                length,
            ):
                return bytes(text[:at]), bytes(text[stop : opened - 1]), bytes(text[opened:size])
        at = text.find(digits, at + 1, opened)
    return None
