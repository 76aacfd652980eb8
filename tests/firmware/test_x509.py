"""The key of a signer file, on MicroPython. More files: tests/fuzz/test_x509.py."""

from binascii import a2b_base64

import signer_samples as sample

from sluice.errors import Fail
from sluice.trust.x509 import public_key

HEAP = "64k"


def why(data):
    """The reason a signer file is refused for."""
    try:
        public_key(data)
    except Fail as error:
        assert error.reason == "bad signer", error
        return error.values[0]
    raise AssertionError("taken")


def der_of(pem):
    return a2b_base64(b"".join(pem.strip().split(b"\n")[1:-1]))


EC_KEY = ("ecdsa", sample.FIRST_X, sample.FIRST_Y)


def test_x509_p256_certificate_gives_its_key():
    assert public_key(sample.FIRST_CERTIFICATE) == EC_KEY
    assert public_key(der_of(sample.FIRST_CERTIFICATE)) == EC_KEY
    assert public_key(memoryview(sample.FIRST_CERTIFICATE)) == EC_KEY


def test_x509_bare_public_key_gives_the_same_key():
    assert public_key(sample.FIRST_PUBLIC_KEY) == EC_KEY
    assert public_key(der_of(sample.FIRST_PUBLIC_KEY)) == EC_KEY


def test_x509_rsa_certificate_and_public_key_give_the_same_key():
    kind, n, e = public_key(sample.RSA_CERTIFICATE)
    assert kind == "rsa" and e == 65537 and n >> 2047 == 1
    assert public_key(sample.RSA_PUBLIC_KEY) == (kind, n, e)


def test_x509_crlf_and_text_around_the_block_do_not_matter():
    crlf = sample.FIRST_CERTIFICATE.replace(b"\n", b"\r\n")
    assert public_key(crlf) == EC_KEY
    assert (
        public_key(b"subject=CN = signer\n\n" + sample.FIRST_CERTIFICATE + b"\n# end\n") == EC_KEY
    )


def test_x509_chain_gives_the_first_certificate():
    assert public_key(sample.FIRST_CERTIFICATE + sample.RSA_CERTIFICATE) == EC_KEY
    assert public_key(sample.RSA_PUBLIC_KEY + sample.FIRST_CERTIFICATE) == EC_KEY


def test_x509_file_cut_anywhere_is_refused():
    for pem in (sample.FIRST_CERTIFICATE, sample.FIRST_PUBLIC_KEY):
        der = der_of(pem)
        for size in range(len(der)):
            why(der[:size])
        assert why(der + b"\0") == "structure"
    assert why(sample.FIRST_CERTIFICATE[:300]) == "PEM"


def test_x509_empty_or_foreign_file_is_refused():
    for data in (b"", b"\0", b"0", b"hello world", b"\x30\x00", b"\x30\x80\x00\x00", bytes(500)):
        why(data)
    assert why(bytes(20000)) == "too long"


def test_x509_point_off_the_curve_or_compressed_is_refused():
    der = bytearray(der_of(sample.FIRST_PUBLIC_KEY))
    der[-1] ^= 1
    assert why(der) == "point"
    der[-65] = 2
    assert why(der) == "point"


def test_x509_length_not_in_its_shortest_form_is_refused():
    der = der_of(sample.FIRST_PUBLIC_KEY)
    for prefix in (b"\x30\x81", b"\x30\x82\x00", b"\x30\x83\x00\x00", b"\x30\x84\x00\x00\x00"):
        assert why(prefix + der[1:]) == "length"


def test_x509_other_algorithm_is_refused():
    der = bytearray(der_of(sample.FIRST_PUBLIC_KEY))
    der[22] ^= 1  # last byte of the curve's identifier
    assert why(der) == "neither P-256 nor RSA"


def test_x509_even_or_negative_rsa_numbers_are_refused():
    der = bytearray(der_of(sample.RSA_PUBLIC_KEY))
    even = bytearray(der)
    even[-1] ^= 1  # e = 65536
    assert why(even) == "RSA key"
    at = der.find(b"\x02\x82\x01\x01\x00")
    negative = bytearray(der)
    negative[at + 4] = 0x80
    assert why(negative) == "structure"
