"""The time by word of our own CA, where no time server answers: what a certificate says of itself.

A board whose clock is behind is told "not valid yet" by mbedTLS. It believes the dates of the
broker's certificates only where mbedTLS found nothing else wrong: then our CA signed them, for
this server. As a CA signs nothing of the future, the latest of their first days is past, and the
handshake holds at it. Verification is never switched off for this.

Loaded for one connection. MicroPython before 1.23 has no `verify_callback`: nothing is learned.

source   RFC 5280, section 4.1; a year of two digits below 50 is of this century
"""

from micropython import const

from sluice.errors import Retry
from sluice.log import Log

_TIMES = (0x17, 0x18)  # UTCTime, GeneralizedTime
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_TO_1970 = const(719_528)  # days from the first of January of the year 0

log = Log("clock")


async def connect(link, context, clock):
    """As `link.connect()`, and once more where the clock was behind the certificates' dates.

    context   that of the link, from sluice.net.connect.context
    raises    as `link.connect()`
    """
    begin_s = 0

    def see(certificate, depth):
        nonlocal begin_s
        begin_s = max(begin_s, begins(certificate))
        return 0  # what is wrong with it, mbedTLS says itself

    if not hasattr(context, "verify_callback"):
        return await link.connect()
    context.verify_callback = see
    try:
        return await link.connect()
    except Retry as error:
        if type(error).__name__ != "NotYetValid" or not clock.vouched(begin_s):
            raise
    finally:
        context.verify_callback = None
    return await link.connect()


def begins(certificate):
    """From when on a certificate in DER is valid, seconds since 1970; 0 when that is not to be
    found. Of a certificate, what comes before its dates is skipped by its lengths."""
    try:
        at = _inside(certificate, _inside(certificate, 0, 0x30), 0x30)
        if certificate[at] == 0xA0:  # the version
            at = _behind(certificate, at)
        for _ in range(3):  # serial number, algorithm, issuer
            at = _behind(certificate, at)
        at = _inside(certificate, at, 0x30)
        if certificate[at] not in _TIMES:
            return 0
        end = _behind(certificate, at)
        text = bytes(certificate[_inside(certificate, at, certificate[at]) : end])
        return _seconds(text)
    except (ValueError, IndexError):
        return 0


def _inside(data, at, tag):
    """Where the contents of the element at `at` begin. Raises ValueError, IndexError."""
    if data[at] != tag:
        raise ValueError("tag")
    return at + 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)


def _behind(data, at):
    """Where the element at `at` ends. Raises ValueError, IndexError."""
    size, start = data[at + 1], _inside(data, at, data[at])
    if size & 0x80:
        if not 0 < size & 0x7F <= 3:
            raise ValueError("length")
        size = int.from_bytes(data[at + 2 : start], "big")
    if start + size > len(data):
        raise ValueError("length")
    return start + size


def _seconds(text):
    """Seconds since 1970 of YYMMDDhhmmssZ or YYYYMMDDhhmmssZ. Raises ValueError."""
    if text[-1:] != b"Z" or not text[:-1].isdigit() or len(text) not in (13, 15):
        raise ValueError("time")
    if len(text) == 13:
        text = (b"20" if text < b"5" else b"19") + text
    year = int(text[:4])
    month, day, hour, minute, second = [int(text[at : at + 2]) for at in range(4, 14, 2)]
    if not 1 <= month <= 12:
        raise ValueError("time")
    leaps = year if month > 2 else year - 1
    days = (
        365 * year + leaps // 4 - leaps // 100 + leaps // 400 + _DAYS[month - 1] + day - _TO_1970
    )
    return ((days * 24 + hour) * 60 + minute) * 60 + second
