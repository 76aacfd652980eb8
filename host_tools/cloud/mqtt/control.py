"""Mosquitto's dynamic security: the file that it starts with, and the commands that change it.

Each active certificate is a client of two roles, what it is denied and what it is allowed. A
change replaces a role's list by one command, and Mosquitto's answer says that it is in force: no
session ends for it. Source: mosquitto.org, "Dynamic Security Plugin".
"""

import json
import logging
import queue
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event, RLock
from typing import Any

import paho.mqtt.client as mqtt

from sluice.cloud.state import OWNERS, write_atomically
from sluice.cloud.things.patterns import Filter
from sluice.cloud.things.rights import Access, Rights
from sluice.cloud.things.things import SERVICE

COMMANDS = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{COMMANDS}/response"
ANSWER_S = 5
ENTRIES = 50  # of a list in one command: each has 2 KiB at most, as a policy has
BATCH_BYTES = 60_000  # of commands in a message, well below Mosquitto's limit
EVERYTHING = ("#", "$aws/#", "$SYS/#", "$CONTROL/#")
DEFAULTS = {
    "publishClientSend": False,
    "publishClientReceive": False,
    "subscribe": False,
    "unsubscribe": True,
}
LOG = logging.getLogger("sluice.cloud")

Command = dict[str, Any]


class Control:
    """What Mosquitto has been told, and how it is told more."""

    def __init__(self, access: Access, file: Path) -> None:
        self.access = access
        self.file = file
        self.alive: Callable[[], bool] = lambda: False  # whether Mosquitto runs
        self._told: dict[str, Rights] = {}
        self._lock = RLock()  # one change at a time
        self._client: mqtt.Client | None = None
        self._ready = Event()
        self._answers: queue.Queue[list[Command]] = queue.Queue()
        self._number = 0

    def write(self) -> None:
        """Write the file, with which Mosquitto starts."""
        with self._lock:
            self._ready.clear()
            self._told = self.access.all()
            roles = [{"rolename": SERVICE, "acls": everything()}]
            clients = [{"username": SERVICE, "roles": [{"rolename": SERVICE}]}]
            for name, rights in self._told.items():
                roles += [role(f"{name} denied", rights.denied, False)]
                roles += [role(f"{name} allowed", rights.allowed, True)]
                clients.append(client(name))
            about = {
                "defaultACLAccess": DEFAULTS,
                "clients": clients,
                "groups": [],
                "roles": roles,
            }
            write_atomically(self.file, json.dumps(about), OWNERS)

    def use(self, made: mqtt.Client) -> None:
        """Take a client that is about to connect, to command with."""
        made.on_connect = lambda *_: made.subscribe(ANSWERS, 1)
        made.on_subscribe = lambda *_: self._ready.set()
        made.on_disconnect = lambda *_: self._ready.clear()
        made.on_message = self._on_message
        self._client = made

    def stop(self) -> None:
        """Disconnect."""
        made, self._client = self._client, None
        if made is not None:
            made.disconnect()
            made.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish something of the cloud's own."""
        if self._client is not None:
            self._client.publish(topic, payload, 1)

    def refresh(self, *certificates: str) -> bool:
        """Have Mosquitto keep to what the store says now: of these certificates, or of all.
        It is in force when this returns, unless Mosquitto is gone, or does not answer. Whether
        there was anything to tell."""
        with self._lock:
            if certificates:
                pairs = [self.access.of(one) for one in certificates]
                wanted = {name: rights for name, rights in pairs if rights is not None}
                names = {name for name, _ in pairs}
                known = {name: self._told[name] for name in names if name in self._told}
            else:
                wanted, known = self.access.all(), self._told
            commands = list(changes(known, wanted))
            if not commands or self._client is None or not self.alive():
                return False  # when it starts again it reads all of it
            if self._ready.wait(ANSWER_S) and self._tell(commands):
                self._told = {n: r for n, r in self._told.items() if n not in known} | wanted
            else:
                LOG.error("mosquitto does not answer: what certificates may do is out of date")
            return True

    def _tell(self, commands: list[Command]) -> bool:
        return all(self._ask(batch) for batch in batches(commands))

    def _ask(self, commands: list[Command]) -> bool:
        """Send some commands; whether they were answered."""
        self._number += 1
        mark = str(self._number)
        marked = [command | {"correlationData": mark} for command in commands]
        self._client.publish(COMMANDS, json.dumps({"commands": marked}), 1)
        try:
            while True:
                answers = self._answers.get(timeout=ANSWER_S)
                if answers and answers[0].get("correlationData") == mark:
                    break
        except queue.Empty:
            return False
        for answer in answers:
            if "error" in answer:
                LOG.error("mosquitto: %s: %s", answer.get("command"), answer["error"])
        return True

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._answers.put(json.loads(message.payload)["responses"])


def batches(commands: Iterable[Command]) -> Iterator[list[Command]]:
    """The same commands, as many at once as a message has room for."""
    batch: list[Command] = []
    size = 0
    for command in commands:
        length = len(json.dumps(command))
        if batch and size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(command)
        size += length
    if batch:
        yield batch


def changes(known: dict[str, Rights], wanted: dict[str, Rights]) -> Iterator[Command]:
    """The commands that make what is known what is wanted."""
    for name in known.keys() - wanted.keys():
        yield {"command": "deleteClient", "username": name}
        for kind in ("denied", "allowed"):
            yield {"command": "deleteRole", "rolename": f"{name} {kind}"}
    for name, rights in wanted.items():
        before = known.get(name)
        for kind, new in (("denied", rights.denied), ("allowed", rights.allowed)):
            old = before and (before.denied if kind == "denied" else before.allowed)
            if old != new:
                command = "createRole" if before is None else "modifyRole"
                yield from listed(command, f"{name} {kind}", new, kind == "allowed")
        if before is None:
            yield {"command": "createClient"} | client(name)


def listed(command: str, name: str, filters: set[Filter], allow: bool) -> Iterator[Command]:
    """A role's whole list; a message has room for so many entries, the others follow."""
    rows = role(name, filters, allow)["acls"]
    yield {"command": command, "rolename": name, "acls": rows[:ENTRIES]}
    for row in rows[ENTRIES:]:
        yield {"command": "addRoleACL", "rolename": name} | row


def role(name: str, filters: set[Filter], allow: bool) -> Command:
    """A role as Mosquitto's file and commands have it."""
    return {"rolename": name, "acls": [entry(one, allow) for one in sorted(filters)]}


def client(name: str) -> Command:
    """A certificate's client, whose denials come first."""
    roles = [
        {"rolename": f"{name} denied", "priority": 1},
        {"rolename": f"{name} allowed", "priority": 0},
    ]
    return {"username": name, "roles": roles}


def entry(one: Filter, allow: bool) -> Command:
    """One entry of a list."""
    return {"acltype": one[0], "topic": one[1], "priority": 0, "allow": allow}


def everything() -> list[Command]:
    """What the cloud's own clients may."""
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    return [entry((kind, topic), True) for kind in kinds for topic in EVERYTHING]
