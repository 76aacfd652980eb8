"""RSA PKCS#1 v1.5 with SHA-256, on MicroPython. Wycheproof's vectors are in tests/signatures."""

from binascii import a2b_base64

import signer_samples as sample

from sluice.trust import rsa
from sluice.trust.x509 import public_key

HEAP = "64k"

_, N, E = public_key(sample.RSA_PUBLIC_KEY)
SIGNATURE = a2b_base64(sample.RSA_SIGNATURE)


def test_rsa_openssl_signature_is_genuine():
    assert rsa.verify(N, E, sample.DIGEST, SIGNATURE) is True


def test_rsa_other_digest_or_key_is_not_genuine():
    assert rsa.verify(N, E, bytes(32), SIGNATURE) is False
    assert rsa.verify(N - 2, E, sample.DIGEST, SIGNATURE) is False
    assert rsa.verify(N, 3, sample.DIGEST, SIGNATURE) is False


def test_rsa_changed_signature_is_not_genuine():
    for at in (0, 1, 100, 255):
        bad = bytearray(SIGNATURE)
        bad[at] ^= 1
        assert rsa.verify(N, E, sample.DIGEST, bad) is False


def test_rsa_signature_of_another_length_is_refused_before_any_work():
    value = int.from_bytes(SIGNATURE, "big")
    for bad in (SIGNATURE[1:], b"\0" + SIGNATURE, b"", SIGNATURE + b"\0", bytes(513)):
        assert list(rsa.steps(N, E, sample.DIGEST, bad)) == [False], len(bad)
    if (value + N) >> 2048 == 0:
        again = (value + N).to_bytes(256, "big")
        assert list(rsa.steps(N, E, sample.DIGEST, again)) == [False]
    assert list(rsa.steps(N, E, sample.DIGEST, N.to_bytes(256, "big"))) == [False]


def test_rsa_key_too_small_or_too_large_is_refused_before_any_work():
    for bits in (1024, 2047, 4097):
        size = (bits + 7) // 8
        n = (1 << bits) - 1
        assert list(rsa.steps(n, 3, sample.DIGEST, bytes(size))) == [False], bits


def test_rsa_steps_let_go_at_every_bit_of_the_exponent():
    assert list(rsa.steps(N, E, sample.DIGEST, SIGNATURE)) == [None] * 16 + [True]


def test_rsa_block_that_was_signed_is_as_the_standard_builds_it():
    block = rsa._encoded(sample.DIGEST, 256)
    assert len(block) == 256 and block[:2] == b"\0\1" and block[-32:] == sample.DIGEST
    assert block[2:204] == b"\xff" * 202 and block[204] == 0


def test_rsa_power_follows_every_exponent():
    wanted = int.from_bytes(rsa._encoded(sample.DIGEST, 256), "big")
    for e in (3, 5, 7, 11, 13, 17, 257):
        root = 1 << 2047 // e  # raised until its power, and with it the modulus, has 2,048 bits
        step = root
        while step:
            while (root + step) ** e >> 2048 == 0:
                root += step
            step >>= 1
        n = root**e - wanted  # so that root^e mod n is what has to come out
        signature = root.to_bytes(256, "big")
        assert rsa.verify(n, e, sample.DIGEST, signature) is True, e
        assert rsa.verify(n, e + 2, sample.DIGEST, signature) is False, e
