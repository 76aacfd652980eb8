"""What the clock is set by and judged by: time servers, and the floor. Loaded for either.

SNTP (RFC 4330) gives the time from servers, their answers checked but not authenticated. Name
resolution blocks, for as long as the port's resolver takes; all else gives way.

The floor is the earliest time that is plausible, kept in a file over power cuts. The file says
"proven" and the seconds since 1970. A number alone is of an earlier release, which believed time
servers: it is passed over. That release passes over ours.
"""

import os
import select
import socket

from micropython import const

from sluice.errors import Retry
from sluice.log import Log

_TO_1970_S = const(2_208_988_800)  # from 1900, the start of NTP's era 0; era 1 starts in 2036
_PACKET = const(48)  # bytes without authentication
_ANSWER_MS = const(2_000)  # a server gets so long, then the next one is asked
_PAUSE_MS = const(250)  # before the next request, whatever went wrong
_LOOK_MS = const(10)

log = Log("clock")


async def query(clock, servers, deadline_ms):
    """Seconds since 1970 from the first server that gives a time which `clock` finds possible.

    servers  "host" or "host:port"; 123 unless said
    raises   Retry("no time") after deadline_ms, or when every server has refused to answer
    """
    end = clock.ticks_add(clock.ticks_ms(), deadline_ms)
    willing = list(servers)
    turn = 0
    while willing and clock.ticks_diff(end, clock.ticks_ms()) > 0:
        server = willing[turn % len(willing)]
        wait_ms = min(_ANSWER_MS, clock.ticks_diff(end, clock.ticks_ms()))
        try:
            unix_s = await _ask(clock, server, wait_ms)
        except (OSError, ValueError) as error:  # unreachable, unknown, or no port
            log.d(server, error)
            unix_s = None
        if unix_s:
            return unix_s
        if unix_s == 0:
            log.w(server, "refuses to answer")
            willing.remove(server)
        turn += 1
        left_ms = clock.ticks_diff(end, clock.ticks_ms())
        await clock.sleep_ms(max(0, min(_PAUSE_MS, left_ms)))
    raise Retry("no time")


async def _ask(clock, server, wait_ms):
    """Seconds since 1970; None without a usable answer, 0 if the server wants to be left."""
    host, _, port = server.partition(":")
    address = socket.getaddrinfo(host, int(port or 123))[0][-1]
    nonce = os.urandom(8)  # in place of our time: it comes back, and nobody can guess it
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)  # so that answers from elsewhere are dropped
        sock.send(b"\x23" + bytes(39) + nonce)  # version 4, mode 3: client
        return await _answer(clock, sock, nonce, wait_ms)
    finally:
        sock.close()


async def _answer(clock, sock, nonce, wait_ms):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    end = clock.ticks_add(clock.ticks_ms(), wait_ms)
    while clock.ticks_diff(end, clock.ticks_ms()) > 0:
        if poll.poll(0):
            unix_s = read_answer(sock.recv(_PACKET), nonce)
            if unix_s == 0 or (unix_s and clock.possible(unix_s)):
                return unix_s
            log.w("answer ignored", unix_s)  # forged, perhaps: the true one may follow
        await clock.sleep_ms(_LOOK_MS)
    return None


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


def load(path, earliest_s, latest_s):
    """Seconds since 1970 from the file, if it is sound and between these; else `earliest_s`."""
    try:
        with open(path or "") as file:
            word, _, text = file.read(32).partition(" ")
        floor_s = int(text) if word == "proven" else 0
    except (OSError, ValueError):
        return earliest_s
    return floor_s if earliest_s <= floor_s < latest_s else earliest_s


def save(path, now_s):
    """Put the time into the file; False, and a warning, when it cannot be written."""
    try:
        with open(path + ".new", "w") as file:
            file.write("proven %d" % now_s)
        os.rename(path + ".new", path)
    except OSError as error:
        log.w("floor not saved", error)
        return False
    return True
