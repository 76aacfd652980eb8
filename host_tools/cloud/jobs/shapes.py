"""An execution as MQTT carries it, without what depends on the moment."""

import json
from sqlite3 import Row
from typing import Any


def summary(row: Row) -> dict[str, Any]:
    """A JobExecutionSummary: everything but the status."""
    shape: dict[str, Any] = {"jobId": row["job"], "queuedAt": int(row["queued_at"])}
    if row["started_at"] is not None:
        shape["startedAt"] = int(row["started_at"])
    shape["lastUpdatedAt"] = int(row["updated_at"])
    return shape | {"versionNumber": row["version"], "executionNumber": row["number"]}


def state(row: Row) -> dict[str, Any]:
    """A JobExecutionState."""
    shape: dict[str, Any] = {"status": row["status"], "versionNumber": row["version"]}
    if row["details"] is not None:
        shape["statusDetails"] = json.loads(row["details"])
    return shape
