"""Things, their certificates, and which certificate may speak for which thing.

AWS puts no name into a certificate; it looks up what is attached to it. So does this cloud: a
certificate has a common name of its own (`ca.unique_name`), Mosquitto takes that for the client's
name, and `access_list` says what each name may reach. To attach and to detach is therefore to
change that list, and boto3's usual sequence (create_thing, create_keys_and_certificate,
attach_thing_principal) gives a client that works. Policies are stored and listed, but not obeyed:
every attached active certificate has the same rights, those of `TOPICS`.
"""

import json
import time
from dataclasses import dataclass
from sqlite3 import Row

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.cloud.names import THING, arn
from host_tools.cloud.refusal import Refusal, exists, invalid, not_found
from host_tools.cloud.store import Store
from host_tools.cloud.things.ca import Authority, certificate_id, thing_id, unique_name

# What a thing may publish and subscribe to: its own AWS topics, the application's, and the product
# platform's. Nothing else that begins with $, and nothing of another thing.
TOPICS = ("$aws/things/{}/#", "sluice/{}/#", "thing/product/{}/#")
SERVICE = "cloud-service"  # the cloud's own client: no dot, so no certificate of a thing has it


@dataclass(frozen=True)
class Certificate:
    """A certificate just made; `key` is empty when the client kept its own."""

    id: str
    pem: str
    key: str


class Things:
    """The registry, over the store; certificates come from the authority."""

    def __init__(self, store: Store, authority: Authority) -> None:
        self.store = store
        self.authority = authority

    def create(self, name: str, attributes: dict[str, str] | None = None, kind: str = "") -> Row:
        """Add a thing. The same again is that thing; with other attributes it is a conflict."""
        if not THING.fullmatch(name):
            raise invalid(f"{name!r} is no thing name: 1 to 128 of a-z A-Z 0-9 : _ -")
        wanted = json.dumps(attributes or {}, sort_keys=True)
        with self.store.transaction():
            found = self.find(name)
            if found and (found["attributes"], found["type"]) != (wanted, kind or None):
                raise exists("thing", name, arn("thing", name))
            if not found:
                columns = {"id": thing_id(name), "type": kind or None, "attributes": wanted}
                self.store.insert("things", name=name, version=1, **columns)
        return self.get(name)

    def find(self, name: str) -> Row | None:
        """The thing's row, or None."""
        return self.store.row("SELECT * FROM things WHERE name = ?", name)

    def get(self, name: str) -> Row:
        """The thing's row, or a refusal."""
        found = self.find(name)
        if not found:
            raise not_found("thing", name)
        return found

    def delete(self, name: str) -> None:
        """Remove a thing that no certificate is attached to; its executions go with it."""
        if self.principals(name):
            raise invalid(f"thing {name} has principals attached: detach them first")
        self.store.run("DELETE FROM things WHERE name = ?", name)

    def issue(self, label: str, active: bool = True, request: str | None = None) -> Certificate:
        """Make and register a certificate, for a PEM signing request or with a key of its own."""
        name = unique_name(label)
        key, pem = self.authority.client(name, _requested_key(request) if request else None)
        identity = certificate_id(pem)
        self.store.insert(
            "certificates",
            id=identity,
            common_name=name,
            pem=pem.decode(),
            status="ACTIVE" if active else "INACTIVE",
            created_at=time.time(),
        )
        return Certificate(identity, pem.decode(), key.decode())

    def certificate(self, identity: str) -> Row:
        """A certificate's row, or a refusal."""
        found = self.store.row("SELECT * FROM certificates WHERE id = ?", identity)
        if not found:
            raise not_found("certificate", identity)
        return found

    def attach(self, thing: str, identity: str) -> None:
        """Let the certificate speak for the thing."""
        self.get(thing)
        self.certificate(identity)
        self.store.run("INSERT OR IGNORE INTO principals VALUES (?, ?)", identity, thing)

    def detach(self, thing: str, identity: str) -> None:
        """Take that right back."""
        gone = self.store.run(
            "DELETE FROM principals WHERE certificate = ? AND thing = ?", identity, thing
        )
        if not gone:
            raise not_found("principal", identity)

    def forget(self, identity: str) -> None:
        """Remove a certificate that speaks for no thing any more."""
        if not self.store.row("SELECT 1 FROM principals WHERE certificate = ?", identity):
            target = arn("cert", identity)
            self.store.run("DELETE FROM policy_targets WHERE target = ?", target)
            self.store.run("DELETE FROM certificates WHERE id = ?", identity)

    def principals(self, thing: str) -> list[Row]:
        """The certificates attached to a thing."""
        return self.store.rows(
            "SELECT certificates.* FROM principals JOIN certificates ON id = certificate "
            "WHERE thing = ? ORDER BY created_at",
            thing,
        )

    def access_list(self) -> str:
        """Mosquitto's acl_file: all for the service, its things' for an active certificate."""
        rows = self.store.rows(
            "SELECT common_name, thing FROM principals JOIN certificates ON id = certificate "
            "WHERE status = 'ACTIVE' ORDER BY common_name, thing"
        )
        lines = [f"user {SERVICE}", "topic readwrite #", "topic readwrite $aws/#"]
        speaker = None
        for row in rows:
            if row["common_name"] != speaker:
                speaker = row["common_name"]
                lines += ["", f"user {speaker}"]
            lines += [f"topic readwrite {topic.format(row['thing'])}" for topic in TOPICS]
        return "\n".join(lines) + "\n"


def _requested_key(request: str) -> ec.EllipticCurvePublicKey:
    """The public key of a signing request; its subject is not used."""
    try:
        found = x509.load_pem_x509_csr(request.encode())
    except ValueError:
        raise invalid("certificateSigningRequest is not a PEM signing request") from None
    if not found.is_signature_valid:
        raise invalid("certificateSigningRequest is not signed by its own key")
    key = found.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise Refusal("InvalidRequestException", "only EC P-256 keys are certified here")
