"""The cloud's certificate authority: one EC P-256 root, server and client certificates under it.

A client certificate's common name is what Mosquitto knows a client by. It is made here, never
taken from a signing request, and never given twice: what a thing has lost cannot come back.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sluice.cloud.state import OWNERS, State, write_atomically
from sluice.errors import SluiceError
from sluice.signing import certificate_pem, key_pem, load_key

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

VALID_DAYS = 365 * 20
HOSTS = (
    x509.DNSName("localhost"),
    x509.IPAddress(ip_address("127.0.0.1")),
    x509.IPAddress(ip_address("::1")),
)
NAME_CHARACTERS = 64  # the longest common name X.509 allows
USAGES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]


class Authority:
    """The root key and certificate of a state folder, made at first use."""

    def __init__(self, state: State) -> None:
        path = state.authority / "ca.key"
        if path.exists():
            key = load_key(path)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise SluiceError(f"{path} is not this cloud's key")
            self._key = key
            self.root = x509.load_pem_x509_certificate(state.root_ca.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._make_root()
        write_atomically(state.root_ca, certificate_pem(self.root))
        write_atomically(path, key_pem(self._key), OWNERS)

    def _make_root(self) -> x509.Certificate:
        name = _name("Sluice local cloud root CA")
        builder = _builder(name, name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return self._sign(builder, "key_cert_sign", "crl_sign")

    def server(self, address: str | None = None) -> tuple[bytes, bytes]:
        """Key and certificate (PEM) for the broker, valid for this machine's own names and one
        address more."""
        hosts = [*HOSTS, *([x509.IPAddress(ip_address(address))] if address else [])]
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name("localhost"), self.root.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        )
        return key_pem(key), certificate_pem(self._sign(builder, "digital_signature"))

    def client(self, common_name: str) -> tuple[bytes, bytes]:
        """Key, of P-256, and certificate (PEM) of a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key_pem(key), self.certify(common_name, key.public_key())

    def certify(self, common_name: str, key: PublicKey) -> bytes:
        """The certificate (PEM) of a client that has its key."""
        builder = _builder(_name(common_name), self.root.subject, key).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        return certificate_pem(self._sign(builder, "digital_signature"))

    def _sign(self, builder: x509.CertificateBuilder, *usages: str) -> x509.Certificate:
        usage = {name: name in usages for name in USAGES}
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            builder.add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def unique_name(label: str) -> str:
    """A common name nobody had: the label, as far as it fits, a dot and 16 random hex digits."""
    tail = "." + secrets.token_hex(8)
    return label[: NAME_CHARACTERS - len(tail)] + tail


def certificate_id(pem: bytes) -> str:
    """AWS's id of a certificate: 64 hex digits, here the SHA-256 of its DER."""
    der = x509.load_pem_x509_certificate(pem)
    return der.fingerprint(hashes.SHA256()).hex()


def validity(pem: bytes) -> tuple[datetime, datetime]:
    """From when until when a certificate is valid."""
    found = x509.load_pem_x509_certificate(pem)
    return found.not_valid_before_utc, found.not_valid_after_utc


def public_key_pem(pem: bytes) -> str:
    """The public key of a certificate, as CreateKeysAndCertificate returns it."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def thing_id(name: str) -> str:
    """A stable id in the form of a UUID."""
    raw = hashlib.sha256(name.encode()).hexdigest()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:32]))
