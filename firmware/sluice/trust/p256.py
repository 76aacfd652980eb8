"""ECDSA verification on the curve P-256 (NIST FIPS 186-5; SEC 1, section 4.1.4), in big integers.

The sum u1 G + u2 Q runs over one chain of doublings with both scalars in signed windows: 5 bits
for G, whose odd multiples are baked in below, and 4 bits for Q, whose odd multiples are made
affine by one inversion. Points are Jacobian (x = X / Z^2, y = Y / Z^3, Z = 0 is infinity) and the
curve's a = -3 is used. About 3,150 multiplications of 256 bits, 0.3 to 1 s on a board; the
generator `steps` lets go of the processor every 16 bits. Needs 3 KiB of heap besides its own code.

`pow(x, -1, m)` answers 0 on MicroPython, so inverses are Euclid's and are checked.
"""

from sluice.errors import Fail

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF  # the field
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the group's order
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B  # y^2 = x^3 - 3 x + b

# 1 G, 3 G, .. 15 G: x and y of each, 32 bytes big-endian; tests recompute them
_G = (
    b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"
    b"\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"
    b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16"
    b"\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5"
    b"\x5e\xcb\xe4\xd1\xa6\x33\x0a\x44\xc8\xf7\xef\x95\x1d\x4b\xf1\x65"
    b"\xe6\xc6\xb7\x21\xef\xad\xa9\x85\xfb\x41\x66\x1b\xc6\xe7\xfd\x6c"
    b"\x87\x34\x64\x0c\x49\x98\xff\x7e\x37\x4b\x06\xce\x1a\x64\xa2\xec"
    b"\xd8\x2a\xb0\x36\x38\x4f\xb8\x3d\x9a\x79\xb1\x27\xa2\x7d\x50\x32"
    b"\x51\x59\x0b\x7a\x51\x51\x40\xd2\xd7\x84\xc8\x56\x08\x66\x8f\xdf"
    b"\xef\x8c\x82\xfd\x1f\x5b\xe5\x24\x21\x55\x4a\x0d\xc3\xd0\x33\xed"
    b"\xe0\xc1\x7d\xa8\x90\x4a\x72\x7d\x8a\xe1\xbf\x36\xbf\x8a\x79\x26"
    b"\x0d\x01\x2f\x00\xd4\xd8\x08\x88\xd1\xd0\xbb\x44\xfd\xa1\x6d\xa4"
    b"\x8e\x53\x3b\x6f\xa0\xbf\x7b\x46\x25\xbb\x30\x66\x7c\x01\xfb\x60"
    b"\x7e\xf9\xf8\xb8\xa8\x0f\xef\x5b\x30\x06\x28\x70\x31\x87\xb2\xa3"
    b"\x73\xeb\x1d\xbd\xe0\x33\x18\x36\x6d\x06\x9f\x83\xa6\xf5\x90\x00"
    b"\x53\xc7\x36\x33\xcb\x04\x1b\x21\xc5\x5e\x1a\x86\xc1\xf4\x00\xb4"
    b"\xea\x68\xd7\xb6\xfe\xdf\x0b\x71\x87\x89\x38\xd5\x1d\x71\xf8\x72"
    b"\x9e\x0a\xcb\x8c\x2c\x6d\xf8\xb3\xd7\x9e\x8a\x4b\x90\x94\x9e\xe0"
    b"\x2a\x27\x44\xc9\x72\xc9\xfc\xe7\x87\x01\x4a\x96\x4a\x8e\xa0\xc8"
    b"\x4d\x71\x4f\xea\xa4\xde\x82\x3f\xe8\x5a\x22\x4a\x4d\xd0\x48\xfa"
    b"\x3e\xd1\x13\xb7\x88\x3b\x4c\x59\x06\x38\x37\x9d\xb0\xc2\x1c\xda"
    b"\x16\x74\x2e\xd0\x25\x50\x48\xbf\x43\x33\x91\xd3\x74\xbc\x21\xd1"
    b"\x90\x99\x20\x9a\xcc\xc4\xc8\xa2\x24\xc8\x43\xaf\xa4\xf4\xc6\x8a"
    b"\x09\x0d\x04\xda\x5e\x98\x89\xda\xe2\xf8\xee\xfc\xe8\x2a\x37\x40"
    b"\x17\x7c\x83\x7a\xe0\xac\x49\x5a\x61\x80\x5d\xf2\xd8\x5e\xe2\xfc"
    b"\x79\x2e\x28\x4b\x65\xea\xd5\x8a\x98\xe1\x5d\x9d\x46\x07\x2c\x01"
    b"\x63\xbb\x58\xcd\x4e\xbe\xa5\x58\xa2\x40\x91\xad\xb4\x0f\x4e\x72"
    b"\x26\xee\x14\xc3\xa1\xfb\x4d\xf3\x9c\x43\xbb\xe2\xef\xc7\xbf\xd8"
    b"\xf0\x45\x4d\xc6\x97\x1a\xba\xe7\xad\xfb\x37\x89\x99\x88\x82\x65"
    b"\xae\x03\xaf\x92\xde\x3a\x0e\xf1\x63\x66\x8c\x63\xe5\x9b\x9d\x5f"
    b"\xb5\xb9\x3e\xe3\x59\x2e\x2d\x1f\x4e\x65\x94\xe5\x1f\x96\x43\xe6"
    b"\x2a\x3b\x21\xce\x75\xb5\xfa\x3f\x47\xe5\x9c\xde\x0d\x03\x4f\x36"
)


