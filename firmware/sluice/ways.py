"""The ways to the cloud that a start may go, in turn: the newest configured, the last that linked.

Loaded when the link is given a way, when one is given up, and when one has linked that is to be
noted. `ways` is what `lastgood` made of the files: turns[0] is the way that the link goes.
"""

from micropython import const

from sluice import lastlink
from sluice.errors import Fail, Retry
from sluice.log import Log

_AGAIN_MS = const(900_000)  # on the kept way, before the newer one is tried again; then twice that
_DOUBLED = const(6)  # times, at most: 16 h
_TURN_MS = const(900_000)  # of the kept way, at most, where nothing links
_LEAVE_MS = const(2_000)  # for a network that is left
_LOOK_MS = const(50)

log = Log("config")


def take(link, ways):
    """Have the link go the first of the ways whose credentials can be used.

    The others are struck off. The link has no context until then: two may not find room.
    raises   Fail, naming the file, when those of none can be used; MemoryError, of the last way
             or the kept one, because the heap may have room later
    """
    # Only now: who waits in `again`, for hours, has no use for it.
    from sluice.net import connect

    turns = ways["turns"]
    link.context = None
    while not link.context:
        way = turns[0]
        try:
            link.context = connect.of_files(*way["files"])
        except (Fail, MemoryError) as error:
            if not turns[1:] or way["kept"] and isinstance(error, MemoryError):
                raise error
            turns.pop(0)
            log.e("a way cannot be gone:", error)
            ways["due"], ways["why"] = True, str(error)
    link.server, link.port = way["endpoint"], way["port"]


def limit_ms(ways, trial_ms):
    """How long the first way is tried before the next one has its turn; None where there is none.

    The newer way has `trial_s`. The kept one has twice as much with every round, to 15 minutes.
    """
    if not ways["turns"][1:]:
        return None
    longer_ms = min(trial_ms << min(ways["rounds"], _DOUBLED), _TURN_MS)
    return max(trial_ms, longer_ms) if ways["turns"][0]["kept"] else trial_ms


def turn(link, ways):
    """Give a way up for the next one, which the link is to `take`."""
    turns = ways["turns"]
    turns.append(turns.pop(0))
    kept = turns[0]["kept"]
    ways["rounds"] += kept
    ways["due"], ways["why"] = True, "it did not link" if kept else None
    log.w("now tried:", "the way that linked last" if kept else "the newer way")
    link.context = None


def linked(ways):
    """Note the way that has linked: to be gone back to, or as all that there was to go."""
    way = ways["turns"][0]
    ways["due"] = False
    if way["kept"]:
        if not ways["passed"]:
            ways["passed"] = lastlink.note(lastlink.PASSED, ways["state"])
        return
    del ways["turns"][1:]
    if lastlink.save(way, ways["identity"]):
        log.i("this way is kept, as it linked")
        if lastlink.noted(lastlink.PASSED):
            lastlink.forget(lastlink.PASSED)
        ways["passed"] = False


async def again(link, ways, clock):
    """Once it is time, and between jobs, drop the link of the kept way to try the newer one."""
    await clock.sleep_ms(_AGAIN_MS << min(ways["rounds"], _DOUBLED))
    while not ways["idle"]():
        await clock.sleep_ms(_LOOK_MS)
    ways["again"] = False
    if ways["turns"][1:] and ways["turns"][0]["kept"]:
        turn(link, ways)
        try:
            link.disconnect()
        except Retry:  # it is lost already
            pass


async def leave(station, clock):
    """Leave a Wi-Fi network: a station that is joined, or tries to, takes no other one."""
    begin = clock.ticks_ms()
    try:
        if station.active():
            station.disconnect()
        while station.isconnected() and clock.ticks_diff(clock.ticks_ms(), begin) < _LEAVE_MS:
            await clock.sleep_ms(_LOOK_MS)
    except (OSError, RuntimeError) as error:  # the driver's, which joining mends
        log.w("network not left", error)
