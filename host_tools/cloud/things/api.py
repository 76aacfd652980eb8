"""The control plane's calls for things, what speaks for them, and where boards find this cloud."""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.listing import Listing
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import Refusal, invalid
from sluice.cloud.store import Store
from sluice.cloud.things.things import Things

Parameters = dict[str, Any]

EXCLUSIVE, SHARED = "EXCLUSIVE_THING", "NON_EXCLUSIVE_THING"
ENDPOINTS = ("iot:Data", "iot:Data-ATS", "iot:Jobs")


class ThingCalls:
    """Things and what speaks for them. `changed` is called when a certificate's rights may have
    changed, with its id."""

    def __init__(
        self, things: Things, changed: Callable[..., object], endpoint: Callable[[str], str]
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
            "UpdateThing":              self.update,
            "ListThings":               self.list,
            "DeleteThing":              self.delete,
            "GetThingConnectivityData": self.connectivity,
            "AttachThingPrincipal":     self.attach,
            "DetachThingPrincipal":     self.detach,
            "ListThingPrincipals":      self.principals,
            "ListThingPrincipalsV2":    self.principals_by_type,
            "ListPrincipalThings":      self.principal_things,
            "ListPrincipalThingsV2":    self.principal_things_by_type,
            "DescribeEndpoint":         self.describe_endpoint,
        }
        # fmt: on

    @reads("thingName", "thingTypeName", "attributePayload")
    def create(self, given: Parameters) -> Parameters:
        payload = given.get("attributePayload", {})
        attributes = merged({}, payload) if payload else None
        row = self._things.create(given["thingName"], attributes, given.get("thingTypeName", ""))
        return thing_shape(row)

    @reads("thingName")
    def describe(self, given: Parameters) -> Parameters:
        row = self._things.get(given["thingName"])
        return thing_shape(row) | {"defaultClientId": row["name"]}

    @reads("thingName", "thingTypeName", "removeThingType", "attributePayload", "expectedVersion")
    def update(self, given: Parameters) -> None:
        kind, gone = given.get("thingTypeName"), given.get("removeThingType", False)
        if kind and gone:
            raise invalid("thingTypeName and removeThingType exclude each other")
        with self._store.transaction():
            row = self._things.get(given["thingName"])
            match_version(given, row)
            attributes = json.loads(row["attributes"])
            if "attributePayload" in given:
                attributes = merged(attributes, given["attributePayload"])
            self._store.run(
                "UPDATE things SET type = ?, attributes = ?, version = version + 1 WHERE name = ?",
                None if gone else kind or row["type"],
                json.dumps(attributes, sort_keys=True),
                row["name"],
            )
        for principal in self._things.principals(row["name"]):
            self._changed(principal["id"])

    @reads("attributeName", "attributeValue", "usePrefixAttributeValue", "thingTypeName")
    def list(self, given: Parameters) -> Parameters:
        where, values = filtered(given)
        query = f"SELECT * FROM things WHERE TRUE{where} ORDER BY name"
        return {"things": Listing(self._store, thing_shape, query, *values)}

    @reads("thingName", "expectedVersion")
    def delete(self, given: Parameters) -> None:
        row = self._things.find(
            given["thingName"]
        )  # deleting what is not there succeeds, as on AWS
        if row is None:
            return
        match_version(given, row)
        self._things.delete(row["name"])

    @reads("thingName", "includeSocketInformation")
    def connectivity(self, given: Parameters) -> Parameters:
        name = self._things.get(given["thingName"])["name"]
        row = self._store.row("SELECT * FROM sessions WHERE client = ?", name)
        if row is None:
            return {"thingName": name, "connected": False}
        shape = {"thingName": name, "connected": bool(row["connected"])}
        shape |= {"timestamp": row["changed_at"], "disconnectReason": row["reason"] or None}
        if given.get("includeSocketInformation"):
            shape |= json.loads(row["socket"]) | {"clientId": name}
        return shape

    @reads("thingName", "principal", "thingPrincipalType")
    def attach(self, given: Parameters) -> None:
        identity = certificate_of(given["principal"])
        exclusive = given.get("thingPrincipalType") == EXCLUSIVE
        self._things.attach(given["thingName"], identity, exclusive)
        self._changed(identity)

    @reads("thingName", "principal")
    def detach(self, given: Parameters) -> None:
        identity = certificate_of(given["principal"])
        self._things.detach(given["thingName"], identity)
        self._changed(identity)

    @reads("thingName")
    def principals(self, given: Parameters) -> Parameters:
        self._things.get(given["thingName"])
        query = (
            "SELECT id FROM principals JOIN certificates ON id = certificate "
            "WHERE thing = ? ORDER BY created_at, id"
        )
        found = Listing(self._store, lambda row: arn("cert", row["id"]), query, given["thingName"])
        return {"principals": found}

    @reads("thingName", "thingPrincipalType")
    def principals_by_type(self, given: Parameters) -> Parameters:
        self._things.get(given["thingName"])
        shapes = [
            {"principal": arn("cert", row["id"]), "thingPrincipalType": kind_of(row)}
            for row in self._things.principals(given["thingName"])
        ]
        return {"thingPrincipalObjects": chosen(shapes, given)}

    @reads("principal")
    def principal_things(self, given: Parameters) -> Parameters:
        query = "SELECT thing FROM principals WHERE certificate = ? ORDER BY thing"
        identity = certificate_of(given["principal"])
        return {"things": Listing(self._store, lambda row: row["thing"], query, identity)}

    @reads("principal", "thingPrincipalType")
    def principal_things_by_type(self, given: Parameters) -> Parameters:
        shapes = [
            {"thingName": row["thing"], "thingPrincipalType": kind_of(row)}
            for row in spoken_for(self._store, given["principal"])
        ]
        return {"principalThingObjects": chosen(shapes, given)}

    @reads("endpointType")
    def describe_endpoint(self, given: Parameters) -> Parameters:
        kind = given.get("endpointType", "iot:Data")
        if kind not in ENDPOINTS:
            raise invalid(f"the local cloud has no endpoint {kind}: {', '.join(ENDPOINTS)}")
        return {"endpointAddress": self._endpoint(kind)}