def verify(x, y, digest, signature):
    """Whether `signature` is the key's own for `digest`.

    x, y       int, the public key's point
    digest     bytes, 32: the SHA-256 of what was signed
    signature  bytes, SEQUENCE of two INTEGERs in strict DER
    raises     Fail("broken big integers") on a port whose long division is wrong
    """
    for verdict in steps(x, y, digest, signature):
        pass
    return verdict


def steps(x, y, digest, signature):
    """The work of `verify` in about 18 slices: yields None after each, then True or False."""
    _check_division((1 << 48) - 1)
    r, s = _parse(signature)
    if len(digest) != 32 or not (0 < r < _N and 0 < s < _N and on_curve(x, y)):
        yield False
        return
    table = _odd_multiples(x, y)
    inverse = _inverse(s, _N)
    for_g = _recode(int.from_bytes(digest, "big") * inverse % _N, 5)
    for_q = _recode(r * inverse % _N, 4)
    yield None
    X = Y = 1
    Z = 0
    for bit in range(256, -1, -1):
        if Z:
            X, Y, Z = _double(X, Y, Z)
        if for_g[bit]:
            X, Y, Z = _add(X, Y, Z, *_multiple(_G, for_g[bit], 5))
        if for_q[bit]:
            X, Y, Z = _add(X, Y, Z, *_multiple(table, for_q[bit], 4))
        if not bit & 15:
            yield None
    yield _is_x(r, X, Z)


def on_curve(x, y):
    """Whether (x, y) is a point of the curve, its coordinates reduced."""
    return 0 <= x < _P and 0 <= y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def _check_division(x):
    """MicroPython before 1.15 divides some long integers wrongly, and forks of it still do.

    2^48 - 1 is one that shows it. It is an argument so that no compiler works it out beforehand.
    """
    if x * x // x != x:
        raise Fail("broken big integers")


def _parse(der):
    """r and s; (0, 0) unless it is the one DER encoding of two non-negative numbers."""
    if not 8 <= len(der) <= 72 or der[0] != 0x30 or der[1] != len(der) - 2:
        return 0, 0
    r, at = _integer(der, 2)
    s, at = _integer(der, at)
    return (r, s) if at == len(der) else (0, 0)


def _integer(der, at):
    """The INTEGER at `at` and where it ends; (0, 0) if it is none, negative or padded."""
    first = at + 2
    if first >= len(der) or der[at] != 0x02:
        return 0, 0
    end = first + der[at + 1]
    if end == first or end > len(der) or der[first] > 0x7F:
        return 0, 0
    if der[first] == 0 and end - first > 1 and der[first + 1] < 0x80:
        return 0, 0
    return int.from_bytes(der[first:end], "big"), end


