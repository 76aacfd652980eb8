"""A board's config.json: what is asked for, what is kept, and what nobody gets to see."""

import io
import json

import pytest

from sluice.board_port import BoardPort
from sluice.errors import SluiceError
from sluice.flash import settings
from sluice.flash.contents import CONFIG

THING = {"thing": "lamp", "endpoint": "localhost", "port": 8883, "wifi": {}}
HOME = {"ssid": "Home", "password": "a good secret"}


def test_password_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv(settings.PASSWORD, "a good secret")
    assert settings.wifi("Home") == HOME
    monkeypatch.setenv(settings.PASSWORD, "")
    assert settings.wifi("Open") == {"ssid": "Open"}
    assert settings.wifi(None) == {}


def test_password_is_asked_for_on_a_terminal_alone(monkeypatch):
    monkeypatch.delenv(settings.PASSWORD, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("a good secret\n"))
    with pytest.raises(SluiceError, match=settings.PASSWORD):
        settings.wifi("Home")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "a good secret")
    assert settings.wifi("Home") == HOME


@pytest.mark.parametrize("ssid, password", [("", "long enough"), ("x" * 33, "long enough"),
                                            ("Home", "short"), ("Home", "x" * 64)])  # fmt: skip
def test_wifi_that_cannot_be_is_refused_without_its_password(monkeypatch, ssid, password):
    monkeypatch.setenv(settings.PASSWORD, password)
    with pytest.raises(SluiceError) as refused:
        settings.wifi(ssid)
    assert password not in str(refused.value)


def test_wifi_of_the_board_stays_until_another_is_given():
    board = THING | {"wifi": HOME}
    assert settings.merged(THING, board, {}, None)["wifi"] == HOME
    assert settings.merged(THING, board, {"ssid": "Work"}, None)["wifi"] == {"ssid": "Work"}
    assert settings.merged(THING | {"wifi": {"ssid": "X"}}, board, {}, None)["wifi"] == {
        "ssid": "X"
    }


def test_endpoint_that_was_given_once_stays_unless_the_thing_has_one():
    board = settings.merged(THING, {}, {}, ("cloud.example", 8884))
    assert (board["endpoint"], board["port"]) == ("cloud.example", 8884)
    assert settings.merged(THING, board, {}, None) == board
    other = THING | {"endpoint": "aws.example"}
    assert settings.merged(other, board, {}, None)["endpoint"] == "aws.example"
    assert settings.merged(THING | {"thing": "pump"}, board, {}, None)["endpoint"] == "localhost"


@pytest.mark.parametrize(
    "damage", [{"wifi": "x"}, {"wifi": [1]}, {"endpoint": [1]}, {"endpoint": 5}, {"port": "x"}]
)
def test_settings_of_the_board_that_make_no_sense_are_not_kept(damage):
    board = THING | {"endpoint": "cloud.example"} | damage
    kept = settings.merged(THING, board, {}, None)
    assert kept == THING | ({"endpoint": "cloud.example"} if "wifi" in damage else {})


def test_endpoint_without_a_port_keeps_the_things_port():
    port = settings.merged(THING | {"port": 18_883}, {}, {}, settings.endpoint("cloud.example"))
    assert port["port"] == 18_883


@pytest.mark.parametrize("text", ["", ":1", "x:0", "x:65536", "x:y", "mqtts://x", "x:1:2"])
def test_endpoint_that_is_none_is_refused(text):
    with pytest.raises(SluiceError, match="not an endpoint"):
        settings.endpoint(text)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"{" + b" " * 9_000 + b"}"])
def test_configuration_of_a_board_that_is_unsound_counts_as_none(session: BoardPort, content):
    session.put(CONFIG, content)
    assert settings.on(session) == {}


def test_configuration_of_a_board_is_read_without_showing_the_password(session, blank):
    seen = len(blank.lines)
    config = THING | {"wifi": HOME, "name": "Küche"}
    session.put(CONFIG, settings.text(config))
    assert settings.on(session) == config
    session.run("print('read')")
    blank.wait_for("read", after=seen)
    assert not any("secret" in line or "wifi" in line for line in blank.lines[seen:])


def test_text_of_the_same_settings_is_the_same():
    assert settings.text(THING) == settings.text(json.loads(settings.text(THING)))
