"""Things, their certificates, and which certificate may speak for which thing.

AWS puts no name into a certificate; it looks up what is attached to it. So does this cloud: a
certificate has a common name of its own (`ca.unique_name`), by which Mosquitto tells it from
others. The principal is its id, which policies and things are attached to (see `rights`).
"""

import json
import time
from dataclasses import dataclass
from sqlite3 import Row

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sluice.cloud.names import THING, arn
from sluice.cloud.refusal import exists, invalid, not_found
from sluice.cloud.store import Store
from sluice.cloud.things.ca import (
    Authority,
    Key,
    PublicKey,
    certificate_id,
    thing_id,
    unique_name,
)
from sluice.signing import key_pem

# What `sluice thing create` attaches: a thing connects under its own name, and may publish and
# subscribe to its own AWS topics, the application's, and the product platform's.
THING_POLICY = "sluice-thing"
TOPICS = ("$aws/things/{}/*", "sluice/{}/*", "thing/product/{}/*")
RSA_BITS = 2048
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
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
            raise not_found("thing", name, self.store.rows("SELECT name FROM things"))
        return found

    def delete(self, name: str) -> None:
        """Remove a thing that no certificate is attached to; its executions go with it."""
        if self.principals(name):
            raise invalid(f"thing {name} has principals attached: detach them first")
        self.store.run("DELETE FROM things WHERE name = ?", name)

    def issue(
        self, label: str, active: bool = True, request: str | None = None, key: Key | None = None
    ) -> Certificate:
        """Make and register a certificate, for a PEM signing request or with a key of its own:
        that one, or a new one of P-256."""
        name = unique_name(label)
        own = None if request else key or ec.generate_private_key(ec.SECP256R1())
        public = own.public_key() if own else _requested_key(request)
        pem = self.authority.certify(name, public)
        identity = certificate_id(pem)
        self.store.insert(
            "certificates",
            id=identity,
            common_name=name,
            pem=pem.decode(),
            status="ACTIVE" if active else "INACTIVE",
            created_at=time.time(),
        )
        return Certificate(identity, pem.decode(), key_pem(own).decode() if own else "")

    def certificate(self, identity: str) -> Row:
        """A certificate's row, or a refusal."""
        found = self.store.row("SELECT * FROM certificates WHERE id = ?", identity)
        if not found:
            raise not_found("certificate", identity)
        return found

    def attach(self, thing: str, identity: str, exclusive: bool = False) -> None:
        """Let the certificate speak for the thing; an exclusive one for no other thing."""
        self.get(thing)
        self.certificate(identity)
        with self.store.transaction():
            others = "SELECT 1 FROM principals WHERE certificate = ? AND thing != ?"
            taken = "SELECT 1 FROM exclusive_principals WHERE certificate = ? AND thing != ?"
            if self.store.row(others if exclusive else taken, identity, thing):
                raise invalid("the principal is attached to another thing, and one is exclusive")
            self.store.run("INSERT OR IGNORE INTO principals VALUES (?, ?)", identity, thing)
            self.store.run("DELETE FROM exclusive_principals WHERE certificate = ?", identity)
            if exclusive:
                self.store.insert("exclusive_principals", certificate=identity, thing=thing)

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
        """The certificates attached to a thing, and whether each is an exclusive one."""
        return self.store.rows(
            "SELECT certificates.*, EXISTS (SELECT 1 FROM exclusive_principals AS one WHERE "
            "one.certificate = certificates.id) AS exclusive "
            "FROM principals JOIN certificates ON id = certificate "
            "WHERE thing = ? ORDER BY created_at",
            thing,
        )

    def add_policy(self, name: str, document: str, now: float) -> None:
        """Keep a policy, as its version 1."""
        self.store.insert("policies", name=name, document=document)
        columns = {"document": document, "is_default": 1, "created_at": now}
        self.store.insert("policy_versions", policy=name, number=1, **columns)

    def entitle(self, identity: str) -> None:
        """Give a certificate the rights of a thing of its own."""
        if not self.store.row("SELECT 1 FROM policies WHERE name = ?", THING_POLICY):
            self.add_policy(THING_POLICY, thing_policy(), time.time())
        target = arn("cert", identity)
        self.store.run("INSERT OR IGNORE INTO policy_targets VALUES (?, ?)", THING_POLICY, target)

    def adopt(self) -> None:
        """Bring what a release made that obeyed no policies to what is kept to now, once."""
        if self.store.setting("policies") == "obeyed":
            return
        with self.store.transaction():
            self.store.run(
                "INSERT INTO policy_versions SELECT name, 1, document, 1, 0 FROM policies "
                "WHERE name NOT IN (SELECT policy FROM policy_versions)"
            )
            for row in self.store.rows("SELECT DISTINCT certificate FROM principals"):
                self.entitle(row["certificate"])
            self.store.remember("policies", "obeyed")


def thing_policy() -> str:
    """The document of THING_POLICY."""
    name = "${iot:Connection.Thing.ThingName}"
    own = [topic.format(name) for topic in TOPICS]
    sends = ["iot:Publish", "iot:Receive", "iot:RetainPublish"]
    rows = {
        "iot:Connect": [arn("client", name)],
        "iot:Subscribe": [arn("topicfilter", topic) for topic in own],
    } | {action: [arn("topic", topic) for topic in own] for action in sends}
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resources}
        for action, resources in rows.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _requested_key(request: str) -> PublicKey:
    """The public key of a signing request; its subject is not used."""
    try:
        found = x509.load_pem_x509_csr(request.encode())
    except ValueError:
        raise invalid("certificateSigningRequest is not a PEM signing request") from None
    if not found.is_signature_valid:
        raise invalid("certificateSigningRequest is not signed by its own key")
    key = found.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, CURVES):
        return key
    raise invalid(f"keys of RSA, {RSA_BITS} bits or more, P-256, P-384 and P-521 are certified")
