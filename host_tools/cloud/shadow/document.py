"""A shadow's document: what may be in it, how an update changes it, where its halves differ.

Functions of plain data. Metadata has the shape of the state it belongs to, with
`{"timestamp": seconds}` for each value that is neither object nor array.

Limits: 8 KiB of state without metadata. For the depth, copies of AWS's limits say 5, 6 and 8: here
desired and reported are the first of 6 levels, which leaves the 5 within that all of them allow.
"""

import json
from typing import Any

from sluice.cloud.http.members import MARK, is_token, read_json, whole
from sluice.cloud.message import compact

Document = dict[str, Any]

SECTIONS = ("desired", "reported")
STATE_BYTES = 8192
LEVELS = 6


class ShadowError(Exception):
    """A refused request: an HTTP status, as shadows use for codes over MQTT too, and a text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse(payload: bytes) -> Document:
    """The request of a payload: a JSON object, or nothing at all."""
    try:
        request = read_json(payload) if payload.removeprefix(MARK.encode()) else {}
    except UnicodeDecodeError:
        raise ShadowError(415, "Unsupported document encoding: UTF-8 is supported") from None
    except ValueError:
        raise ShadowError(400, "Invalid JSON") from None
    if not isinstance(request, dict):
        raise ShadowError(400, "Invalid JSON")
    return request


def take_token(request: Document) -> str | None:
    """The client token, or None when there is none."""
    token = request.get("clientToken")
    if token is None:
        return None
    if not is_token(token):
        raise ShadowError(400, "Invalid clientToken")
    return token


def take_version(request: Document) -> int | None:
    """The version that the shadow must have, or None when any will do."""
    version = request.get("version")
    if version is not None and not whole(version):
        raise ShadowError(400, "Invalid version")
    return version


def take_state(request: Document) -> Document | None:
    """The state of an update, checked; None, which is null, clears both halves."""
    if "state" not in request:
        raise ShadowError(400, "Missing required node: state")
    state = request["state"]
    if state is None:
        return None
    if not isinstance(state, dict):
        raise ShadowError(400, "State node must be an object")
    for name, section in state.items():
        if name not in SECTIONS:
            raise ShadowError(400, f"State contains an invalid node: '{name}'")
        if section is not None and not isinstance(section, dict):
            raise ShadowError(400, f"{name.capitalize()} node must be an object")
        if too_deep(section, LEVELS):
            text = f"JSON contains too many levels of nesting; maximum is {LEVELS}"
            raise ShadowError(400, text)
        if holds_null(section, False):
            raise ShadowError(
                400, f"State contains an invalid node: '{name}' has null in an array"
            )
    check_size(state)
    return state


def filled(halves: Document) -> Document:
    """Without a half that is empty, which AWS leaves out."""
    return {name: half for name, half in halves.items() if half}


def check_size(state: Document) -> None:
    """Refuse a state that is too long, counted without spaces."""
    if len(compact(state)) > STATE_BYTES:
        raise ShadowError(413, "The payload exceeds the maximum size allowed")


def too_deep(value: Any, levels: int) -> bool:
    """Whether objects and arrays are nested more than `levels` deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(too_deep(item, levels - 1) for item in inner)


def holds_null(value: Any, within: bool) -> bool:
    """Whether there is a null within an array, where it can delete nothing."""
    if isinstance(value, dict):
        return any(holds_null(item, within) for item in value.values())
    if isinstance(value, list):
        return any(holds_null(item, True) for item in value)
    return within and value is None


def merged(old: Any, new: Any) -> Any:
    """`new` laid over `old`: objects member by member, null removes, all else replaces."""
    if not isinstance(new, dict):
        return new
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def stamped(metadata: Any, old: Any, new: Any, now: int) -> Any:
    """The metadata of `merged(old, new)`, from that of `old`: what `new` sets has its time."""
    if isinstance(new, list):
        return [stamped(None, None, item, now) for item in new]
    if not isinstance(new, dict):
        return {"timestamp": now}
    known = isinstance(old, dict)
    result = dict(metadata) if known else {}
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        else:
            before = old.get(key) if known else None
            result[key] = stamped(result.get(key), before, value, now)
    return result


def difference(desired: Document, reported: Document) -> Document:
    """The members of `desired` that `reported` has not got alike; arrays are compared whole."""
    result = {}
    for key, value in desired.items():
        other = reported.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            if inner := difference(value, other):
                result[key] = inner
        elif key not in reported or not alike(value, other):
            result[key] = value
    return result


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def chosen(metadata: Any, wanted: Any) -> Any:
    """The part of a metadata that belongs to the members of `wanted`."""
    if not isinstance(wanted, dict):
        return metadata
    return {key: chosen(metadata[key], value) for key, value in wanted.items()}
