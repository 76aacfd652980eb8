"""docs/thing-policy.json allows the topics of the agent, and none beside them.

The topics are read off the device's sources: a new word in one of them has to be put down here
with what it comes to, and then the policy is asked. What a board says and hears in an update is
asked in tests/scenarios/test_shadow.py.
"""

import ast
import json
from pathlib import Path

import pytest
from botocore.session import get_session
from sources import device_files, parsed
from thing_policy import allows, covers, resources

from sluice.compile import FIRMWARE
from sluice.fleet.provision import policy_text

LONGEST = 2048  # characters of a policy, AWS's limit
SAYING = ("publish", "deliver", "subscribe", "request", "topic")
ELSEWHERE = {"net", "examples", "product.py", "product_words.py"}  # below, or not on AWS

# {module: {word of its source: what it comes to, below $aws/things/THING/}}; P is to publish, S to
# subscribe. Words that no topic is made of come to nothing.
# fmt: off
WORDS: dict[str, dict[str, list[str]]] = {
    "clouds/aws_jobs.py": {
        "$aws/things/%s/jobs/": [],
        "start-next":           ["P jobs/start-next"],
        "$next/get":            ["P jobs/$next/get"],
        "/get":                 ["P jobs/j-1/get"],
        "/update":              ["P jobs/j-1/update"],
        "notify-next":          ["S jobs/notify-next"],
        "start-next/+":         ["S jobs/start-next/+"],
        "+/get/+":              ["S jobs/+/get/+"],
        "+/update/+":           ["S jobs/+/update/+"],
        "$next/get refused": [], "%d/%d": [], "/+#\0": [],
    },
    "clouds/aws_updates.py": {
        "/update":              ["P jobs/j-1/update"],
    },
    "clouds/aws_pending.py": {
        "$aws/things/%s/jobs/get": ["P jobs/get"],
        "/+":                   ["S jobs/get/+"],
        "/get":                 ["P jobs/j-1/get"],
        "jobs/get refused": [],
    },
    "clouds/aws_shadow.py": {
        "$aws/things/%s/shadow/update": ["P shadow/update"],
        "$aws/things/%s/%s/": [], "shadow/name/": [],
        "/accepted":            ["P shadow/get", "P shadow/name/n/get",
                                 "P shadow/update", "P shadow/name/n/update",
                                 "S shadow/get/accepted", "S shadow/name/n/get/accepted",
                                 "S shadow/update/accepted", "S shadow/name/n/update/accepted"],
        "/rejected":            ["S shadow/get/rejected", "S shadow/name/n/get/rejected",
                                 "S shadow/update/rejected", "S shadow/name/n/update/rejected"],
        "update":               ["P shadow/update", "P shadow/name/n/update"],
        "update/delta":         ["S shadow/update/delta", "S shadow/name/n/update/delta"],
    },
    "transfer/stream.py": {
        "$aws/things/%s/streams/%s/": [],
        "get":                  ["P streams/s-1/get/json", "P streams/s-1/get/cbor"],
        "data":                 ["S streams/s-1/data/json", "S streams/s-1/data/cbor"],
        "rejected":             ["S streams/s-1/rejected/json", "S streams/s-1/rejected/cbor"],
        "description/json": [], "/": [],
    },
    "transfer/description.py": {
        "describe":             ["P streams/s-1/describe/json", "P streams/s-1/describe/cbor"],
        "description":          ["S streams/s-1/description/json"],
    },
}
# fmt: on
ACTIONS = {"P": "Publish", "S": "Subscribe"}
TOPICS = sorted({one for words in WORDS.values() for topics in words.values() for one in topics})


def spoken(file: Path) -> set[str]:
    """The words that a module's topics may be made of; none where it calls nothing of the link."""
    tree = parsed(file)
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in SAYING and node.args
    ]
    quoted = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = {node.value for node in quoted if isinstance(node.value, str)}
    arguments = {
        node.value
        for call in calls
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant)
    }
    docstrings = {text for text in texts if "\n" in text or text.endswith(".")}
    return {text for text in texts - docstrings if "/" in text} | arguments if calls else set()


def test_words_of_the_agents_topics_are_those_below():
    found = {}
    for file in device_files():
        path = file.relative_to(FIRMWARE) if file.is_relative_to(FIRMWARE) else file
        if not ELSEWHERE & set(path.parts) and spoken(file):
            found["/".join(path.parts[-2:])] = spoken(file)
    assert found == {module: set(words) for module, words in WORDS.items()}


@pytest.mark.parametrize("said", TOPICS)
def test_policy_allows_what_the_agent_says(said):
    action, below = ACTIONS[said[0]], said[2:]
    assert allows(action, f"$aws/things/pump/{below}", "pump")
    assert not allows(action, f"$aws/things/pump2/{below}", "pump")
    if action == "Subscribe":
        topic = below.replace("+/", "j-1/").replace("/+", "/accepted")
        assert allows("Receive", f"$aws/things/pump/{topic}", "pump")
        assert not allows("Receive", f"$aws/things/pump2/{topic}", "pump")


@pytest.mark.parametrize("action", ACTIONS.values())
def test_every_resource_of_the_policy_is_needed(action):
    said = [topic[2:] for topic in TOPICS if ACTIONS[topic[0]] == action]
    for resource in resources(action):
        topics = (f"$aws/things/pump/{topic}" for topic in said)
        assert any(covers(resource, action, topic, "pump") for topic in topics), resource


@pytest.mark.parametrize(
    "said",
    [
        "P jobs/notify-next",
        "P jobs/j-1/delete",
        "P streams/s-1/data/json",
        "P shadow/delete",
        "P shadow/name/n/delete",
        "P shadow/get/accepted",
        "S #",
        "S jobs/#",
        "S jobs/notify",
        "S streams/#",
        "S shadow/#",
        "S streams/s-1/get/json",
        "S shadow/update/documents",
        "S shadow/name/n/update/documents",
        "S shadow/delete/accepted",
        "S tunnels/notify",
    ],
)
def test_policy_forbids_what_the_agent_does_not_say(said):
    assert not allows(ACTIONS[said[0]], f"$aws/things/pump/{said[2:]}", "pump")


def test_policy_lets_a_thing_connect_under_its_own_name_alone():
    assert allows("Connect", "pump", "pump")
    assert not allows("Connect", "pump2", "pump") and not allows("Connect", "pum", "pump")


def test_policy_fits_into_awss_limit_in_every_region():
    session = get_session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("sts", partition, True):
            text = policy_text(f"arn:{partition}:iot:{region}:123456789012:thing/pump")
            assert len(text) <= LONGEST, (partition, region, len(text))
            assert "YOUR-" not in text and json.loads(text)["Version"] == "2012-10-17"
