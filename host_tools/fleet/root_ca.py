"""Whom a board trusts: the root certificate of the broker that it connects to.

AWS's brokers (iot:Data-ATS) have certificates under Amazon Root CA 1. boto3 comes with the root
certificates that it trusts itself, that one among them; so it is taken from there, no certificate
is written down here and none is fetched. Another broker's is given with --ca, or in SLUICE_CA.
"""

import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import botocore

from sluice.errors import SluiceError

if TYPE_CHECKING:
    from cryptography import x509

NAME = "Amazon Root CA 1"
BUNDLE = Path(botocore.__file__).with_name("cacert.pem")
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
AWS = re.compile(r"[\w.-]+\.amazonaws\.com(\.cn)?|<.*>")  # or what a rehearsal makes up


def root_ca(endpoint: str, file: Path | None) -> bytes:
    """The certificate, PEM, for a broker of that name; SluiceError if there is none for it."""
    given = file or (Path(os.environ["SLUICE_CA"]) if os.environ.get("SLUICE_CA") else None)
    if given is not None:
        return from_file(given)
    if AWS.fullmatch(endpoint):
        return amazon()
    raise SluiceError(f"{endpoint} is no broker of AWS: give its root certificate with --ca FILE")


def from_file(file: Path) -> bytes:
    """A certificate of the user's."""
    try:
        data = file.read_bytes()
        load(data)
    except OSError as error:
        raise SluiceError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise SluiceError(f"{file} is not a PEM certificate") from None
    return data


def amazon() -> bytes:
    """Amazon Root CA 1 from the bundle of boto3."""
    from cryptography.x509.oid import NameOID

    for data in PEM.findall(BUNDLE.read_bytes()):
        names = load(data).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [name.value for name in names] == [NAME]:
            return data if data.endswith(b"\n") else data + b"\n"
    raise SluiceError(f"boto3's certificates lack {NAME}: give it with --ca FILE")


def load(data: bytes) -> "x509.Certificate":
    """A certificate; some of the bundle are older than today's rules, of which Python warns."""
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificate(data)
