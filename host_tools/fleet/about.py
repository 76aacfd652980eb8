"""What a thing's board told of itself: what runs on it, from its shadows."""

import json
from typing import Any

from botocore.exceptions import ClientError

from sluice.errors import SluiceError

VERSION = ("version", "nrf_cloud_app_fw_version")  # keys of it, by the board's configuration
NONE = "none, or none that was told"


def told(data: Any, thing: str) -> dict[str, Any]:
    """What is reported in the shadows of a thing, as `reported`.

    raises  SluiceError: there is no shadow; what boto3 raises
    """
    found = reported(data, thing)
    if not found:
        raise SluiceError(f"{thing} has no shadow: its board has told nothing yet")
    return found


def reported(data: Any, thing: str) -> dict[str, Any]:
    """The same, of the classic shadow and those with a name; {} of a thing that told nothing.

    data    boto3's client of `iot-data`
    raises  what boto3 raises
    """
    found: dict[str, Any] = {}
    names = data.list_named_shadows_for_thing(thingName=thing)["results"]
    for name in (None, *names):
        words = {"thingName": thing} | ({"shadowName": name} if name else {})
        try:
            answer = data.get_thing_shadow(**words)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            continue
        found |= json.loads(answer["payload"].read()).get("state", {}).get("reported") or {}
    return found


def lines(thing: str, state: dict[str, Any]) -> list[str]:
    """The same for people, a line a thing that runs."""
    trees = str(state.get("trees") or "").split("+")

    def code(kind: str) -> str:
        version = state.get(kind) or NONE
        tree = next((tree for tree in trees if tree.startswith(f"{kind}.")), None)
        return f"{version}, from tree {tree}" if tree else str(version)

    version = next((state[key] for key in VERSION if state.get(key)), None)
    slot = f" in {state['slot']}" if state.get("slot") else ""
    rows = {
        "thing": thing,
        "board": state.get("board") or "not told",
        "interpreter": f"{version or 'not told'}{slot}",
        "agent": code("agent"),
        "application": code("app"),
    }
    if state.get("trial"):
        rows["trial"] = "what runs is on trial"
    return [f"{name:12} {_plain(value)}" for name, value in rows.items()]


def _plain(text: str) -> str:
    """Without what a terminal would act on: a board may tell anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
