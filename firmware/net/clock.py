"""The board's time: ticks to wait by, seconds since 1970, and SNTP (RFC 4330) to set them.

Time reaches the agent as an object of this class. The clock is moved forwards only: an answer
behind a plausible clock changes nothing. What SNTP says is not authenticated; it must lie between
the floor (when this was written, or the time last known good) and twenty years later, so that a
forged answer can neither revive an expired certificate nor move the board out of all of them.
Call `save_floor` once a TLS handshake has shown the time to be within a certificate's dates.

Name resolution blocks, for as long as the port's resolver takes; all else gives way.
"""

import asyncio
import os
import select
import socket
import time

from micropython import const
from ota.errors import Retry
from ota.log import Log

_WRITTEN_S = const(1_735_689_600)  # 2025-01-01: no clock that is right shows an earlier time
_SPAN_S = const(631_152_000)  # twenty years
_DAY_S = const(86_400)

_TO_2000_S = const(946_684_800)  # from 1970, the start of the ESP32 port's time
_TO_1970_S = const(2_208_988_800)  # from 1900, the start of NTP's era 0; era 1 starts in 2036
_PACKET = const(48)  # bytes without authentication
_ANSWER_MS = const(2_000)  # a server gets so long, then the next one is asked
_PAUSE_MS = const(250)  # before the next request, whatever went wrong
_LOOK_MS = const(10)

log = Log("clock")


class Clock:
    """The time of one board.

    board   set_time(unix_s) sets its clock
    path    file that keeps the floor over power cuts, or None
    source  the module `time`, or a double of it
    """

    def __init__(self, board, path=None, source=time):
        self._board = board
        self._path = path
        self._time = source
        self._epoch_s = _TO_2000_S if source.gmtime(0)[0] == 2000 else 0
        self.ticks_ms = source.ticks_ms
        self.ticks_diff = source.ticks_diff
        self.ticks_add = source.ticks_add
        self._floor_s = self.load_floor()

    async def sleep_ms(self, wait_ms):
        """Let the others run for so long."""
        await asyncio.sleep_ms(wait_ms)

    def now_s(self):
        """Seconds since 1970, whatever the port counts from."""
        return int(self._time.time()) + self._epoch_s

    def plausible(self):
        """Whether the clock has been set: it is past the floor, and not absurdly far."""
        return self._possible(self.now_s())

    def _possible(self, unix_s):
        return self._floor_s <= unix_s < _WRITTEN_S + _SPAN_S

    async def synchronise(self, servers, deadline_ms):
        """Ask the servers in turn until one gives a possible time; set the clock if it is behind.

        servers  "host" or "host:port"; 123 unless said
        raises   Retry("no time") after deadline_ms, or when every server has refused to answer
        """
        end = self.ticks_add(self.ticks_ms(), deadline_ms)
        willing = list(servers)
        turn = 0
        while willing and self.ticks_diff(end, self.ticks_ms()) > 0:
            server = willing[turn % len(willing)]
            wait_ms = min(_ANSWER_MS, self.ticks_diff(end, self.ticks_ms()))
            try:
                unix_s = await self._ask(server, wait_ms)
            except (OSError, ValueError) as error:  # unreachable, unknown, or no port
                log.d(server, error)
                unix_s = None
            if unix_s:
                self._advance(unix_s)
                return
            if unix_s == 0:
                log.w(server, "refuses to answer")
                willing.remove(server)
            turn += 1
            left_ms = self.ticks_diff(end, self.ticks_ms())
            await self.sleep_ms(max(0, min(_PAUSE_MS, left_ms)))
        raise Retry("no time")

    async def _ask(self, server, wait_ms):
        """Seconds since 1970; None without a usable answer, 0 if the server wants to be left."""
        host, _, port = server.partition(":")
        address = socket.getaddrinfo(host, int(port or 123))[0][-1]
        nonce = os.urandom(8)  # in place of our time: it comes back, and nobody can guess it
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address)  # so that answers from elsewhere are dropped
            sock.send(b"\x23" + bytes(39) + nonce)  # version 4, mode 3: client
            return await self._answer(sock, nonce, wait_ms)
        finally:
            sock.close()

    async def _answer(self, sock, nonce, wait_ms):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        end = self.ticks_add(self.ticks_ms(), wait_ms)
        while self.ticks_diff(end, self.ticks_ms()) > 0:
            if poll.poll(0):
                unix_s = read_answer(sock.recv(_PACKET), nonce)
                if unix_s == 0 or (unix_s and self._possible(unix_s)):
                    return unix_s
                log.w("answer ignored", unix_s)  # forged, perhaps: the true one may follow
            await self.sleep_ms(_LOOK_MS)
        return None

    def _advance(self, unix_s):
        ahead_s = self.now_s() - unix_s
        if ahead_s >= 0 and self.plausible():
            log.i("kept", "ahead by seconds:", ahead_s)
            return
        self._board.set_time(unix_s)
        log.i("set", unix_s)

    def load_floor(self):
        """The earliest time that is plausible: of the file if it is sound and later, else ours."""
        if not self._path:
            return _WRITTEN_S
        try:
            with open(self._path) as file:
                floor_s = int(file.read(16))
        except (OSError, ValueError):
            return _WRITTEN_S
        if not _WRITTEN_S <= floor_s < _WRITTEN_S + _SPAN_S:
            return _WRITTEN_S
        return floor_s

    def save_floor(self):
        """Keep the time, which is known to be good, as the floor; writes at most once a day.

        A file that cannot be written is a warning: the old floor stands.
        """
        now_s = self.now_s()
        if not self._path or not self.plausible() or now_s < self._floor_s + _DAY_S:
            return
        beside = self._path + ".new"
        try:
            with open(beside, "w") as file:
                file.write(str(now_s))
            os.rename(beside, self._path)
        except OSError as error:
            log.w("floor not saved", error)
            return
        self._floor_s = now_s


def read_answer(answer, nonce):
    """Seconds since 1970 from a server's packet; 0 for a kiss-o'-death, None if it is no answer.

    Years 1968 to 2104: a first bit of 0 means NTP's era 1 (RFC 4330, section 3).
    """
    if len(answer) < _PACKET or answer[24:32] != nonce:
        return None
    leap, version, mode, stratum = answer[0] >> 6, answer[0] >> 3 & 7, answer[0] & 7, answer[1]
    if mode != 4 or not 1 <= version <= 4 or stratum > 15:
        return None
    if stratum == 0:
        return 0
    if leap == 3 or answer[40:48] == bytes(8):  # a server that does not know the time itself
        return None
    seconds = int.from_bytes(answer[40:44], "big")
    if not answer[40] & 0x80:
        seconds += 1 << 32
    return seconds - _TO_1970_S + (answer[44] >> 7)
