"""How the store keeps orders of the thing/product platform. `product` carries them out."""

import json
import uuid
from sqlite3 import Row
from typing import Any

from sluice.cloud.store import Store

Body = dict[str, Any]

STATUSES = ("sent", "in_progress", "ok", "paused", "rejected", "failed", "canceled", "timeout")
FINAL = ("ok", "rejected", "failed", "canceled", "timeout")
UPGRADE_TYPES = (2, 3)  # consistency, normal
DEVICES = 2  # in one order, the document's constraint on the array


def place(store: Store, gateway: str, devices: list[Body], now: float) -> str:
    """Put down an order, which a running cloud then sends; returns its bid.

    devices  the items of `data.devices`, with placeholders where addresses will be
    """
    bid = str(uuid.uuid4())
    columns = {"gateway": gateway, "devices": json.dumps(devices), "status": "sent"}
    columns |= {"attempts": 0, "due_at": now, "created_at": now, "updated_at": now}
    store.insert("orders", bid=bid, **columns)
    return bid


def shown(store: Store, bid: str) -> Body | None:
    """An order and its messages, as plain data; None if there is none of that bid."""
    row = store.row("SELECT * FROM orders WHERE bid = ?", bid)
    if row is None:
        return None
    rows = store.rows("SELECT * FROM order_messages WHERE bid = ? ORDER BY sequence", bid)
    kept = [
        {"at": one["at"], "kind": one["kind"], "body": json.loads(one["body"])} for one in rows
    ]
    return {
        **summary(row),
        "attempts": row["attempts"],
        "devices": json.loads(row["devices"]),
        "messages": kept,
    }


def summary(row: Row) -> Body:
    """An order in a list."""
    keys = ("gateway", "status", "result", "percent", "step")
    return {"order": row["bid"], **{key: row[key] for key in keys}}
