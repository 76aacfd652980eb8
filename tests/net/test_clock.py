"""net/clock.py on MicroPython against real UDP servers on this machine, honest and hostile."""

import socket
import threading
import time

import pytest
from patience import FUSE_S
from sntp import NOW_S, TO_1970_S, packet, server

ARCHES = ("i386", "amd64")

CLIENT = """
import asyncio, sys, time
from sluice.net.clock import Clock
from sluice.errors import Retry

class Board:
    ticks_ms, ticks_diff, ticks_add = time.ticks_ms, time.ticks_diff, time.ticks_add
    now_s = int(sys.argv[1])
    def set_time(self, unix_s):
        self.now_s = unix_s
    def time(self):
        return self.now_s - 946684800
    def gmtime(self, seconds):
        return (2000, 1, 1, 0, 0, 0, 5, 1)

turns = 0

async def other():
    global turns
    while True:
        turns += 1
        await asyncio.sleep_ms(5)

async def main():
    board = Board()
    clock = Clock(board, None, board)
    task = asyncio.create_task(other())
    begin = time.ticks_ms()
    try:
        await clock.synchronise(sys.argv[3:], int(sys.argv[2]))
        print("@", "set", board.now_s, turns, time.ticks_diff(time.ticks_ms(), begin))
    except Retry as error:
        print("@", error.reason, board.now_s, turns, time.ticks_diff(time.ticks_ms(), begin))

asyncio.run(main())
"""


def honest(request: bytes) -> list[bytes]:
    return [packet(request)]


def silent(request: bytes) -> list[bytes]:
    return []


class Client:
    """The clock of a board that starts in 2000, on one port of MicroPython."""

    def __init__(self, micropython, arch: str) -> None:
        self._micropython, self._arch = micropython, arch

    def synchronise(
        self, *servers: str, start_s: int = 946_684_800, deadline_ms: int = 8_000
    ) -> tuple[str, int]:
        """What came of it, and the board's clock afterwards."""
        arguments = (str(start_s), str(deadline_ms), *servers)
        done = self._micropython(CLIENT, *arguments, arch=self._arch)
        line = next(line for line in done.stdout.splitlines() if line.startswith("@ "))
        verdict, now_s, turns, took_ms = line[2:].rsplit(" ", 3)
        assert int(turns) >= int(took_ms) // 100  # the application ran meanwhile
        self.took_ms = int(took_ms)
        return verdict, int(now_s)


@pytest.fixture(params=ARCHES)
def client(request, micropython) -> Client:
    return Client(micropython, request.param)


def test_clock_honest_server_sets_the_time(client):
    with server(honest) as address:
        assert client.synchronise(address) == ("set", NOW_S)


def test_clock_requests_carry_a_nonce_that_differs(client):
    seen = []

    def kiss(request: bytes) -> list[bytes]:
        seen.append(request[40:])
        return [packet(request, stratum=0)]

    with server(kiss) as first, server(kiss) as second, server(kiss) as third:
        assert client.synchronise(first, second, third) == ("no time", 946_684_800)
    assert len(set(seen)) == 3 and bytes(8) not in seen


def test_clock_dead_and_silent_servers_are_passed_over(client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{unused.getsockname()[1]}"
    with server(honest) as good:
        assert client.synchronise(closed, "no-such-host.invalid", good) == ("set", NOW_S)
    with server(silent) as mute, server(honest) as good:
        assert client.synchronise(mute, good) == ("set", NOW_S)


def test_clock_deadline_without_an_answer_raises_no_time(client):
    with server(silent) as mute:
        assert client.synchronise(mute, deadline_ms=300) == ("no time", 946_684_800)
    assert client.took_ms >= 300


def test_clock_forged_answers_do_not_hide_the_true_one(client):
    def flooded(request: bytes) -> list[bytes]:
        forged = [
            b"",
            b"\x24" * 20,
            packet(b"\x23" + bytes(47)),  # without our nonce
            packet(request, first=0x25),
            packet(request, first=0xE4),
            packet(request, stratum=16),
            packet(request, unix_s=-TO_1970_S),
            packet(request, unix_s=1_000_000_000),  # 2001: before this was written
            packet(request, unix_s=NOW_S + 30 * 366 * 86_400),
            bytes(1000),
        ]
        return [*forged, packet(request)]

    with server(flooded) as address:
        assert client.synchronise(address) == ("set", NOW_S)


def test_clock_only_forged_answers_set_nothing(client):
    def hostile(request: bytes) -> list[bytes]:
        return [packet(request, unix_s=1_000_000_000), packet(bytes([0x23]) + bytes(47))]

    with server(hostile) as address:
        verdict = client.synchronise(address, deadline_ms=400)
    assert verdict == ("no time", 946_684_800)


def test_clock_answer_from_another_port_is_dropped(client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:

        def answer(request: bytes) -> list[bytes]:
            elsewhere.sendto(packet(request, unix_s=NOW_S + 5_000), peers[0])
            time.sleep(0.05)
            return [packet(request)]

        peers: list = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(FUSE_S)

            def run() -> None:
                request, peer = sock.recvfrom(1024)
                peers.append(peer)
                for reply in answer(request):
                    sock.sendto(reply, peer)

            thread = threading.Thread(target=run)
            thread.start()
            address = f"127.0.0.1:{sock.getsockname()[1]}"
            assert client.synchronise(address) == ("set", NOW_S)
            thread.join(FUSE_S)


def test_clock_server_that_refuses_is_not_asked_again(client):
    asked = []

    def kiss(request: bytes) -> list[bytes]:
        asked.append(request)
        return [packet(request, stratum=0)]

    with server(kiss) as address:
        assert client.synchronise(address) == ("no time", 946_684_800)
        assert client.took_ms < 8_000
        assert len(asked) == 1
        with server(honest) as good:
            assert client.synchronise(address, good) == ("set", NOW_S)


def test_clock_that_is_right_and_ahead_is_kept(client):
    with server(honest) as address:
        assert client.synchronise(address, start_s=NOW_S + 60) == ("set", NOW_S + 60)
        assert client.synchronise(address, start_s=NOW_S - 60) == ("set", NOW_S)


def test_clock_year_2036_is_no_end(client):
    later_s = 2_085_978_496 + 86_400  # a day into NTP's era 1

    with server(lambda request: [packet(request, unix_s=later_s)]) as address:
        assert client.synchronise(address) == ("set", later_s)
