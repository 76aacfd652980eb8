"""What a verification costs, in numbers that do not depend on the machine."""

import hashlib
import sys
import types

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from judging import Case, misjudged

BIG = 1 << 128
MULTIPLICATIONS = 3250  # goals of the design, on average
REDUCTIONS = 2900
DIGEST = hashlib.sha256(b"an image").digest()


class Counted(int):
    """An integer that counts what is expensive on a board."""

    multiplications = 0
    reductions = 0

    def __mul__(self, other):
        if abs(int(self)) > BIG and abs(int(other)) > BIG:
            Counted.multiplications += 1
        return Counted(int(self) * int(other))

    def __mod__(self, other):
        if abs(int(self)) > BIG * BIG * BIG:
            Counted.reductions += 1
        return Counted(int(self) % int(other))

    def __add__(self, other):
        return Counted(int(self) + int(other))

    def __sub__(self, other):
        return Counted(int(self) - int(other))

    def __rsub__(self, other):
        return Counted(int(other) - int(self))

    def __divmod__(self, other):
        return tuple(map(Counted, divmod(int(self), int(other))))

    __rmul__, __radd__ = __mul__, __add__

    @classmethod
    def from_bytes(cls, data, order):
        return cls(int.from_bytes(data, order))


@pytest.fixture
def counting_p256(root, monkeypatch):
    """firmware/sluice/trust/p256.py, run on this Python with integers that count."""
    errors = types.ModuleType("sluice.errors")
    exec((root / "firmware/sluice/errors.py").read_text(), errors.__dict__)
    monkeypatch.setitem(sys.modules, "ota", types.ModuleType("ota"))
    monkeypatch.setitem(sys.modules, "sluice.errors", errors)
    module = types.ModuleType("p256")
    exec((root / "firmware/sluice/trust/p256.py").read_text(), module.__dict__)
    module.int = Counted
    return module


def test_p256_multiplications_and_reductions_stay_within_the_goal(counting_p256):
    rounds = 20
    Counted.multiplications = Counted.reductions = 0
    for _ in range(rounds):
        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_numbers()
        signature = key.sign(b"an image", ec.ECDSA(hashes.SHA256()))
        assert counting_p256.verify(Counted(point.x), Counted(point.y), DIGEST, signature)
    assert 2_500 < Counted.multiplications / rounds <= MULTIPLICATIONS
    assert 2_000 < Counted.reductions / rounds <= REDUCTIONS


def spki(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_p256_verification_with_its_script_fits_in_a_heap_of_16_kilobytes(micropython, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    script = (
        "from sluice.trust.x509 import public_key\n"
        "from sluice.trust.p256 import verify\n"
        "signature, digest = eval(open('case.txt').read())\n"
        "kind, x, y = public_key(open('key.pem', 'rb').read())\n"
        "print(verify(x, y, digest, signature))\n"
    )
    signature = key.sign(b"an image", ec.ECDSA(hashes.SHA256()))
    (tmp_path / "case.txt").write_text(repr((signature, DIGEST)))
    (tmp_path / "key.pem").write_bytes(spki(key))
    assert micropython(script, heap="16k").stdout == "True\n"


@pytest.mark.parametrize("arch", ("i386", "amd64"))
def test_openssl_signatures_are_judged_right_half_of_them_tampered_with(
    micropython, tmp_path, arch
):
    cases = []
    for number in range(150):
        key = ec.generate_private_key(ec.SECP256R1())
        digest = hashlib.sha256(bytes([number])).digest()
        signature = key.sign(bytes([number]), ec.ECDSA(hashes.SHA256()))
        cases.append(Case(f"good{number}", spki(key), digest, signature, "genuine"))
        wrong = bytearray(signature if number % 2 else digest)
        wrong[number % len(wrong)] ^= 1 << number % 8
        pair = (digest, bytes(wrong)) if number % 2 else (bytes(wrong), signature)
        cases.append(Case(f"bad{number}", spki(key), *pair, "false"))
    for bits in (2048, 2056, 3072, 4096):
        key = rsa.generate_private_key(public_exponent=3 if bits == 2056 else 65537, key_size=bits)
        signature = key.sign(b"an image", PKCS1v15(), hashes.SHA256())
        cases.append(Case(f"rsa{bits}", spki(key), DIGEST, signature, "genuine"))
        cases.append(Case(f"rsa{bits}-other", spki(key), bytes(32), signature, "false"))
    assert misjudged(micropython, tmp_path, cases, arch) == []
