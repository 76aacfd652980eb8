"""Signer files and signatures of every shape, good, bad and mutated, on MicroPython."""

import datetime
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

sys.path.append(str(Path(__file__).parent.parent / "signatures"))

from judging import Case, misjudged  # noqa: E402

ARCHES = ("i386", "amd64")
ISSUER = ec.generate_private_key(ec.SECP256R1())
RSA_ISSUER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
SPKI = PublicFormat.SubjectPublicKeyInfo


def certificate(key, issuer=ISSUER, name="signer", extensions=()) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2021, 1, 1))  # over: dates are not looked at
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer, hashes.SHA256())


def good() -> dict[str, bytes]:
    """Files that must give their key, by name; RSA ones are called so."""
    names = x509.SubjectAlternativeName([x509.DNSName(f"host{n}.example") for n in range(40)])
    files = {}
    for number in range(10):
        key = ec.generate_private_key(ec.SECP256R1())
        files[f"der{number}"] = certificate(key).public_bytes(Encoding.DER)
        files[f"pem{number}"] = certificate(key).public_bytes(Encoding.PEM)
        files[f"key{number}"] = key.public_key().public_bytes(Encoding.DER, SPKI)
    files["signed-by-rsa"] = certificate(P256, RSA_ISSUER).public_bytes(Encoding.PEM)
    files["forty-names"] = certificate(P256, extensions=[names]).public_bytes(Encoding.PEM)
    files["utf8"] = certificate(P256, name="Zürich – 東京").public_bytes(Encoding.DER)
    files["long-name"] = certificate(P256, name="n" * 64).public_bytes(Encoding.DER)
    files["crlf"] = certificate(P256).public_bytes(Encoding.PEM).replace(b"\n", b"\r\n")
    files["text"] = b"Certificate:\n  Data:\n" + certificate(P256).public_bytes(Encoding.PEM)
    files["chain"] = files["pem0"] + files["pem1"]
    for bits in (2048, 3072, 4096):
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        files[f"rsa{bits}"] = certificate(key).public_bytes(Encoding.PEM)
        files[f"rsa-key{bits}"] = key.public_key().public_bytes(Encoding.PEM, SPKI)
    return files


def bad() -> dict[str, bytes]:
    """Files that must be refused, by name."""
    keys = {
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "p224": ec.generate_private_key(ec.SECP224R1()),
        "k256": ec.generate_private_key(ec.SECP256K1()),
        "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "dsa": dsa.generate_private_key(2048),
        "rsa1024": rsa.generate_private_key(public_exponent=65537, key_size=1024),
    }
    files = {name: key.public_key().public_bytes(Encoding.PEM, SPKI) for name, key in keys.items()}
    files |= {f"{name}-cert": certificate(keys[name]).public_bytes(Encoding.DER) for name in keys}
    point = P256.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = P256.public_key().public_bytes(Encoding.DER, SPKI)[:23]
    files["compressed"] = b"\x30\x39" + head[2:22] + b"\x03\x22\x00" + point
    der = certificate(P256).public_bytes(Encoding.DER)
    files |= {f"cut{size}": der[:size] for size in range(1, len(der), 7)}
    files |= {"trailing": der + b"\0", "twice": der + der, "words": b"no key here", "zero": b"\0"}
    return files


@pytest.mark.parametrize("arch", ARCHES)
def test_signer_files_good_ones_give_a_key_and_bad_ones_are_refused(micropython, tmp_path, arch):
    cases = [
        Case(name, data, b"", b"", "rsa" if name.startswith("rsa") else "ecdsa")
        for name, data in good().items()
    ]
    cases += [Case(f"bad-{name}", data, b"", b"", "bad-signer") for name, data in bad().items()]
    assert misjudged(micropython, tmp_path, cases, arch) == []
