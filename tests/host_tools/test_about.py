"""What `sluice thing show` makes of what a board told."""

import io
import json

import pytest
from botocore.exceptions import ClientError

from sluice.errors import SluiceError
from sluice.fleet.about import lines, told


class Shadows:
    """boto3's client of `iot-data`, for one thing: {shadow's name, "" for none: what it has}."""

    def __init__(self, **reported: dict | None) -> None:
        self._reported = reported

    def list_named_shadows_for_thing(self, thingName: str) -> dict:  # noqa: N803
        return {"results": [name for name in self._reported if name != "classic"]}

    def get_thing_shadow(self, thingName: str, shadowName: str = "classic") -> dict:  # noqa: N803
        if shadowName not in self._reported:
            error = {"Error": {"Code": "ResourceNotFoundException"}}
            raise ClientError(error, "GetThingShadow")
        state = {"state": {"reported": self._reported[shadowName]}}
        return {"payload": io.BytesIO(json.dumps(state).encode())}


def test_all_shadows_of_a_thing_are_read():
    data = Shadows(classic={"version": "1.0.0"}, site={"slot": "ota_1"}, empty=None)
    assert told(data, "one") == {"version": "1.0.0", "slot": "ota_1"}


def test_thing_that_told_nothing_is_said_to_have():
    with pytest.raises(SluiceError, match="one has no shadow"):
        told(Shadows(), "one")


def test_each_kind_of_code_has_its_line():
    state = {"version": "1.4.0", "slot": "ota_1", "board": "SIM_ESP32", "agent": "0.1.0"}
    state |= {"app": "2.0.0", "trees": "agent.b+app.a", "trial": True}
    assert lines("one", state) == [
        "thing        one",
        "board        SIM_ESP32",
        "interpreter  1.4.0 in ota_1",
        "agent        0.1.0, from tree agent.b",
        "application  2.0.0, from tree app.a",
        "trial        what runs is on trial",
    ]


def test_board_without_trees_and_text_that_no_terminal_takes():
    shown = lines("one", {"version": "\x1b[2J", "agent": "0.1.0"})
    assert shown[2] == "interpreter  ?[2J"
    assert shown[3:] == ["agent        0.1.0", "application  none, or none that was told"]
