"""The thing/product platform of document 004: firmware orders to a gateway, and what it tells.

An order goes out as `ota_create` on `thing/product/{gateway}/services`, QoS 0, until a
`services_reply` with its tid and bid, or the first progress under its bid, has come. Each attempt
has 3 s and a tid of its own under the one bid; a reply to an earlier tid is late and lost, as with
the platform that the document comes from. After the third attempt the order has timed out.
`events` with `ota_progress` move it on until a final status; what comes later is kept, not obeyed.
An event with need_reply (1 or true) is answered on `events_reply`.

Addresses of files are placeholders in the store and presigned anew for each attempt. The document
spells one key "timestamp:", with the colon; that is a slip, and nothing here reads the time.
"""

import json
import uuid
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.apart import Apart
from sluice.cloud.http.members import read_json, whole
from sluice.cloud.message import Message, compact
from sluice.cloud.product.orders import FINAL, STATUSES, Body
from sluice.cloud.store import Store

REPLY_S = 3  # for a services_reply, each time
ATTEMPTS = 3  # the first and two more
STEPS = ("download_firmware", "upgrade_firmware")
CURRENT_STEPS = {1: STEPS[0], 2: STEPS[1]}  # how newer devices of that platform spell them
BAD_PARAMETERS = 312012  # "result" of an answer to an event that makes no sense
EXPIRES_S = 3600  # of a file's address
DUE = "SELECT * FROM orders WHERE due_at <= ?"


class Products:
    """The platform's side, over the store.

    expand  turns (text, seconds) into that text with its placeholders presigned for so long
    """

    def __init__(
        self, store: Store, now: Callable[[], float], expand: Callable[[str, int], str]
    ) -> None:
        self._store = store
        self._now = store.clock(now)
        self._expand = expand
        self._apart = Apart()

    def handle(self, topic: str, payload: bytes) -> list[Message]:
        """Take a gateway's publication on `thing/product/{gateway}/…`; returns the answers."""
        _, _, gateway, kind = topic.split("/")
        body = parse(payload)
        if body is None:
            return []
        with self._store.transaction():
            if kind == "services_reply":
                return self._replied(gateway, body)
            return self._told(gateway, body)

    def due(self) -> list[Message]:
        """The orders to send now, for the first time or again; gives up those sent in vain."""
        messages: list[Message] = []
        for row in self._store.rows(DUE, self._now()):
            with self._apart(f"order {row['bid']}"):
                messages += self._due(row["bid"])
        return messages

    def _due(self, bid: str) -> list[Message]:
        with self._store.transaction():
            row = self._store.row(f"{DUE} AND bid = ?", self._now(), bid)  # not answered meanwhile
            return [] if row is None else self._send(row)

    def _send(self, row: Row) -> list[Message]:
        if row["attempts"] >= ATTEMPTS:
            self._set(row, status="timeout", due_at=None)
            return []
        now, tid = self._now(), str(uuid.uuid4())
        body = {"tid": tid, "bid": row["bid"], "timestamp": int(now * 1000)}
        body |= {"method": "ota_create", "data": {"devices": json.loads(row["devices"])}}
        self._set(row, tid=tid, attempts=row["attempts"] + 1, due_at=now + REPLY_S)
        self._keep(row["bid"], "services", body)
        payload = self._expand(compact(body).decode(), EXPIRES_S).encode()
        return [Message(f"thing/product/{row['gateway']}/services", payload)]

    def _replied(self, gateway: str, body: Body) -> list[Message]:
        """A services_reply: what the gateway makes of the order."""
        row = self._order(gateway, body)
        if row is None or body["tid"] != row["tid"] or body.get("method") != "ota_create":
            return []
        result, output = outcome(body)
        if result is None:
            return []
        self._keep(row["bid"], "services_reply", body)
        if row["status"] != "sent":  # progress overtook it
            return []
        status = output.get("status")
        if result:
            status = status if status in FINAL and status != "ok" else "failed"
        elif status not in STATUSES:
            status = "sent"
        self._set(row, status=status, result=result, due_at=None)
        return []

    def _told(self, gateway: str, body: Body) -> list[Message]:
        """An event: progress of an order, or something that this platform does not know."""
        row = self._order(gateway, body)
        good = row is not None and self._progress(row, body)
        if row is not None:
            self._keep(row["bid"], "events", body)
        if body.get("need_reply") not in (1, True) or not isinstance(body.get("tid"), str):
            return []
        answer = {key: body.get(key) for key in ("tid", "bid")}
        answer |= {"timestamp": int(self._now() * 1000), "method": body.get("method")}
        answer["data"] = {"result": 0 if good else BAD_PARAMETERS}
        return [Message(f"thing/product/{gateway}/events_reply", compact(answer), qos=1)]

    def _progress(self, row: Row, body: Body) -> bool:
        """Take an ota_progress; False when it makes no sense, and nothing is changed."""
        result, output = outcome(body)
        progress = output.get("progress") or {}
        if body.get("method") != "ota_progress" or result is None or not meant(output, progress):
            return False
        if row["status"] in FINAL:
            return True
        percent, step = progress.get("percent"), step_of(progress)
        columns = {"status": output["status"], "result": result, "due_at": None}
        columns |= {"percent": percent} if percent is not None else {}
        columns |= {"step": step} if step is not None else {}
        self._set(row, **columns)
        return True

    def _order(self, gateway: str, body: Body) -> Row | None:
        """The order that a message is about, if it is that gateway's."""
        if not isinstance(body.get("bid"), str) or not isinstance(body.get("tid"), str):
            return None
        if body.get("gateway", gateway) != gateway:
            return None
        return self._store.row(
            "SELECT * FROM orders WHERE bid = ? AND gateway = ?", body["bid"], gateway
        )

    def _set(self, row: Row, **columns: Any) -> None:
        columns["updated_at"] = self._now()
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*columns.values(), row["bid"])
        self._store.run(f"UPDATE orders SET {names} WHERE bid = ?", *values)

    def _keep(self, bid: str, kind: str, body: Body) -> None:
        columns = {"at": self._now(), "kind": kind, "body": json.dumps(body)}
        self._store.insert("order_messages", bid=bid, **columns)


def parse(payload: bytes) -> Body | None:
    """The JSON object of a payload; None when it is none, and there is nobody to tell."""
    try:
        body = read_json(payload)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def outcome(body: Body) -> tuple[int | None, Body]:
    """(result, output) of a message's data; the result is None when there is no number."""
    data = body.get("data")
    if not isinstance(data, dict) or not whole(data.get("result")):
        return None, {}
    output = data.get("output")
    return data["result"], output if isinstance(output, dict) else {}


def meant(output: Body, progress: Any) -> bool:
    """Whether an ota_progress's output is within the document's enumerations and limits."""
    if output.get("status") not in STATUSES or not isinstance(progress, dict):
        return False
    percent = progress.get("percent")
    if percent is not None and not (whole(percent) and 0 <= percent <= 100):
        return False
    return step_of(progress) in (None, *STEPS)


def step_of(progress: Body) -> Any:
    """The step, by either of its two spellings; None when it is not told."""
    step = progress.get("step_key")
    if step is None and whole(progress.get("current_step")):
        return CURRENT_STEPS.get(progress["current_step"], progress["current_step"])
    return step
