"""The control plane's calls for things, certificates, policies and streams.

Policies are kept and not obeyed: what a certificate may do follows from the things it is attached
to (see `things`). Lists come whole; this cloud has no second page.
"""

import json
import time
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from host_tools.cloud.bucket import Bucket
from host_tools.cloud.ca import public_key_pem
from host_tools.cloud.names import arn, of_arn
from host_tools.cloud.refusal import Refusal, exists, invalid, not_found
from host_tools.cloud.store import Store
from host_tools.cloud.streams import FILE_BYTES
from host_tools.cloud.things import Certificate, Things

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
            "UpdateCertificate":        self.update_certificate,
            "DeleteCertificate":        self.delete_certificate,
            "AttachThingPrincipal":     self.attach,
            "DetachThingPrincipal":     self.detach,
            "ListThingPrincipals":      self.principals,
            "CreatePolicy":             self.create_policy,
            "AttachPolicy":             self.attach_policy,
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
        return {
            "certificateDescription": {
                "certificateArn": arn("cert", row["id"]),
                "certificateId": row["id"],
                "certificatePem": row["pem"],
                "status": row["status"],
                "creationDate": row["created_at"],
                "lastModifiedDate": row["created_at"],
            }
        }

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

    def create_policy(self, given: Parameters) -> Parameters:
        name, document = given["policyName"], given["policyDocument"]
        try:
            json.loads(document)
        except ValueError:
            text = "the policy document is not JSON"
            raise Refusal("MalformedPolicyException", text) from None
        with self._store.transaction():
            if self._store.row("SELECT 1 FROM policies WHERE name = ?", name):
                raise exists("policy", name, arn("policy", name))
            self._store.insert("policies", name=name, document=document)
        shape = {"policyName": name, "policyArn": arn("policy", name)}
        return shape | {"policyDocument": document, "policyVersionId": "1"}

    def attach_policy(self, given: Parameters) -> None:
        name, target = given["policyName"], given["target"]
        if not self._store.row("SELECT 1 FROM policies WHERE name = ?", name):
            raise not_found("policy", name)
        self._things.certificate(certificate_of(target))
        self._store.run("INSERT OR IGNORE INTO policy_targets VALUES (?, ?)", name, target)

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


def certificate_of(principal: str) -> str:
    """The certificate's id in a principal's ARN."""
    identity = of_arn(principal, "cert")
    if identity is None:
        raise invalid(f"{principal} is not a certificate's ARN")
    return identity


class StreamCalls:
    """Streams as the control plane makes and changes them."""

    def __init__(self, store: Store, bucket: Bucket, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._bucket = bucket
        self._now = now

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateStream":   self.create,
            "DescribeStream": self.describe,
            "UpdateStream":   self.update,
            "ListStreams":    self.list,
            "DeleteStream":   self.delete,
        }
        # fmt: on

    def create(self, given: Parameters) -> Parameters:
        name, now = given["streamId"], self._now()
        files = json.dumps(self._files(given["files"]))
        with self._store.transaction():
            if self._find(name):
                raise exists("stream", name, arn("stream", name))
            columns = {"version": 1, "description": given.get("description"), "files": files}
            columns |= {"role": given["roleArn"], "created_at": now, "updated_at": now}
            self._store.insert("streams", id=name, **columns)
        return self._shape(self._get(name))

    def _files(self, files: list[Parameters]) -> list[Parameters]:
        """The files with the ETag each has now; a Refusal for one that cannot be streamed."""
        if len({entry.get("fileId") for entry in files}) != len(files) or not files:
            raise invalid("a stream has 1 to 50 files, each with an id of its own")
        return [self._file(entry) for entry in files]

    def _file(self, entry: Parameters) -> Parameters:
        where = entry.get("s3Location", {})
        if entry.get("fileId") is None or not where.get("bucket") or not where.get("key"):
            raise invalid("a stream's file needs fileId, s3Location.bucket and s3Location.key")
        found = self._bucket.find(where["bucket"], where["key"], where.get("version"))
        if found is None:
            raise not_found("object", f"{where['bucket']}/{where['key']}")
        if found.size > FILE_BYTES:
            raise invalid(f"{where['key']} is {found.size} bytes, a stream takes {FILE_BYTES}")
        return {"fileId": entry["fileId"], "s3Location": where, "etag": found.etag}

    def _find(self, name: str) -> Row | None:
        return self._store.row("SELECT * FROM streams WHERE id = ?", name)

    def _get(self, name: str) -> Row:
        row = self._find(name)
        if row is None:
            raise not_found("stream", name)
        return row

    def _shape(self, row: Row) -> Parameters:
        return {
            "streamId": row["id"],
            "streamArn": arn("stream", row["id"]),
            "streamVersion": row["version"],
            "description": row["description"],
            "files": json.loads(row["files"]),
            "createdAt": row["created_at"],
            "lastUpdatedAt": row["updated_at"],
            "roleArn": row["role"],
        }

    def describe(self, given: Parameters) -> Parameters:
        return {"streamInfo": self._shape(self._get(given["streamId"]))}

    def update(self, given: Parameters) -> Parameters:
        row = self._get(given["streamId"])
        files = json.dumps(self._files(given["files"])) if "files" in given else row["files"]
        self._store.run(
            "UPDATE streams SET version = version + 1, description = ?, files = ?, role = ?, "
            "updated_at = ? WHERE id = ?",
            given.get("description", row["description"]),
            files,
            given.get("roleArn", row["role"]),
            self._now(),
            row["id"],
        )
        return self._shape(self._get(row["id"]))

    def list(self, given: Parameters) -> Parameters:
        order = "ASC" if given.get("ascendingOrder") else "DESC"
        rows = self._store.rows(f"SELECT * FROM streams ORDER BY created_at {order}, id {order}")
        return {"streams": [self._shape(row) for row in rows]}

    def delete(self, given: Parameters) -> None:
        self._get(given["streamId"])
        self._store.run("DELETE FROM streams WHERE id = ?", given["streamId"])
