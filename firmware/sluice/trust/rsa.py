"""RSA PKCS#1 v1.5 verification with SHA-256 (RFC 8017, section 8.2.2), 2,048 to 4,096 bits.

What the signature must decrypt to is built whole and compared whole: nothing in it is parsed, so
nothing can be hidden in it. The one encoding accepted is the standard's, with its NULL.
"""

# DigestInfo of SHA-256 up to the digest: RFC 8017, section 9.2, note 1
_DIGEST_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def verify(n, e, digest, signature):
    """Whether `signature` is the key's own for `digest`.

    n, e       int, the public key: n odd, e at least 3
    digest     bytes, 32: the SHA-256 of what was signed
    signature  bytes, exactly as long as n
    """
    for verdict in steps(n, e, digest, signature):
        pass
    return verdict


def steps(n, e, digest, signature):
    """The work of `verify` in slices: yields None after each bit of e, then True or False."""
    size = len(signature)
    value = int.from_bytes(signature, "big")
    if len(digest) != 32 or not _fits(n, size) or value >= n:
        yield False
        return
    mask = 1
    while mask <= e >> 1:
        mask <<= 1
    power = value
    while mask > 1:
        mask >>= 1
        power = power * power % n
        if e & mask:
            power = power * value % n
        yield None
    yield power == int.from_bytes(_encoded(digest, size), "big")


def _fits(n, size):
    """Whether n has 2,048 to 4,096 bits and takes exactly `size` bytes."""
    return 256 <= size <= 512 and 0 < n >> 8 * (size - 1) < 256 and n >> 2047 > 0


def _encoded(digest, size):
    """The block of `size` bytes that was signed."""
    filling = b"\xff" * (size - 3 - len(_DIGEST_INFO) - 32)
    return b"\x00\x01" + filling + b"\x00" + _DIGEST_INFO + digest