def filtered(given: Parameters) -> tuple[str, list[str]]:
    """What ListThings asks for, as conditions and their values."""
    conditions, values = "", []
    if "attributeName" in given:
        value = "(SELECT value FROM json_each(attributes) WHERE key = ?)"
        wanted = given.get("attributeValue", "")
        if given.get("usePrefixAttributeValue"):
            conditions += f" AND substr({value}, 1, length(?)) = ?"
            values += [given["attributeName"], wanted, wanted]
        else:
            conditions += f" AND {value} = ?"
            values += [given["attributeName"], wanted]
    elif "attributeValue" in given or given.get("usePrefixAttributeValue"):
        raise invalid("attributeValue and usePrefixAttributeValue need attributeName")
    if "thingTypeName" in given:
        conditions += " AND type = ?"
        values.append(given["thingTypeName"])
    return conditions, values


def merged(attributes: dict[str, str], payload: Parameters) -> dict[str, str]:
    """A thing's attributes after a payload: laid over them or in their place; "" removes one."""
    kept = attributes if payload.get("merge") else {}
    together = kept | payload.get("attributes", {})
    return {name: value for name, value in together.items() if value != ""}


def match_version(given: Parameters, row: Row) -> None:
    """Refuse a request that is made for another version of the thing."""
    if given.get("expectedVersion", row["version"]) != row["version"]:
        raise Refusal("VersionConflictException", f"the thing's version is {row['version']}")


def spoken_for(store: Store, principal: str) -> list[Row]:
    """The things that a principal is attached to, and whether it is an exclusive one."""
    return store.rows(
        "SELECT thing, EXISTS (SELECT 1 FROM exclusive_principals AS one "
        "WHERE one.certificate = principals.certificate) AS exclusive "
        "FROM principals WHERE certificate = ? ORDER BY thing",
        certificate_of(principal),
    )


def kind_of(row: Row) -> str:
    """The type of an attachment."""
    return EXCLUSIVE if row["exclusive"] else SHARED


def chosen(shapes: list[Parameters], given: Parameters) -> list[Parameters]:
    """The attachments of the type that is asked for."""
    wanted = given.get("thingPrincipalType")
    return [shape for shape in shapes if wanted in (None, shape["thingPrincipalType"])]


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


def certificate_of(principal: str) -> str:
    """The certificate's id in a principal's ARN."""
    identity = of_arn(principal, "cert")
    if identity is None:
        raise invalid(f"{principal} is not a certificate's ARN")
    return identity
