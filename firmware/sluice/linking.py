"""Goes one of the ways until it has linked, and notes which. Loaded while the agent connects.

`way` is sluice.run.Reach, which stays. See lastlink.py for what the ways are.
"""

import asyncio

import board
from sluice.errors import Retry
from sluice.loading import plug_in


async def reach(way, start, deadline_ms):
    """Linked, and `start` done. Raises Retry at the deadline; None: there is none."""
    ways, link = way.ways, way.link
    while True:
        limit_ms = deadline_ms
        if deadline_ms is None and ways["turns"][1:]:
            limit_ms = plug_in("sluice.lastlink", "limit_ms")(ways, way.trial_ms)
        try:
            await _attempt(way, start, limit_ms)
            break
        except Retry:
            if limit_ms == deadline_ms:
                raise
        if ways["turns"][1:]:  # else the other one was struck off meanwhile
            plug_in("sluice.lastlink", "turn")(link, ways)
        way.failures, way.since, way.doubt = 0, None, False
    _linked(way, deadline_ms is None)


async def _attempt(way, start, deadline_ms):
    link, clock = way.link, way.clock
    if not link.context:
        plug_in("sluice.lastlink", "take")(link, way.ways)
    first = way.ways["turns"][0]
    wifi = board.wifi(first["wifi"], clock)
    if wifi and way.joined != first["wifi"]:
        await plug_in("sluice.lastlink", "leave")(wifi.station, clock)
        way.joined = first["wifi"]
    uplink = plug_in("sluice.net.uplink", "Uplink")(wifi, clock, link, first["ntp"], way)
    await uplink.reach(start, deadline_ms)


def _linked(way, again):
    """The way is kept; on the kept way the newer one is tried again, later."""
    ways = way.ways
    if ways["due"] and not way.slots.trial:
        plug_in("sluice.lastlink", "linked")(ways)
    if again and ways["turns"][1:] and not ways["again"]:
        ways["again"] = True
        asyncio.create_task(plug_in("sluice.lastlink", "again")(way.link, ways, way.clock))
