"""Signer files and signatures of every shape, good, bad and mutated, on MicroPython."""

import datetime
import random
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


MUTATE = """
import sys, random
from ota.errors import Fail
from ota.x509 import public_key

random.seed(int(sys.argv[2]))
print("seed", sys.argv[2])
files = [open(name, "rb").read() for name in sys.argv[3:]]
seen = {"ecdsa": 0, "rsa": 0, "bad": 0}
for round in range(int(sys.argv[1])):
    data = bytearray(random.choice(files))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data)) if random.getrandbits(1) else random.randrange(40)
        what = random.randrange(5)
        if what == 0:
            data[at] = random.getrandbits(8)
        elif what == 1:
            data[at] ^= 1 << random.randrange(8)
        elif what == 2:
            data = data[:at] + data[at + random.randint(1, 9):]
        elif what == 3:
            data = data[:at] + bytes([random.getrandbits(8)]) + data[at:]
        else:
            data[at] = random.choice((0, 0x7f, 0x80, 0x81, 0x82, 0x83, 0xff))
        if len(data) < 41:
            break
    try:
        seen[public_key(data)[0]] += 1
    except Fail as error:
        assert error.reason == "bad signer"
        seen["bad"] += 1
print(seen["ecdsa"], seen["rsa"], seen["bad"])
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_signer_files_mutated_ones_give_a_key_or_fail_by_name(micropython, tmp_path, arch):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    names = []
    for name, data in {
        "cert.der": certificate(P256).public_bytes(Encoding.DER),
        "key.der": P256.public_key().public_bytes(Encoding.DER, SPKI),
        "rsa.der": key.public_key().public_bytes(Encoding.DER, SPKI),
        "cert.pem": certificate(P256).public_bytes(Encoding.PEM),
    }.items():
        (tmp_path / name).write_bytes(data)
        names.append(str(tmp_path / name))
    rounds = 15_000
    seed = str(random.randrange(1 << 30))
    # anything but Fail, or a loop that does not end, fails the run and shows the seed
    done = micropython(MUTATE, str(rounds), seed, *names, arch=arch, heap="64k")
    ecdsa, of_rsa, refused = map(int, done.stdout.split()[2:])
    assert ecdsa + of_rsa + refused == rounds
    assert ecdsa > 100 and of_rsa > 10 and refused > rounds // 3, done.stdout


SIGNATURES = """
import sys, random
from ota import p256

random.seed(int(sys.argv[2]))
print("seed", sys.argv[2])
signatures = [bytes.fromhex(text) for text in sys.argv[3:]]
parsed = 0
for round in range(int(sys.argv[1])):
    data = bytearray(random.choice(signatures))
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(data))
        if random.getrandbits(1):
            at %= 6
        data[at] = random.choice((random.getrandbits(8), 0, 0x7f, 0x80, 0x20, 0x21, 0x44, 0x45))
    if not random.randrange(6):
        data = data[:random.randrange(len(data))]
    r, s = p256._parse(data)
    if r or s:
        parsed += 1
        body = b""
        for number in (r, s):
            octets = number.to_bytes(34, "big")
            while len(octets) > 1 and octets[0] == 0 and octets[1] < 0x80:
                octets = octets[1:]
            body += bytes((2, len(octets))) + octets
        assert bytes((0x30, len(body))) + body == data, data
print(parsed)
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_signatures_mutated_ones_that_parse_are_canonical(micropython, tmp_path, arch):
    signatures = [P256.sign(bytes([n]), ec.ECDSA(hashes.SHA256())).hex() for n in range(20)]
    seed = str(random.randrange(1 << 30))
    done = micropython(SIGNATURES, "20000", seed, *signatures, arch=arch, heap="64k")
    assert 1_000 < int(done.stdout.split()[2]) < 19_000
