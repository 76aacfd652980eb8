"""TLS: a context with our credentials, a socket that never blocks, and errors with names.

The module is `tls` on MicroPython 1.23 and later, `ssl` before. The server's certificate is always
required and its name always checked: the defaults of the two modules differ, so nothing is left to
them. A TLS object has no timeouts; the deadline of a silent peer is the caller's.

With the handshake deferred, `write` returns None until it is done, and its errors come out of
`write` or `read`: hand them to `net.refusals.named`. Under TLS 1.3 a server that refuses our
certificate says so only after our handshake is complete: at the first read.
"""

from micropython import const

from sluice.errors import Fail

try:
    import tls
except ImportError:  # before 1.23
    import ssl as tls


_FILE = const(16_384)  # bytes of a credential, at most


class BadCredentials(Fail):
    """One of our own files is unusable; which one is among the values."""


def context(ca, certificate=None, private_key=None):
    """A client's context; it may serve many connections.

    ca, certificate, private_key  bytes, PEM or DER; `ca` may hold several; without a
            certificate, a server that asks for one gets none
    raises  BadCredentials naming the file that mbedTLS cannot read. A key that does not belong
            to its certificate is found by the server only: Refused.
    """
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.verify_mode = tls.CERT_REQUIRED
    try:
        _load_ca(made, ca)
    except (ValueError, OSError) as error:
        raise _unusable("ca", ca, error)
    if certificate is None:
        return made
    try:
        made.load_cert_chain(certificate, private_key)
    except (ValueError, OSError) as error:
        if "key" in str(error):
            raise _unusable("private_key", private_key, error)
        raise _unusable("certificate", certificate, error)
    return made


def _unusable(which, data, error):
    """Not every build has a PEM parser, and mbedTLS does not say that it has none."""
    if b"-----END " in data:
        error = "is PEM that is broken, or this MicroPython reads DER only"
    return BadCredentials("bad credentials", which, error)


def of_files(*names):
    """`context` of these files, of 16 KiB at most.

    names    paths; or (path, first, bytes) of what lies within a file
    raises   Fail, naming the one that cannot be read
    """
    files = []
    for name in names:
        path, at, size = (name, 0, _FILE) if isinstance(name, str) else name
        try:
            with open(path, "rb") as file:
                size = min(size, file.seek(0, 2))  # MicroPython takes all of it at once
                file.seek(at)
                files.append(file.read(size))
        except OSError:
            raise Fail("cannot read", path)
    return context(*files)


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
