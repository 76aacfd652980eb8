"""Who is connected: read from Mosquitto's log, kept in the store, told on `$aws/events/presence`.

Mosquitto lets everybody connect who has a certificate of this cloud. So who may not connect under
the id it chose, by iot:Connect, is ended here, at once after its CONNACK. Likewise ended, once,
is the first session of an id that only now is known to be one that `${iot:ClientId}` stands for:
its rights are in force when it comes back. Of an id that Mosquitto's log has no room for, at
about 900 letters, nothing can be said but that it is there.

Source: AWS IoT developer guide, "Connect/Disconnect events".
"""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Row
from threading import Event, Thread
from typing import IO

from sluice.cloud.apart import Apart
from sluice.cloud.message import compact
from sluice.cloud.mqtt.control import Control
from sluice.cloud.store import Store
from sluice.cloud.things.rights import IDS
from sluice.cloud.things.things import SERVICE

LOOK_S = 0.05  # between two looks at the log
TOPIC = "$aws/events/presence"
LOG = logging.getLogger("sluice.cloud")

NEW = "New client connected from "
CONNECTED = re.compile(
    NEW + r"(?P<ip>.*?):(?P<port>\d+) as (?P<client>.*) "
    r"\(p\d, c(?P<clean>\d), k(?P<alive>\d+), u'(?P<name>[^']*)'\)\."
)
FORGOTTEN = """
DELETE FROM sessions WHERE certificate = ?1 AND NOT connected AND client NOT IN (
    SELECT client FROM sessions WHERE certificate = ?1 ORDER BY changed_at DESC LIMIT ?2)
"""
# fmt: off
ENDED = [  # Mosquitto's words, of 2.0 and later, and AWS's reason
    (r"Client (.*) already connected, closing old connection\.", "DUPLICATE_CLIENTID"),
    (r"Client (.*) has exceeded timeout, disconnecting\.",       "MQTT_KEEP_ALIVE_TIMEOUT"),
    (r"Client (.*) closed its connection\.",                     "CONNECTION_LOST"),
    (r"Client (.*) been disconnected by administrative action\.", "SERVER_INITIATED_DISCONNECT"),
    (r"Client (.*) disconnected\.",                              "CLIENT_INITIATED_DISCONNECT"),
    (r"Bad socket read/write on client (.*): .*",                "CLIENT_ERROR"),
    (r"Client (.*) disconnected(?:,|:| due to) .*",              "CLIENT_ERROR"),
]
# fmt: on


class Presence:
    """The sessions of the broker. `end(client)` ends one."""

    def __init__(
        self, store: Store, control: Control, log: Path, end: Callable[[str], None]
    ) -> None:
        self._store = store
        self._control = control
        self._log = log
        self._end = end
        self._file: IO[str] | None = None
        self._ended = Event()
        self._apart = Apart()
        self._cut = False  # whether a line was, which is said once
        self._thread: Thread | None = None

    def start(self) -> None:
        """Look from now on."""
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; the broker has gone, and all sessions with it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._file is not None:
            self._file.close()
            self._file = None
        self.forget()

    def forget(self) -> None:
        """Note that nobody is connected: of a broker that has ended."""
        self._store.run(
            "UPDATE sessions SET connected = 0, reason = 'SERVER_ERROR', changed_at = ? "
            "WHERE connected",
            time.time(),
        )

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            with self._apart("presence"):
                self.look()

    def look(self) -> None:
        """Take in what the log has got since the last look."""
        if self._file is None or self._other():
            self._open()
        if self._file is None:
            return
        while True:
            place = self._file.tell()
            line = self._file.readline()
            if not line.endswith("\n"):
                self._file.seek(place)  # the rest of it is still to come
                return
            self.take(line.rstrip("\n").partition(": ")[2])

    def _other(self) -> bool:
        """Whether the log is another file by now: the broker was started again."""
        try:
            return self._log.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        if self._file is not None:
            self._file.close()
        self.forget()
        self._file = (
            self._log.open(errors="replace", encoding="utf-8") if self._log.exists() else None
        )

    def take(self, line: str) -> None:
        """Take in one line of the log, without its time."""
        if found := CONNECTED.fullmatch(line):
            self._connected(found)
            return
        if line.startswith(NEW) and not self._cut:
            self._cut = True
            LOG.warning("a client's id is too long for mosquitto's log: it is not looked at")
        for words, reason in ENDED:
            if found := re.fullmatch(words, line):
                self._disconnected(found[1], reason)
                return

    def _connected(self, found: re.Match[str]) -> None:
        query = "SELECT id FROM certificates WHERE common_name = ?"
        row = self._store.row(query, found["name"])
        if row is None:
            if found["name"] != SERVICE:  # a certificate that is deleted
                self._end(found["client"])
            return
        certificate, client = row["id"], found["client"]
        if not self._control.access.may_connect(certificate, client):
            LOG.info("%s may not connect as %s", certificate, client)
            self._end(client)
            return
        self._note(found, certificate)
        if self._control.access.asks_for(certificate) and self._control.refresh(certificate):
            self._end(client)  # it may have asked already, for what it had no right to yet

    def _note(self, found: re.Match[str], certificate: str) -> None:
        """Keep the session, and tell of it."""
        client = found["client"]
        about = {
            "sourceIp": found["ip"],
            "sourcePort": int(found["port"]),
            "cleanSession": found["clean"] == "1",
            "keepAliveDuration": int(found["alive"]),
        }
        with self._store.transaction():
            before = self._session(client)
            version = before["version"] + 1 if before else 0
            self._store.run(
                "INSERT OR REPLACE INTO sessions (client, certificate, id, version, connected, "
                "reason, socket, changed_at) VALUES (?, ?, ?, ?, 1, '', ?, ?)",
                *(client, certificate, str(uuid.uuid4()), version, json.dumps(about), time.time()),
            )
            self._store.run(FORGOTTEN, certificate, IDS)
        self._tell("connected", self._session(client), ipAddress=found["ip"])

    def _disconnected(self, client: str, reason: str) -> None:
        row = self._session(client)
        if row is None or not row["connected"]:
            return  # one that was not let in
        self._store.run(
            "UPDATE sessions SET connected = 0, reason = ?, changed_at = ? WHERE client = ?",
            reason,
            time.time(),
            client,
        )
        asked = reason == "CLIENT_INITIATED_DISCONNECT"
        about = {"clientInitiatedDisconnect": asked, "disconnectReason": reason}
        self._tell("disconnected", self._session(client), **about)

    def _session(self, client: str) -> Row | None:
        return self._store.row("SELECT * FROM sessions WHERE client = ?", client)

    def _tell(self, event: str, row: Row | None, **more: object) -> None:
        """Publish an event, if its topic is one: an id may hold what a topic may not."""
        if row is None or set("+#") & set(row["client"]):
            return
        body = {
            "clientId": row["client"],
            "timestamp": int(row["changed_at"] * 1000),
            "eventType": event,
            "sessionIdentifier": row["id"],
            "principalIdentifier": row["certificate"],
            "versionNumber": row["version"],
        }
        self._control.publish(f"{TOPIC}/{event}/{row['client']}", compact(body | more))
