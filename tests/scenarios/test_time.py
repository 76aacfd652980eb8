"""The board's time, forged, missing and honest: with the real TLS, which judges by that clock."""

import re
import time

import pytest
from sntp import packet, server
from stage import HEAP, Cloud, Stage, soon

from sluice.cloud.things import ca
from sluice.device.supervisor import Board

UNSET = 946_684_800  # 2000-01-01: what an ESP32 shows after a power cut
DAY_S = 86_400
SLACK_S = 120  # of a machine that is busy
AHEAD_S = 3 * 365 * DAY_S  # past `passing_cloud`, and before 2038, where 32 bits end


def shows(scene: Stage, clock: float) -> Board:
    """The stage's board, whose clock shows that after a reset."""
    scene.board = Board(scene.root, scene.name, heap=HEAP, clock=int(clock))
    return scene.board


def times(board: Board, after: int = 0) -> list[int]:
    """What its clock was set to, one after the other."""
    found = (re.search(r"clock set (\d+)", line) for line in board.lines[after:])
    return [int(match[1]) for match in found if match]


def right(unix_s: int) -> bool:
    return abs(unix_s - time.time()) < SLACK_S


class TimeServer:
    """A time server that is so many seconds ahead; silent with None."""

    def __init__(self, ahead_s: float | None) -> None:
        self.ahead_s = ahead_s

    def __call__(self, request: bytes) -> list[bytes]:
        if self.ahead_s is None:
            return []
        return [packet(request, unix_s=int(time.time() + self.ahead_s))]


def test_forged_time_lasts_until_the_cloud_is_reached_and_leaves_no_floor(cloud, stage):
    forger = TimeServer(300 * DAY_S)
    with server(forger) as address:
        scene = stage(cloud, ntp=[address])
        board = shows(scene, UNSET)
        scene.power_on()
        forged_s, told_s = times(board)
        assert forged_s > time.time() + 299 * DAY_S and right(told_s)
        board.stop()
        word, floor_s = board.read_file("/clock").split()
        assert word == b"proven" and right(int(floor_s))

        forger.ahead_s = 0  # gone
        seen = len(board.lines)
        scene.power_on()
        assert [right(unix_s) for unix_s in times(board, seen)] == [True]


@pytest.mark.parametrize("behind_s", [10 * DAY_S, 3 * 365 * DAY_S], ids=["floor", "older"])
def test_forged_time_of_the_past_keeps_nobody_from_linking(cloud, stage, behind_s):
    """The forger goes on: the broker's certificate is not valid yet, and says since when it is."""
    with server(TimeServer(-behind_s)) as address:
        scene = stage(cloud, ntp=[address])
        board = shows(scene, UNSET)
        scene.power_on()
        assert right(times(board)[-1])
        board.stop()
        word, floor_s = board.read_file("/clock").split()
        assert word == b"proven" and right(int(floor_s))

        seen = len(board.lines)
        scene.power_on()
        assert any("answer ignored" in line for line in board.lines[seen:])
        assert all(right(unix_s) for unix_s in times(board, seen))


def test_floor_that_an_earlier_release_took_from_a_forger_is_passed_over(cloud, stage):
    with server(TimeServer(0)) as address:
        scene = stage(cloud, ntp=[address])
        board = shows(scene, UNSET)
        board.make()
        board.write_file("/clock", str(int(time.time()) + 300 * DAY_S).encode())
        scene.power_on()
        assert [right(unix_s) for unix_s in times(board)] == [True]


def test_board_without_any_time_server_links_by_the_dates_of_the_certificate(cloud, stage):
    with server(TimeServer(None)) as address:
        scene = stage(cloud, ntp=[address])
        board = shows(scene, UNSET)
        scene.power_on()
        floor_s, vouched_s, told_s = times(board)
        assert floor_s < vouched_s < time.time() - DAY_S + SLACK_S and right(told_s)
        refused = [line for line in board.lines if "attempt failed" in line]
        assert not refused, "one attempt, and TLS was asked twice"


@pytest.fixture
def passing_cloud(own_cloud, monkeypatch) -> Cloud:
    """A cloud whose CA is over in a year, so that a clock can be too far ahead for it."""
    with monkeypatch.context() as patch:
        patch.setattr(ca, "VALID_DAYS", 365)
        ca.Authority(own_cloud.state)
    return own_cloud.start()


@pytest.mark.parametrize("ahead_s", [0, None])
def test_clock_that_is_years_ahead_comes_back(passing_cloud, stage, ahead_s):
    """TLS says that the certificate has expired; a server, or nobody, tells the time."""
    with server(TimeServer(ahead_s)) as address:
        scene = stage(passing_cloud, ntp=[address])
        board = shows(scene, time.time() + AHEAD_S)
        scene.power_on()
        assert any("Expired" in line for line in board.lines)
        assert right(times(board)[-1])


def test_board_links_as_soon_as_a_forger_is_gone(passing_cloud, stage):
    forger = TimeServer(AHEAD_S)  # so that every certificate has expired
    with server(forger) as address:
        scene = stage(passing_cloud, ntp=[address])
        board = shows(scene, UNSET).start()
        soon(lambda: sum("Expired" in line for line in board.lines) >= 2)
        assert not any("mqtt linked" in line for line in board.lines)
        forger.ahead_s = 0
        board.wait_for("agent idle")
        assert right(times(board)[-1])


def test_access_point_that_needs_longer_than_a_wait_is_joined(cloud, stage):
    scene = stage(cloud, wifi={"ssid": "slow-25", "password": "secret"})
    board = scene.power_on()
    assert sum("wifi joining" in line for line in board.lines) == 1
    assert any("no Wi-Fi slow-25 yet" in line for line in board.lines)


def test_driver_that_raises_ends_nothing(cloud, stage):
    scene = stage(cloud, wifi={"ssid": "broken", "password": "secret"})
    board = scene.power_on()
    assert any("Wi-Fi driver: Wifi Unknown Error" in line for line in board.lines)


@pytest.mark.parametrize(
    ("wifi", "why"),
    [
        ({"ssid": "absent", "password": "secret"}, "absent no such network"),
        ({"ssid": "home", "password": "wrong"}, "home wrong password"),
    ],
)
def test_network_that_cannot_be_joined_says_why(cloud, stage, wifi, why):
    scene = stage(cloud, wifi=wifi)
    scene.board.start().wait_for(f"no Wi-Fi {why}")
