"""The control plane's calls for certificates."""

from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sluice.cloud.http.reads import reads
from sluice.cloud.listing import Listing
from sluice.cloud.names import ACCOUNT, arn
from sluice.cloud.refusal import Refusal, invalid
from sluice.cloud.things.ca import public_key_pem, validity
from sluice.cloud.things.things import RSA_BITS, Certificate, Things

Parameters = dict[str, Any]

EXPONENT = 65_537  # what everybody takes


class CertificateCalls:
    """Certificates. `changed` is called with the id of one whose rights may have changed."""

    def __init__(self, things: Things, changed: Callable[..., object]) -> None:
        self._things = things
        self._store = things.store
        self._changed = changed

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateKeysAndCertificate": self.create,
            "CreateCertificateFromCsr": self.certify,
            "DescribeCertificate":      self.describe,
            "ListCertificates":         self.list,
            "UpdateCertificate":        self.update,
            "DeleteCertificate":        self.delete,
        }
        # fmt: on

    @reads("setAsActive")
    def create(self, given: Parameters) -> Parameters:
        key = rsa.generate_private_key(EXPONENT, RSA_BITS)
        made = self._things.issue("certificate", given.get("setAsActive", False), key=key)
        return certificate_shape(made)

    @reads("certificateSigningRequest", "setAsActive")
    def certify(self, given: Parameters) -> Parameters:
        request = given["certificateSigningRequest"]
        return certificate_shape(
            self._things.issue("certificate", given.get("setAsActive", False), request)
        )

    @reads("certificateId")
    def describe(self, given: Parameters) -> Parameters:
        row = self._things.certificate(given["certificateId"])
        since, until = validity(row["pem"].encode())
        shape = certificate_row(row) | {
            "certificatePem": row["pem"],
            "ownedBy": ACCOUNT,
            "lastModifiedDate": row["created_at"],
            "validity": {"notBefore": since, "notAfter": until},
            "certificateMode": "DEFAULT",
        }
        return {"certificateDescription": shape}

    @reads("ascendingOrder")
    def list(self, given: Parameters) -> Parameters:
        order = "ASC" if given.get("ascendingOrder") else "DESC"
        query = f"SELECT id, status, created_at FROM certificates ORDER BY created_at {order}, id"
        return {"certificates": Listing(self._store, certificate_row, query)}

    @reads("certificateId", "newStatus")
    def update(self, given: Parameters) -> None:
        row = self._things.certificate(given["certificateId"])
        wanted = given["newStatus"]
        if wanted not in ("ACTIVE", "INACTIVE", "REVOKED"):
            raise invalid(f"a certificate cannot be made {wanted}")
        self._store.run("UPDATE certificates SET status = ? WHERE id = ?", wanted, row["id"])
        self._changed(row["id"])

    @reads("certificateId", "forceDelete")
    def delete(self, given: Parameters) -> None:
        row = self._things.certificate(given["certificateId"])
        if row["status"] == "ACTIVE":
            raise Refusal("CertificateStateException", "the certificate is active")
        if self._store.row("SELECT 1 FROM principals WHERE certificate = ?", row["id"]):
            raise Refusal("DeleteConflictException", "things are attached to the certificate")
        target = arn("cert", row["id"])
        policies = self._store.row("SELECT 1 FROM policy_targets WHERE target = ?", target)
        if policies and not given.get("forceDelete"):
            raise Refusal("DeleteConflictException", "policies are attached to the certificate")
        with self._store.transaction():
            self._store.run("DELETE FROM policy_targets WHERE target = ?", target)
            self._store.run("DELETE FROM certificates WHERE id = ?", row["id"])


def certificate_shape(made: Certificate) -> Parameters:
    """A new certificate; the key pair is only in the shape of the call that makes one."""
    pair = {"PublicKey": public_key_pem(made.pem.encode()), "PrivateKey": made.key}
    return {
        "certificateArn": arn("cert", made.id),
        "certificateId": made.id,
        "certificatePem": made.pem,
        "keyPair": pair,
    }


def certificate_row(row: Row) -> Parameters:
    """A certificate as lists show it."""
    return {
        "certificateArn": arn("cert", row["id"]),
        "certificateId": row["id"],
        "status": row["status"],
        "creationDate": row["created_at"],
    }
