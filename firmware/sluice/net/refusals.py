"""Names for what a TLS handshake, a read or a write raises. Loaded when the first one does.

mbedTLS says what is wrong with a certificate in a text, and all else in a number; sockets raise
errno's numbers.
"""

from errno import ENOMEM

from micropython import const

from sluice.errors import Retry

# mbedTLS error numbers, without their sign; a lower layer's cause is added in the low 7 bits
_FATAL_ALERT = const(0x7780)
_NO_CA_CHAIN = const(0x7680)
_MEMORY = (0x7F00, 0x4D80, 0x3F80, 0x2880, 0x5180, 0x6180)  # SSL, ECP, PK, X509, MD, cipher
_MEMORY_LOW = (0x10, 0x6A)  # big integers, ASN.1
_MEMORY_PSA = const(141)  # PSA_ERROR_INSUFFICIENT_MEMORY


class CertificateError(Retry):
    """A certificate stood in the way. It may be mended on the other side, or by the clock."""


class Untrusted(CertificateError):
    """The server's certificate is not signed by our CA."""


class WrongName(CertificateError):
    """The server's certificate is for another name."""


class Expired(CertificateError):
    """The server's certificate, or its CA, is over; or our clock is far ahead."""


class NotYetValid(CertificateError):
    """The server's certificate, or its CA, is not valid yet; most likely our clock is not set."""


class Refused(CertificateError):
    """The server alerted: it does not take our certificate, or misses it.

    mbedTLS does not say which alert it was. A server that closes before its alert is read makes
    this a plain Retry("tls", EPIPE or ECONNRESET).
    """


class OutOfMemory(Retry):
    """The handshake needs about 40 KiB outside or inside the heap, and they were not there."""


# What mbedTLS says of a certificate, one line a flaw. The first that is found names the error:
# whom we talk to before when, and the future before the past, for an unset clock makes both.
_FLAWS = (
    ("not correctly signed by the trusted CA", Untrusted, "untrusted server"),
    ("does not match with the expected CN", WrongName, "wrong server name"),
    ("starts in the future", NotYetValid, "certificate not yet valid"),
    ("has expired", Expired, "certificate expired"),
)


def named(error):
    """The error of ours for what a handshake, a read or a write raised; to be raised."""
    if isinstance(error, MemoryError):
        return OutOfMemory("out of memory", "tls")
    if isinstance(error, ValueError):
        return _flaw(str(error))
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return _numbered(error)
    return Retry("tls", error)


def _flaw(text):
    for part, kind, reason in _FLAWS:
        if part in text:
            return kind(reason)
    return CertificateError("bad server certificate", text.strip())


def _numbered(error):
    """mbedTLS raises negative numbers, sockets positive ones."""
    number = -error.errno
    if number < 0:
        return OutOfMemory("out of memory", "tls") if -number == ENOMEM else Retry("tls", error)
    high, low = number & ~0x7F, number & 0x7F
    if high == _FATAL_ALERT:
        return Refused("refused by the server", error.errno)
    if high == _NO_CA_CHAIN:
        return Untrusted("no ca", error.errno)
    if high in _MEMORY or low in _MEMORY_LOW or number == _MEMORY_PSA:
        return OutOfMemory("out of memory", "tls", error.errno)
    return Retry("tls", error)
