"""What a thing's board told of itself, in its shadows. All of it is checked: it may be a lie."""

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.fleet.status import STATUSES, Execution, ThingStatus
from sluice.fleet.things import shadows
from sluice.terminal import plain

VERSION = ("version", "nrf_cloud_app_fw_version")  # keys of it, by the board's configuration
TEXT = 256  # signs of a text that are kept
TEXTS = 32  # texts of a list that are kept
MOST = 1 << 63  # no number that a board means is as far from 0; so inf and nan are none
Document = Mapping[str, Any]


def reported(data: Any, thing: str) -> dict[str, Any]:
    """What is reported in a thing's shadows, the classic one and those with a name; {} of a
    thing that told nothing.

    data    boto3's client of `iot-data`
    raises  what boto3 raises
    """
    return dict(_reported(shadows(data, thing)))


def of_document(document: Document, execution: Execution | None = None) -> ThingStatus:
    """How a thing stands, by its document (see `things`) and its last execution."""
    shadow = _object(document, "shadow")
    told = _reported(shadow)
    connection = _object(document, "connectivity")
    return ThingStatus(
        thing=document["thingName"],
        kind=text(document, "thingTypeName"),
        groups=texts(document, "thingGroupNames"),
        attributes=_object(document, "attributes"),
        connected=connection.get("connected"),
        connected_at=_milliseconds(connection.get("timestamp")),
        disconnect_reason=text(connection, "disconnectReason"),
        told_at=_told_at(shadow),
        board=text(told, "board"),
        image=next((text(told, key) for key in VERSION if text(told, key)), ""),
        micropython=text(told, "micropython"),
        slot=text(told, "slot"),
        trial=told.get("trial") is True,
        agent=text(told, "agent"),
        app=text(told, "app"),
        app_state=text(told, "app_state"),
        trees=text(told, "trees"),
        free=_number(told, "free"),
        rssi=_number(told, "rssi"),
        reset=text(told, "reset"),
        failures=texts(told, "failures"),
        log=texts(told, "log"),
        settings=_object(told, "settings"),
        reported=told,
        job=execution or job_told(document),
    )


def job_told(document: Document) -> Execution | None:
    """The last job that ended, as the board told of it; None if it did not."""
    found = _object(_reported(_object(document, "shadow")), "job")
    status, name = text(found, "status"), text(found, "id")
    if status not in STATUSES or not name:
        return None
    details = {"reason": text(found, "reason")} if text(found, "reason") else {}
    return Execution(name, document["thingName"], 0, status, details)


def _reported(shadow: Document) -> Document:
    """All that is reported: named shadows are laid over the classic one."""
    found: dict[str, Any] = {}
    for one in _each(shadow):
        found |= _object(one, "reported")
    return found


def _each(shadow: Document) -> Iterator[Document]:
    yield shadow
    named = _object(shadow, "name")
    yield from (_object(named, name) for name in sorted(named))


def _told_at(shadow: Document) -> float | None:
    """When something was last reported, by the shadows' metadata."""
    times = [
        time
        for one in _each(shadow)
        for time in _timestamps(_object(_object(one, "metadata"), "reported"))
    ]
    return max(times, default=None)


def _timestamps(metadata: Any) -> Iterator[float]:
    if isinstance(metadata, list):
        for item in metadata:
            yield from _timestamps(item)
    elif isinstance(metadata, Mapping):
        for key, value in metadata.items():
            if key == "timestamp" and _is_number(value):
                yield float(value)
            else:
                yield from _timestamps(value)


def _object(document: Document, key: str) -> Document:
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}


def text(document: Document, key: str) -> str:
    """A text, without what a terminal would act on, and not too long; "" of anything else."""
    found = document.get(key)
    return plain(found[:TEXT]) if isinstance(found, str) else ""


def texts(document: Document, key: str) -> tuple[str, ...]:
    """The texts of a list, the last ones if there are too many."""
    found = document.get(key)
    if not isinstance(found, list | tuple):
        return ()
    return tuple(plain(one[:TEXT]) for one in found[-TEXTS:] if isinstance(one, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _number(document: Document, key: str) -> int | None:
    found = document.get(key)
    return int(found) if _is_number(found) else None


def _milliseconds(value: Any) -> float | None:
    return value / 1000 if _is_number(value) and value > 0 else None
