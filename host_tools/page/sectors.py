"""What an update fills, how much of it, and in which step it is: told by its job and its board."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.fleet.status import ENDS, Execution, Progress, progress

SECTOR = 4_096  # bytes
LARGEST = 1 << 32  # bytes; nothing that a job claims is larger
KINDS = {0: "image", 200: "application", 201: "agent", 202: "image", 203: "image"}  # fileType
TREES = {"app": "application", "agent": "agent"}


@dataclass(frozen=True)
class Filling:
    """What a job brings: an image, an application, an agent or files, and their bytes."""

    kind: str
    size: int | None


def filling(document: Mapping[str, Any] | None) -> Filling | None:
    """What a job's document asks a board to take; None when it brings nothing."""
    document = document or {}
    update = document.get("afr_ota")
    if isinstance(update, Mapping):
        return _of_files(update.get("files"))
    operation = document.get("operation")
    if "location" in document:
        return Filling("image", _size(document.get("size")))
    if operation == "update":
        kind = TREES.get(str(document.get("kind")), "image")
        return Filling(kind, _size(document.get("size")))
    if operation in ("download", "install"):
        return Filling("files", _size(document.get("size")))
    return None


def _of_files(files: Any) -> Filling | None:
    rows = [row for row in files if isinstance(row, Mapping)] if isinstance(files, list) else []
    for row in rows:  # the whole image comes before its smaller forms
        number = row.get("fileType", 0)
        kind = KINDS.get(number) if isinstance(number, int) else None
        if kind:
            return Filling(kind, _size(row.get("filesize")))
    return Filling("files", _size(rows[0].get("filesize"))) if rows else None


def _size(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < LARGEST else None


def step(one: Execution) -> str:
    """In which step an execution is: a word of STEPS, or its status when it is over."""
    if one.status in ENDS or one.status == "QUEUED":
        return one.status
    details = one.details
    if details.get("self_test") == "active":
        return "trying"
    if details.get("self_test") == "ready" or details.get("step") == "rebooting":
        return "applying"
    if details.get("step") == "downloading" or "receive" in details:
        return "downloading"
    return "accepted"


def written(one: Execution, known: Progress | None, brought: Filling | None) -> dict[str, Any]:
    """How much of what an execution fills is there: sectors of an image, else blocks.

    known   the last progress that it told, which a later report no longer has
    """
    known = progress(one.details) or known
    size = brought.size if brought else None
    sectors = bool(brought and brought.kind == "image" and size)
    total = -(-size // SECTOR) if sectors else known.total if known else 0
    done = total * known.done // known.total if known else 0
    if one.status == "SUCCEEDED" or step(one) in ("applying", "trying"):
        done = total
    elif one.ended and known is None:
        total = 0  # nobody saw how far it came
    return {"unit": "sectors" if sectors else "blocks", "done": done, "total": total}
