"""What a policy's document says, and which of it this cloud can keep to.

Mosquitto decides by MQTT filters, so what no filter can say is refused by name when the policy
is made, never dropped. Source: AWS IoT developer guide, "AWS IoT Core policies" and "Using
wildcard characters in MQTT and AWS IoT Core policies".
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sluice.cloud.http.members import MARK
from sluice.cloud.refusal import Refusal
from sluice.cloud.things.patterns import ANY, Inexpressible, expression, filters

CHARACTERS = 2048  # without white space, the service's quota
VERSION = "2012-10-17"
MEMBERS = {"Sid", "Effect", "Action", "Resource"}
# What MQTT's actions are done on.
KINDS = {
    "iot:Connect": "client",
    "iot:Publish": "topic",
    "iot:Receive": "topic",
    "iot:RetainPublish": "topic",
    "iot:Subscribe": "topicfilter",
}
# Known to AWS, and asked for over HTTPS with a certificate, which this cloud does not take.
ELSEWHERE = (
    "iot:GetThingShadow",
    "iot:UpdateThingShadow",
    "iot:DeleteThingShadow",
    "iot:ListNamedShadowsForThing",
    "iot:GetRetainedMessage",
    "iot:ListRetainedMessages",
    "iot:DescribeJobExecution",
    "iot:GetPendingJobExecutions",
    "iot:StartNextPendingJobExecution",
    "iot:UpdateJobExecution",
    "iot:AssumeRoleWithCertificate",
    "iotjobsdata:DescribeJobExecution",
    "iotjobsdata:GetPendingJobExecutions",
    "iotjobsdata:StartNextPendingJobExecution",
    "iotjobsdata:UpdateJobExecution",
)
OTHERS = {"thing", "thinggroup", "thingtype", "cert", "policy", "job", "stream"}
RESOURCES = OTHERS | set(KINDS.values())
ARN = re.compile(r"arn:[^:/]*:(?:iot|\*):[^:/]*:[^:/]*:(?P<rest>.+)", re.DOTALL)
VARIABLE = re.compile(r"\$\{([^}]*)\}")
CLIENT = "iot:ClientId"
THING = "iot:Connection.Thing.ThingName"
TYPE = "iot:Connection.Thing.ThingTypeName"
ATTRIBUTE = re.compile(r"iot:Connection\.Thing\.Attributes\[([a-zA-Z0-9_.,@/:#-]+)\]")


@dataclass(frozen=True)
class Grant:
    """One action on the resources of one pattern, allowed or denied."""

    allow: bool
    action: str
    name: str  # with AWS's wildcards and variables, without the ARN before it


def malformed(text: str) -> Refusal:
    """A document that AWS would not take, or that this cloud cannot keep to."""
    return Refusal("MalformedPolicyException", text)


def read(document: str) -> list[Grant]:
    """What a document grants over MQTT; a Refusal for what cannot be kept to."""
    try:
        policy = json.loads(document.removeprefix(MARK))
        size = len(json.dumps(policy, separators=(",", ":")))
    except (ValueError, RecursionError):
        raise malformed("the policy document is not JSON") from None
    if size > CHARACTERS:
        raise malformed(f"the policy has {size} characters, {CHARACTERS} are allowed")
    if not isinstance(policy, dict) or policy.get("Version") != VERSION:
        raise malformed(f"the policy document is no object of Version {VERSION}")
    if foreign := sorted(policy.keys() - {"Version", "Id", "Statement"}):
        raise malformed(f"a policy document has no {', '.join(foreign)}")
    rows = policy.get("Statement")
    rows = rows if isinstance(rows, list) else [rows]
    return [grant for row in rows for grant in _statement(row)]


def _statement(row: Any) -> Iterator[Grant]:
    if not isinstance(row, dict):
        raise malformed("a Statement is no object")
    if foreign := sorted(row.keys() - MEMBERS):
        raise malformed(f"the local cloud cannot express {', '.join(foreign)} of a statement")
    if row.get("Effect") not in ("Allow", "Deny"):
        raise malformed("Effect is Allow or Deny")
    allow = row["Effect"] == "Allow"
    actions = {name for text in _texts(row, "Action") for name in _actions(text)}
    if not allow and "iot:RetainPublish" in actions and "iot:Publish" not in actions:
        raise malformed("the local cloud cannot express a Deny of iot:RetainPublish alone")
    for resource in _texts(row, "Resource"):
        kind, name = _resource(resource)
        for action in sorted(actions):
            if kind in ("*", KINDS.get(action)) and action in KINDS:
                grant = Grant(allow, action, name)
                check(grant)
                yield grant


def _texts(row: dict[str, Any], member: str) -> list[str]:
    """A member that is a text or a list of texts."""
    given = row.get(member)
    given = given if isinstance(given, list) else [given]
    if not given or not all(isinstance(text, str) for text in given):
        raise malformed(f"{member} is a text or a list of texts")
    return given


def _actions(text: str) -> list[str]:
    """The actions that are meant, wildcards written out."""
    pattern = expression(marked(text))
    found = [name for name in (*KINDS, *ELSEWHERE) if pattern.fullmatch(name)]
    if not found:
        raise malformed(f"the local cloud does not know the action {text}")
    return found


def _resource(text: str) -> tuple[str, str]:
    """(kind, name) of a resource; both "*" where it is all there is."""
    found = ARN.fullmatch(text)
    rest = "*" if text == "*" else found and found["rest"]
    if not rest:
        raise malformed(f"{text} is no ARN of an iot resource")
    kind, slash, name = rest.partition("/")
    if rest == "*":
        return "*", "*"
    if kind not in RESOURCES or not slash or not name:
        raise malformed(f"the local cloud cannot express the resource {text}")
    return kind, name


def check(grant: Grant) -> None:
    """Refuse, by name, what cannot be expressed."""
    if not all(letter.isprintable() for letter in grant.name) or not is_filter(grant):
        raise malformed(f"the local cloud cannot express the resource {ascii(grant.name)}")
    for variable in VARIABLE.findall(grant.name):
        if variable not in (CLIENT, THING, TYPE) and not ATTRIBUTE.fullmatch(variable):
            raise malformed(f"the local cloud does not know the policy variable ${{{variable}}}")
    if grant.action == "iot:Connect":
        return
    try:
        filters(marked(VARIABLE.sub("x", grant.name)), grant.action, grant.allow)
    except Inexpressible as error:
        text = f"the local cloud cannot express {error} of {grant.name} for {grant.action}"
        raise malformed(text) from None


def is_filter(grant: Grant) -> bool:
    """Whether MQTT's wildcards stand where a topic filter has them: alone, and a # at the end."""
    levels = grant.name.split("/")
    if grant.action != "iot:Subscribe" or not {"+", "#"} & set(grant.name):
        return True
    wild = [level for level in levels if {"+", "#"} & set(level)]
    return all(len(level) == 1 for level in wild) and "#" not in levels[:-1]


def marked(name: str) -> str:
    """A name with its wildcards as marks that no client id or attribute can hold."""
    return name.replace("*", ANY.many).replace("?", ANY.one)


@dataclass(frozen=True)
class Context:
    """Who is connected: what the variables of a policy stand for."""

    client: str | None
    thing: str | None
    kind: str | None
    attributes: tuple[tuple[str, str], ...] = ()

    def value(self, variable: str) -> str | None:
        """What a variable stands for; None if for nothing."""
        if variable == CLIENT:
            return self.client if self.client and self.client.isprintable() else None
        if variable in (THING, TYPE):
            return self.thing if variable == THING else self.kind
        found = ATTRIBUTE.fullmatch(variable)
        return dict(self.attributes).get(found[1]) if found else None

    def fill(self, name: str) -> str | None:
        """A name with marks, its variables replaced; None if one stands for nothing."""
        values = [self.value(variable) for variable in VARIABLE.findall(name)]
        if None in values:
            return None
        left = iter(values)
        return VARIABLE.sub(lambda _: str(next(left)), marked(name))


def matches(pattern: str, text: str) -> bool:
    """Whether a name with marks stands for a text, as AWS matches them."""
    return expression(pattern).fullmatch(text) is not None
