"""Waiting for the agent: a port that stays, one that comes and goes, and what is not readiness."""

from types import SimpleNamespace

import pytest
import serial
from patience import FUSE_S

from sluice.errors import SluiceError
from sluice.flash import watching

READY = b"I 812 agent idle free 23888\r\n"


class Port:
    """A pyserial port that says these pieces, then is gone, or silent when the last is b""."""

    def __init__(self, *pieces: bytes):
        self._pieces = list(pieces)
        self.timeout = None

    @property
    def in_waiting(self) -> int:
        if not self._pieces:
            raise serial.SerialException("device disconnected")
        return len(self._pieces[0])

    def read(self, size: int) -> bytes:
        return self._pieces.pop(0) if len(self._pieces[0]) else b""


def board(*pieces: bytes) -> SimpleNamespace:
    return SimpleNamespace(name="the port", serial=Port(*pieces), close=lambda: None)


def heard(*pieces: bytes, deadline_s: float = FUSE_S) -> list[str]:
    said: list[str] = []
    watching.wait_for_agent(board(*pieces), deadline_s, said.append)
    return said


def test_agent_is_ready_when_it_says_that_it_waits_for_jobs():
    assert heard(b"boot\r\nI 1 agent boot ota_0\r\n" + READY) == [
        "boot",
        "I 1 agent boot ota_0",
        "I 812 agent idle free 23888",
    ]


def test_line_in_pieces_is_one_line_without_what_cannot_be_shown():
    assert heard(b"\xff\x1b[2J", b"half", b" a line\r", b"\n" + READY)[0] == "\ufffd[2Jhalf a line"


def test_line_without_an_end_does_not_grow():
    assert all(len(line) <= 400 for line in heard(*[b"x" * 1000] * 9, b"\n" + READY))


@pytest.mark.parametrize(
    "line", [b"agent idle", b"I 5 app agent idle", b"says I 5 agent idle", b"I 5 agent idled"]
)
def test_line_that_only_looks_like_it_does_not_count(line: bytes):
    with pytest.raises(SluiceError, match="not ready within 0.3 s; its last lines tell why"):
        heard(line + b"\n", b"", deadline_s=0.3)


def test_agent_that_cannot_start_is_not_waited_for():
    with pytest.raises(SluiceError, match="the agent cannot start: no /config.json"):
        heard(b"E 12 main cannot start: no /config.json\r\n")


def test_board_that_says_nothing_is_silent():
    with pytest.raises(SluiceError, match="the port is silent: the board sent nothing for 0.3 s"):
        heard(b"", deadline_s=0.3)


def test_port_that_comes_and_goes_is_opened_again(monkeypatch: pytest.MonkeyPatch):
    answers = [SluiceError("no such port"), SluiceError("no such port"), Port(b"boot\n", READY)]

    def connect(name: str) -> SimpleNamespace:
        answer = answers.pop(0)
        if isinstance(answer, SluiceError):
            raise answer
        return SimpleNamespace(serial=answer, close=lambda: None)

    monkeypatch.setattr(watching, "connect", connect)
    assert heard(b"going\n") == ["going", "boot", "I 812 agent idle free 23888"]
    assert not answers


def test_port_that_does_not_come_back_is_told(monkeypatch: pytest.MonkeyPatch):
    def connect(name: str) -> None:
        raise SluiceError(f"no such port: {name}")

    monkeypatch.setattr(watching, "connect", connect)
    with pytest.raises(SluiceError, match="no such port: the port"):
        heard(b"going\n", deadline_s=0.5)
