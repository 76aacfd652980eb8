"""docs/thing-policy.json, asked as AWS IoT asks a policy.

In a resource `*` is any characters, over levels of a topic too, and `?` is one; MQTT's own `+` and
`#` are themselves. Source: AWS IoT developer guide, "Using wildcard characters in MQTT and AWS IoT
Core policies".
"""

import json
import re

from sluice.compile import ROOT

ARN = "arn:aws:iot:YOUR-REGION:YOUR-ACCOUNT"
KINDS = {"Connect": "client", "Publish": "topic", "Receive": "topic", "Subscribe": "topicfilter"}
NAME = "${iot:Connection.Thing.ThingName}"


def resources(action: str) -> list[str]:
    """What the policy allows an action on."""
    policy = json.loads((ROOT / "docs/thing-policy.json").read_text())
    rows = [row for row in policy["Statement"] if row["Action"] == f"iot:{action}"]
    given = [row["Resource"] for row in rows]
    return [text for one in given for text in ([one] if isinstance(one, str) else one)]


def covers(resource: str, action: str, name: str, thing: str) -> bool:
    """Whether a resource is what `thing` does the action on."""
    words = {"*": ".*", "?": "."}
    text = resource.replace(NAME, thing)
    pattern = "".join(words.get(letter, re.escape(letter)) for letter in text)
    return re.fullmatch(pattern, f"{ARN}:{KINDS[action]}/{name}", re.DOTALL) is not None


def allows(action: str, name: str, thing: str) -> bool:
    """Whether `thing` may: connect under an id, publish to a topic, subscribe to a filter."""
    return any(covers(resource, action, name, thing) for resource in resources(action))
