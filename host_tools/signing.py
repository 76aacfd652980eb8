"""Signatures over images: the raw file bytes, SHA-256, base64 of the DER or RSA signature.

ECDSA P-256 gives ASN.1 DER (source: AWS's custom code signing for OTA updates), RSA gives PKCS#1
v1.5. The certificate that a board keeps is self-signed, for digital signatures and code signing.
"""

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sluice.errors import SluiceError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"

RSA_BITS = range(2048, 4097)
VALID_DAYS = 365 * 20  # a board's signer certificate outlives the board


def load_key(path: Path) -> PrivateKey:
    """A private key that the boards can check signatures of: EC P-256, or RSA 2048 to 4096."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SluiceError(f"cannot read the key {path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SluiceError(f"{path} is not a PEM private key without a password") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in RSA_BITS:
        return key
    raise SluiceError(f"{path}: neither an EC P-256 nor an RSA key of 2048 to 4096 bits")


def algorithm(key: PrivateKey) -> str:
    """ "ECDSA" or "RSA", as AWS's signatureAlgorithm spells it."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "RSA"


def digest(image: Path) -> bytes:
    """The SHA-256 of a file, read piece by piece; SluiceError if it cannot be read or is empty."""
    try:
        with image.open("rb") as file:
            if not file.read(1):
                raise SluiceError(f"{image} is empty")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise SluiceError(f"cannot read {image}: {error.strerror}") from None


def sign(image: Path, key: PrivateKey) -> bytes:
    """The signature's bytes over a whole file."""
    return sign_digest(digest(image), key)


def sign_digest(sha256: bytes, key: PrivateKey) -> bytes:
    """The signature's bytes over what has that SHA-256."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    scheme = Prehashed(hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(sha256, ec.ECDSA(scheme))
    return key.sign(sha256, padding.PKCS1v15(), scheme)


def sign_base64(image: Path, key: PrivateKey) -> str:
    """The signature as a job document carries it."""
    return base64.b64encode(sign(image, key)).decode()


def new_key(path: Path) -> Path:
    """Make an EC P-256 key and, beside it as .crt, its certificate; returns the latter's path.

    raises  SluiceError when one is there already or cannot be written; then neither is made
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate = path.with_suffix(".crt")
    if certificate == path:
        raise SluiceError(f"{path}: a key cannot be called .crt, that is its certificate")
    if path.exists():
        raise SluiceError(f"{path} exists already, nothing was overwritten")
    key = ec.generate_private_key(ec.SECP256R1())
    write_new(certificate, certificate_pem(signer_certificate(key)))
    try:
        write_new(path, key_pem(key), 0o600)  # last: with it the pair is there
    except BaseException:
        certificate.unlink()
        raise
    return certificate


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Create a file with that mode from the start, all of it or none; SluiceError if there is one
    already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise SluiceError(f"{path} exists already, nothing was overwritten") from None
    except OSError as error:
        raise SluiceError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise SluiceError(f"cannot write {path}: {error.strerror}") from None
        raise


def signer_certificate(key: PrivateKey) -> "x509.Certificate":
    """The self-signed code-signing certificate of a key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sluice image signer")])
    now = datetime.now(UTC)
    usage = {
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "key_cert_sign": False,
        "crl_sign": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(key, hashes.SHA256())
    )


def key_pem(key: PrivateKey) -> bytes:
    """A private key as PEM, in the classic form that MicroPython's mbedTLS reads too."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: "x509.Certificate") -> bytes:
    """A certificate as PEM."""
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
