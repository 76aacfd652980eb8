"""TLS: a context with our credentials, a socket that never blocks, and errors with names.

The module is `tls` on MicroPython 1.23 and later, `ssl` before. The server's certificate is always
required and its name always checked: the defaults of the two modules differ, so nothing is left to
them. A TLS object has no timeouts; the deadline of a silent peer is the caller's.

With the handshake deferred, `write` returns None until it is done, and its errors come out of
`write` or `read`: hand them to `named`. Under TLS 1.3 a server that refuses our certificate says
so only after our handshake is complete: at the first read.
"""

from errno import ENOMEM

from micropython import const
from ota.errors import Fail, Retry

try:
    import tls
except ImportError:  # before 1.23
    import ssl as tls

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


class BadCredentials(Fail):
    """One of our own files is unusable; which one is among the values."""


# What mbedTLS says of a certificate, one line a flaw. The first that is found names the error:
# whom we talk to before when, and the future before the past, for an unset clock makes both.
_FLAWS = (
    ("not correctly signed by the trusted CA", Untrusted, "untrusted server"),
    ("does not match with the expected CN", WrongName, "wrong server name"),
    ("starts in the future", NotYetValid, "certificate not yet valid"),
    ("has expired", Expired, "certificate expired"),
)


def context(ca, certificate, private_key):
    """A client's context; it may serve many connections.

    ca, certificate, private_key  bytes, PEM or DER; `ca` may hold several
    raises  BadCredentials naming the file that mbedTLS cannot read. A key that does not belong
            to its certificate is found by the server only: Refused.
    """
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.verify_mode = tls.CERT_REQUIRED
    try:
        _load_ca(made, ca)
    except (ValueError, OSError) as error:
        raise BadCredentials("bad credentials", "ca", error)
    try:
        made.load_cert_chain(certificate, private_key)
    except (ValueError, OSError) as error:
        which = "private_key" if "key" in str(error) else "certificate"
        raise BadCredentials("bad credentials", which, error)
    return made


def _load_ca(made, ca):
    if not ca:
        raise ValueError("empty")
    try:
        made.load_verify_locations(ca)
    except TypeError:  # before 1.23: by keyword
        made.load_verify_locations(cadata=ca)


def wrap(made, sock, server_name):
    """A TLS socket over a connected socket; neither blocks from now on.

    server_name  str, what the certificate must be for; also sent to the server (SNI)
    """
    sock.setblocking(False)
    return made.wrap_socket(sock, server_hostname=server_name, do_handshake_on_connect=False)


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