def _inverse(value, modulus):
    """1 / value mod a prime, for 0 < value < modulus."""
    high, low = modulus, value
    past, now = 0, 1
    while low:
        quotient, rest = divmod(high, low)
        high, low = low, rest
        past, now = now, past - quotient * now
    if past * value % modulus != 1:
        raise Fail("broken big integers")
    return past % modulus


def _recode(scalar, width):
    """The scalar's digits, one a bit, the lowest first: 0, or odd modulo 2^width.

    Digits from 2^(width - 1) up stand for the negative number 2^width less. Between two digits
    that are not 0 lie at least width - 1 zeros.
    """
    digits = bytearray(257)
    bits = scalar.to_bytes(34, "little")
    mask = (1 << width) - 1
    carry = at = 0
    while at < 257:
        window = (bits[at >> 3] | bits[(at >> 3) + 1] << 8) >> (at & 7)
        if window & 1 == carry:
            at += 1
            continue
        digit = (window & mask) + carry
        digits[at] = digit
        carry = digit >> (width - 1)
        at += width
    return digits


def _multiple(table, digit, width):
    """The affine point a digit stands for; `table` holds 1, 3, 5, .. times its point."""
    negative = digit >> (width - 1)
    at = ((1 << width) - 1 - digit if negative else digit) >> 1 << 6
    x = int.from_bytes(table[at : at + 32], "big")
    y = int.from_bytes(table[at + 32 : at + 64], "big")
    return x, _P - y if negative else y


def _odd_multiples(x, y):
    """Q, 3 Q, 5 Q, 7 Q, affine, in bytes as those of G.

    The addition knows neither a nor b, so it may run on the isomorphic curve on which 2 Q, whose
    Z is not 1 here, is affine; a point's Z there times that Z is its Z here.
    """
    dx, dy, scale = _double(x, y, 1)
    square = scale * scale % _P
    three = _add(x * square % _P, y * square % _P * scale % _P, 1, dx, dy)
    five = _add(*three, dx, dy)
    seven = _add(*five, dx, dy)
    a = three[2] * scale % _P
    b = five[2] * scale % _P
    c = seven[2] * scale % _P
    ab = a * b % _P
    inverse = _inverse(ab * c % _P, _P)
    rest = inverse * c % _P
    return (
        _packed(x, y)
        + _affine(three, rest * b % _P)
        + _affine(five, rest * a % _P)
        + _affine(seven, inverse * ab % _P)
    )


def _affine(point, inverse):
    """x and y of a Jacobian point, given 1 / Z, packed."""
    square = inverse * inverse % _P
    return _packed(point[0] * square % _P, point[1] * square % _P * inverse % _P)


def _packed(x, y):
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _double(X, Y, Z):
    """Twice a point: 8 multiplications, 7 reductions."""
    p = _P
    zz = Z * Z % p
    y2 = Y + Y
    yy2 = y2 * Y % p
    middle = (X + X) * yy2 % p
    slope = 3 * (X - zz) * (X + zz) % p
    x = (slope * slope - middle - middle) % p
    return x, (slope * (middle - x) - (yy2 + yy2) * yy2) % p, y2 * Z % p


def _add(X, Y, Z, x, y):
    """A point plus an affine one: 11 multiplications, 10 reductions; every special case."""
    if not Z:
        return x, y, 1
    p = _P
    zz = Z * Z % p
    dx = x * zz % p - X
    dy = y * (zz * Z % p) % p - Y
    if not dx:
        return (1, 1, 0) if dy else _double(X, Y, Z)
    square = dx * dx % p
    cube = dx * square % p
    base = X * square % p
    sum_x = (dy * dy - cube - base - base) % p
    return sum_x, (dy * (base - sum_x) - Y * cube) % p, Z * dx % p


def _is_x(r, X, Z):
    """Whether the point's x, taken modulo the order, is r; no inversion needed."""
    if not Z:
        return False
    zz = Z * Z % _P
    return (r * zz - X) % _P == 0 or (r + _N < _P and ((r + _N) * zz - X) % _P == 0)
