"""The public key in a signer file: an X.509 certificate or a bare public key, PEM or DER.

Keys: EC on P-256 with the uncompressed point, RSA of 2,048 to 4,096 bits. The file on the device
is the anchor of trust itself. So a certificate's own signature, dates and usage are NOT checked,
like in AWS's reference agents. Only its key is used. DER is read strictly and only forwards, each
element within the one around it. So this ends with any bytes, with a key or with Fail("bad
signer", why). Of several PEM blocks the first certificate counts.
"""

from binascii import a2b_base64

from micropython import const

from sluice.errors import Fail

_LIMIT = const(16384)  # bytes of a signer file, text around the PEM block included

# the tags of each structure's fields, in order; see `_fields`
_CERTIFICATE = b"\x30\x30\x03"  # RFC 5280, section 4.1
_TO_BE_SIGNED = b"\xa0\x02\x30\x30\x30\x30\x30\x81\x82\xa3"
_KEY_INFO = b"\x30\x03"  # SubjectPublicKeyInfo, and its place among those to be signed:
_KEY_INFO_AT = const(6)

# AlgorithmIdentifier contents: RFC 5480 section 2.1.1 with prime256v1, RFC 3279 section 2.3.1
_EC_P256 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
_RSA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"


def public_key(data):
    """("ecdsa", x, y) or ("rsa", n, e) from the bytes of a signer file.

    raises  Fail("bad signer", why)
    """
    der = _der(data)
    at, end = _fields(der, 0, len(der), b"\x30")[0]
    first, stop = _element(der, at, end, 0x30)
    if der[stop : stop + 1] != b"\x03":  # that would be a bare key's bit string
        _fields(der, at, end, _CERTIFICATE)
        at, end = _fields(der, first, stop, _TO_BE_SIGNED)[_KEY_INFO_AT]
    (first, stop), (at, end) = _fields(der, at, end, _KEY_INFO)
    if der[at : at + 1] != b"\0":  # bits unused in the last byte
        raise _bad("structure")
    if der[first:stop] == _EC_P256:
        return _ec_key(der[at + 1 : end])
    if der[first:stop] == _RSA:
        return _rsa_key(der, at + 1, end)
    raise _bad("neither P-256 nor RSA")


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
                raise _bad("PEM")
            try:
                return a2b_base64(data[start:end])
            except ValueError:
                raise _bad("PEM")
    return data


def _ec_key(point):
    from sluice.trust.p256 import on_curve

    if len(point) != 65 or point[0] != 4:
        raise _bad("point")
    x = int.from_bytes(point[1:33], "big")
    y = int.from_bytes(point[33:], "big")
    if not on_curve(x, y):
        raise _bad("point")
    return "ecdsa", x, y


def _rsa_key(der, at, end):
    at, end = _fields(der, at, end, b"\x30")[0]
    n, e = [_number(der[at:end]) for at, end in _fields(der, at, end, b"\x02\x02")]
    if not n >> 2047 or n >> 4096 or not n & 1 or not e & 1 or not 3 <= e <= 0xFFFFFFFF:
        raise _bad("RSA key")
    return "rsa", n, e


def _number(contents):
    """A positive INTEGER in its shortest form."""
    if not contents or contents[0] > 0x7F or (contents[0] == 0 and contents[1:2] < b"\x80"):
        raise _bad("structure")
    return int.from_bytes(contents, "big")


def _fields(der, at, end, tags):
    """Where the contents of each field begin and end: one pair a tag, with nothing after the last.

    Context-specific tags (0x80 and up) are optional; None stands for one that is not there.
    """
    found = [None] * len(tags)
    for place, tag in enumerate(tags):
        if tag < 0x80 or (at < end and der[at] == tag):
            found[place] = _element(der, at, end, tag)
            at = found[place][1]
    if at != end:
        raise _bad("structure")
    return found


def _element(der, at, end, tag):
    """Where the contents of the element at `at` begin and end: at most at `end`.

    Lengths are definite, in their shortest form, at most 65,535.
    """
    if at + 2 > end or der[at] != tag:
        raise _bad("structure")
    length = der[at + 1]
    at += 2
    if length > 0x7F:
        count = length - 0x80
        if not 1 <= count <= 2 or at + count > end:
            raise _bad("length")
        length = int.from_bytes(der[at : at + count], "big")
        at += count
        if length < (0x80 if count == 1 else 0x100):
            raise _bad("length")
    if at + length > end:
        raise _bad("length")
    return at, at + length


def _bad(why):
    return Fail("bad signer", why)
