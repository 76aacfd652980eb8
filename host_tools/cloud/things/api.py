"""The control plane's calls for things and certificates."""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from host_tools.cloud.names import arn, of_arn
from host_tools.cloud.refusal import Refusal, invalid
from host_tools.cloud.things.ca import public_key_pem
from host_tools.cloud.things.things import Certificate, Things

Parameters = dict[str, Any]


class ThingCalls:
    """Things and what speaks for them. `changed` is called when rights may have changed."""

    def __init__(
        self, things: Things, changed: Callable[[], None], endpoint: Callable[[str], str]
    ) -> None:
        self._things = things
        self._store = things.store
        self._changed = changed
        self._endpoint = endpoint

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateThing":              self.create,
            "DescribeThing":            self.describe,
            "ListThings":               self.list,
            "DeleteThing":              self.delete,
            "CreateKeysAndCertificate": self.create_certificate,
            "CreateCertificateFromCsr": self.create_certificate,
            "DescribeCertificate":      self.describe_certificate,
            "ListCertificates":         self.list_certificates,
            "UpdateCertificate":        self.update_certificate,
            "DeleteCertificate":        self.delete_certificate,
            "AttachThingPrincipal":     self.attach,
            "DetachThingPrincipal":     self.detach,
            "ListThingPrincipals":      self.principals,
            "ListPrincipalThings":      self.principal_things,
            "DescribeEndpoint":         self.describe_endpoint,
        }
        # fmt: on

    def create(self, given: Parameters) -> Parameters:
        attributes = given.get("attributePayload", {}).get("attributes")
        row = self._things.create(given["thingName"], attributes, given.get("thingTypeName", ""))
        return thing_shape(row)

    def describe(self, given: Parameters) -> Parameters:
        row = self._things.get(given["thingName"])
        return thing_shape(row) | {"defaultClientId": row["name"]}

    def list(self, given: Parameters) -> Parameters:
        rows = [thing_shape(row) for row in self._store.rows("SELECT * FROM things ORDER BY name")]
        key, value = given.get("attributeName"), given.get("attributeValue")
        if key is not None:
            rows = [row for row in rows if row["attributes"].get(key) == value]
        kind = given.get("thingTypeName")
        return {"things": [row for row in rows if kind in (None, row["thingTypeName"])]}

    def delete(self, given: Parameters) -> None:
        row = self._things.find(
            given["thingName"]
        )  # deleting what is not there succeeds, as on AWS
        if row is None:
            return
        if given.get("expectedVersion", row["version"]) != row["version"]:
            raise Refusal("VersionConflictException", f"the thing's version is {row['version']}")
        self._things.delete(row["name"])

    def create_certificate(self, given: Parameters) -> Parameters:
        request = given.get("certificateSigningRequest")
        made = self._things.issue("certificate", given.get("setAsActive", False), request)
        return certificate_shape(made)

    def describe_certificate(self, given: Parameters) -> Parameters:
        row = self._things.certificate(given["certificateId"])
        shape = certificate_row(row) | {"certificatePem": row["pem"]}
        return {"certificateDescription": shape | {"lastModifiedDate": row["created_at"]}}

    def list_certificates(self, given: Parameters) -> Parameters:
        order = "ASC" if given.get("ascendingOrder") else "DESC"
        rows = self._store.rows(f"SELECT * FROM certificates ORDER BY created_at {order}, id")
        return {"certificates": [certificate_row(row) for row in rows]}

    def update_certificate(self, given: Parameters) -> None:
        row = self._things.certificate(given["certificateId"])
        wanted = given["newStatus"]
        if wanted not in ("ACTIVE", "INACTIVE", "REVOKED"):
            raise invalid(f"a certificate cannot be made {wanted}")
        self._store.run("UPDATE certificates SET status = ? WHERE id = ?", wanted, row["id"])
        self._changed()

    def delete_certificate(self, given: Parameters) -> None:
        row = self._things.certificate(given["certificateId"])
        if row["status"] == "ACTIVE":
            raise Refusal("CertificateStateException", "the certificate is active")
        if self._store.row("SELECT 1 FROM principals WHERE certificate = ?", row["id"]):
            raise Refusal("DeleteConflictException", "things are attached to the certificate")
        target = arn("cert", row["id"])
        policies = self._store.row("SELECT 1 FROM policy_targets WHERE target = ?", target)
        if policies and not given.get("forceDelete"):
            raise Refusal("DeleteConflictException", "policies are attached to the certificate")
        self._store.run("DELETE FROM policy_targets WHERE target = ?", target)
        self._store.run("DELETE FROM certificates WHERE id = ?", row["id"])

    def attach(self, given: Parameters) -> None:
        self._things.attach(given["thingName"], certificate_of(given["principal"]))
        self._changed()

    def detach(self, given: Parameters) -> None:
        self._things.detach(given["thingName"], certificate_of(given["principal"]))
        self._changed()

    def principals(self, given: Parameters) -> Parameters:
        self._things.get(given["thingName"])
        rows = self._things.principals(given["thingName"])
        return {"principals": [arn("cert", row["id"]) for row in rows]}

    def principal_things(self, given: Parameters) -> Parameters:
        query = "SELECT thing FROM principals WHERE certificate = ? ORDER BY thing"
        rows = self._store.rows(query, certificate_of(given["principal"]))
        return {"things": [row["thing"] for row in rows]}

    def describe_endpoint(self, given: Parameters) -> Parameters:
        return {"endpointAddress": self._endpoint(given.get("endpointType", "iot:Data-ATS"))}


def thing_shape(row: Row) -> Parameters:
    """A thing, with the members of several output shapes."""
    return {
        "thingName": row["name"],
        "thingArn": arn("thing", row["name"]),
        "thingId": row["id"],
        "thingTypeName": row["type"],
        "attributes": json.loads(row["attributes"]),
        "version": row["version"],
    }


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


def certificate_of(principal: str) -> str:
    """The certificate's id in a principal's ARN."""
    identity = of_arn(principal, "cert")
    if identity is None:
        raise invalid(f"{principal} is not a certificate's ARN")
    return identity
