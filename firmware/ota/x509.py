"""The public key in a signer file: an X.509 certificate or a bare public key, PEM or DER.

Keys: EC on P-256 with the uncompressed point, RSA of 2,048 to 4,096 bits. The file on the device
is the anchor of trust itself, so a certificate's own signature, dates and usage are NOT checked,
as in AWS's reference agents; only its key is used. DER is read strictly and only forwards, each
element within the one around it: whatever the bytes, this ends, with a key or with
Fail("bad signer", why). Of several PEM blocks the first certificate counts.
"""

from binascii import a2b_base64

from micropython import const

from ota.errors import Fail

_LIMIT = const(16384)  # bytes of a signer file, text around the PEM block included

_INTEGER = const(0x02)
_BIT_STRING = const(0x03)
_OID = const(0x06)
_SEQUENCE = const(0x30)
_VERSION = const(0xA0)  # [0] EXPLICIT, RFC 5280 section 4.1

# AlgorithmIdentifier contents: RFC 5480 section 2.1.1 with prime256v1, RFC 3279 section 2.3.1
_EC_P256 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
_RSA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"


def public_key(data):
    """("ecdsa", x, y) or ("rsa", n, e) from the bytes of a signer file.

    raises  Fail("bad signer", why)
    """
    der = _der(data)
    at, end = _element(der, 0, len(der), _SEQUENCE)
    if end != len(der):
        raise _bad("bytes after the end")
    first, stop = _element(der, at, end, _SEQUENCE)
    if first < stop and der[first] == _OID:
        return _key(der, at, end)
    _, rest = _element(der, stop, end, _SEQUENCE)
    if _element(der, rest, end, _BIT_STRING)[1] != end:
        raise _bad("not a certificate")
    return _key(der, *_find_key(der, first, stop))


def _der(data):
    """The DER of the file: of its first certificate, else its first public key, else itself."""
    if len(data) > _LIMIT:
        raise _bad("too long")
    data = bytes(data)
    for label in (b"CERTIFICATE-----", b"PUBLIC KEY-----"):
        start = data.find(b"-----BEGIN " + label)
        if start >= 0:
            start += 11 + len(label)
            end = data.find(b"-----END " + label, start)
            if end < 0:
                raise _bad("PEM without an end")
            try:
                return a2b_base64(data[start:end])
            except ValueError:
                raise _bad("base64")
    return data


def _find_key(der, at, end):
    """Where the subject's public key info lies in a certificate's first part."""
    if at < end and der[at] == _VERSION:
        at = _element(der, at, end, _VERSION)[1]
    at = _element(der, at, end, _INTEGER)[1]
    for _ in ("signature", "issuer", "validity", "subject"):
        at = _element(der, at, end, _SEQUENCE)[1]
    first, stop = _element(der, at, end, _SEQUENCE)
    rest = stop
    while rest < end:  # unique identifiers and extensions
        if der[rest] not in (0x81, 0x82, 0xA3):
            raise _bad("not a certificate")
        rest = _element(der, rest, end, der[rest])[1]
    return first, stop


def _key(der, at, end):
    """The key from the contents of a SubjectPublicKeyInfo."""
    first, stop = _element(der, at, end, _SEQUENCE)
    bits, last = _element(der, stop, end, _BIT_STRING)
    if last != end or bits == end or der[bits] != 0:
        raise _bad("public key")
    algorithm = der[first:stop]
    if algorithm == _EC_P256:
        return _ec_key(der[bits + 1 : end])
    if algorithm == _RSA:
        return _rsa_key(der, bits + 1, end)
    raise _bad("neither P-256 nor RSA")


def _ec_key(point):
    from ota.p256 import on_curve

    if len(point) != 65 or point[0] != 4:
        raise _bad("not an uncompressed point")
    x = int.from_bytes(point[1:33], "big")
    y = int.from_bytes(point[33:], "big")
    if not on_curve(x, y):
        raise _bad("point off the curve")
    return "ecdsa", x, y


def _rsa_key(der, at, end):
    at, stop = _element(der, at, end, _SEQUENCE)
    n, at = _number(der, at, stop)
    e, at = _number(der, at, stop)
    if stop != end or at != end:
        raise _bad("RSA key")
    if not n >> 2047 or n >> 4096:
        raise _bad("RSA size")
    if not n & 1 or not e & 1 or not 3 <= e < 1 << 32:
        raise _bad("RSA key")
    return "rsa", n, e


def _number(der, at, end):
    """A positive INTEGER in its shortest form, and where it ends."""
    at, end = _element(der, at, end, _INTEGER)
    if at == end or der[at] > 0x7F or (der[at] == 0 and (at + 1 == end or der[at + 1] < 0x80)):
        raise _bad("integer")
    return int.from_bytes(der[at:end], "big"), end


def _element(der, at, end, tag):
    """Where the contents of the element at `at` begin and end: at most at `end`.

    Lengths are definite, in their shortest form, at most 65,535.
    """
    if at + 2 > end or der[at] != tag:
        raise _bad("structure")
    length = der[at + 1]
    at += 2
    if length > 0x7F:
        count = length & 0x7F
        if not 1 <= count <= 2 or at + count > end:
            raise _bad("length")
        length = int.from_bytes(der[at : at + count], "big")
        at += count
        if length < (0x80 if count == 1 else 0x100):
            raise _bad("length")
    if at + length > end:
        raise _bad("cut off")
    return at, at + length


def _bad(why):
    return Fail("bad signer", why)
