"""ECDSA P-256, on MicroPython. Wycheproof's vectors are in tests/signatures."""

from binascii import a2b_base64

import signer_samples as sample

from sluice.errors import Fail
from sluice.trust import p256

HEAP = "64k"

X, Y = sample.FIRST_X, sample.FIRST_Y
SIGNATURE = a2b_base64(sample.FIRST_SIGNATURE)


def test_p256_openssl_signature_is_genuine():
    assert p256.verify(X, Y, sample.DIGEST, SIGNATURE) is True


def test_p256_other_key_other_digest_or_short_digest_is_not_genuine():
    assert p256.verify(sample.SECOND_X, sample.SECOND_Y, sample.DIGEST, SIGNATURE) is False
    assert p256.verify(X, Y, bytes(32), SIGNATURE) is False
    assert p256.verify(X, Y, sample.DIGEST[:31], SIGNATURE) is False


def test_p256_signature_as_view_is_genuine():
    assert p256.verify(X, Y, memoryview(sample.DIGEST), memoryview(SIGNATURE)) is True


def test_p256_every_bit_of_the_signature_matters():
    for bit in range(0, 8 * len(SIGNATURE), 37):
        bad = bytearray(SIGNATURE)
        bad[bit >> 3] ^= 1 << (bit & 7)
        assert p256.verify(X, Y, sample.DIGEST, bad) is False, bit


def test_p256_signature_cut_anywhere_is_not_genuine():
    for size in range(len(SIGNATURE)):
        assert p256.verify(X, Y, sample.DIGEST, SIGNATURE[:size]) is False
    assert p256.verify(X, Y, sample.DIGEST, SIGNATURE + b"\0") is False


def test_p256_r_and_s_out_of_range_are_not_genuine():
    def encoded(number):
        contents = number.to_bytes(33, "big")
        while len(contents) > 1 and contents[0] == 0 and contents[1] < 0x80:
            contents = contents[1:]
        return bytes((2, len(contents))) + contents

    good = p256._N - 5
    for r, s in ((0, good), (good, 0), (p256._N, good), (good, p256._N), (p256._P, good)):
        body = encoded(r) + encoded(s)
        der = bytes((0x30, len(body))) + body
        assert not any(p256.steps(X, Y, sample.DIGEST, der)), (r, s)
        assert len(list(p256.steps(X, Y, sample.DIGEST, der))) == 1  # refused before any work


def test_p256_point_off_the_curve_is_refused_before_any_work():
    assert p256.on_curve(X, Y)
    for x, y in ((X, Y + 1), (X + 1, Y), (0, 0), (X + p256._P, Y), (X, Y - p256._P)):
        assert not p256.on_curve(x, y)
        assert list(p256.steps(x, y, sample.DIGEST, SIGNATURE)) == [False]


def test_p256_steps_let_go_every_16_bits():
    seen = list(p256.steps(X, Y, sample.DIGEST, SIGNATURE))
    assert seen == [None] * 18 + [True], seen


def test_p256_baked_table_holds_the_odd_multiples_of_g():
    def of_g(at):
        entry = p256._G[at : at + 64]
        return int.from_bytes(entry[:32], "big"), int.from_bytes(entry[32:], "big")

    x, y = of_g(0)
    assert x == 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296  # SP 800-186
    assert y == 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    point = (x, y, 1)
    for at in range(0, 512, 64):
        X, Y, Z = point
        assert p256.on_curve(*of_g(at))
        gx, gy = of_g(at)
        assert (gx * Z * Z - X) % p256._P == 0 and (gy * Z * Z * Z - Y) % p256._P == 0, at
        point = p256._add(*p256._add(X, Y, Z, x, y), x, y)


def test_p256_table_of_q_equals_the_table_of_g():
    x = int.from_bytes(p256._G[:32], "big")
    y = int.from_bytes(p256._G[32:64], "big")
    assert p256._odd_multiples(x, y) == p256._G[:256]


def test_p256_addition_knows_its_special_cases():
    x = int.from_bytes(p256._G[:32], "big")
    y = int.from_bytes(p256._G[32:64], "big")
    assert p256._add(1, 1, 0, x, y) == (x, y, 1)
    assert p256._add(x, y, 1, x, y) == p256._double(x, y, 1)
    assert p256._add(x, p256._P - y, 1, x, y)[2] == 0
    assert p256._double(*p256._add(x, p256._P - y, 1, x, y))[2] == 0


def test_p256_recoded_scalar_has_the_same_value_and_sparse_digits():
    for scalar in (0, 1, 2, 15, 16, 31, (1 << 256) - 1, 1 << 255, p256._N - 1, X, Y, X ^ Y):
        for width in (4, 5):
            digits = p256._recode(scalar, width)
            value = 0
            rest = 0  # how many of the next digits must be 0
            for at, digit in enumerate(digits):
                assert not (rest > 0 and digit)
                rest -= 1
                if digit:
                    assert digit & 1 and digit < 1 << width
                    value += (digit - (digit >> (width - 1) << width)) << at
                    rest = width - 1
            assert value == scalar, (scalar, width)


def test_p256_inverse_of_what_has_none_fails_by_name():
    assert p256._inverse(7, p256._N) * 7 % p256._N == 1
    for value, modulus in ((0, p256._N), (6, 9)):
        try:
            p256._inverse(value, modulus)
        except Fail as error:
            assert error.reason == "broken big integers"
        else:
            raise AssertionError("an inverse of %d mod %d" % (value, modulus))


class Misdivided:
    """A number of a port whose long division is wrong."""

    def __mul__(self, other):
        return self

    def __floordiv__(self, other):
        return None


def test_p256_port_that_divides_wrongly_fails_by_name():
    p256._check_division((1 << 48) - 1)
    try:
        p256._check_division(Misdivided())
    except Fail as error:
        assert error.reason == "broken big integers"
    else:
        raise AssertionError("a wrong division was not seen")
