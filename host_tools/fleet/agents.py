"""Whether the agents of things know what a job brings. Their shadows tell it."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sluice.cloud.state import State
from sluice.cloud.store import open_store
from sluice.errors import SluiceError
from sluice.fleet.about import reported

SMALLER = "0.2.0"  # the first that knows smaller images
_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9})*")


def here(state: State, things: Iterable[str]) -> dict[str, str]:
    """{thing: version of its agent} of those things of a local cloud that told one."""
    if not state.database.exists():
        return {}
    found = {}
    with open_store(state.database) as store:
        for thing in things:
            rows = store.rows("SELECT state FROM shadows WHERE thing = ? ORDER BY name", thing)
            for row in rows:
                told = json.loads(row["state"]).get("reported")
                if isinstance(told, dict) and "agent" in told:
                    found[thing] = told["agent"]
    return _versions(found)


def at_aws(data: Any, things: Iterable[str]) -> dict[str, str]:
    """The same, by boto3's client of `iot-data`; what boto3 raises."""
    return _versions({thing: reported(data, thing).get("agent") for thing in things})


def _versions(told: Mapping[str, Any]) -> dict[str, str]:
    """What is a version: a board may tell anything."""
    return {
        thing: version
        for thing, version in told.items()
        if isinstance(version, str) and _NUMBERS.fullmatch(version)
    }


def check(versions: Mapping[str, str]) -> None:
    """Refuse smaller images for a thing whose agent is too old for them."""
    for thing, version in versions.items():
        if _numbers(version) < _numbers(SMALLER):
            raise SluiceError(
                f"{thing} runs agent {version}, which knows no smaller images: "
                "deploy --agent first, or leave --from and --compress out"
            )


def _numbers(version: str) -> list[int]:
    """As it is compared: zeros at the end say nothing."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
