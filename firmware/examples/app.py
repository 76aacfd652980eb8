"""An application beside the agent, to copy: it measures, tells, obeys, and judges its own health.

    sluice/THING/reading   told every `every_s`: {"count": 7, "free": 23104}
    sluice/THING/command   obeyed: {"every_s": 5}

It becomes the module `app` of an image by `sluice image make --app FILE`, or by lying beside the
firmware on the board. The agent goes on whatever becomes of it.
"""

import gc
import json
from asyncio import sleep_ms

from micropython import const

from sluice.errors import Retry
from sluice.log import Log

_SAMPLES = const(5)  # of a reading, 100 ms apart
_COMMAND = const(128)  # bytes of a command, at most

log = Log("app")
every_s = 10
count = 0  # readings that were told
measuring = False


async def main(link):
    """Run beside the agent for ever."""
    global count
    topic = "sluice/%s/" % link.client_id
    while not await heard(link, topic + "command"):
        await sleep_ms(500)
    while True:
        free = await measure()
        try:  # to wait for the broker's answer: await link.deliver(topic, text)
            link.publish(topic + "reading", json.dumps({"count": count + 1, "free": free}), qos=1)
            count += 1
            log.i("reading", count, free)
        except Retry as error:  # no link now: the agent makes another
            log.w("not told:", error)
        await sleep_ms(every_s * 1_000)


async def heard(link, topic):
    """Whether commands are subscribed to; for good then, as the link does so in every session."""
    try:
        await link.subscribe(topic, on_command, 0, _COMMAND)
    except Retry:  # not linked yet
        return False
    return True


async def measure():
    """A reading: here the mean of the free heap; put your sensor in its place."""
    global measuring
    measuring, free = True, 0
    for _ in range(_SAMPLES):
        free += gc.mem_free()
        await sleep_ms(100)
    measuring = False
    return free // _SAMPLES


def on_command(topic, payload):
    """Called by the link with what came, None if it was too long. It must not block; what it
    raises is logged, and ends nothing."""
    global every_s
    wanted = json.loads(payload)["every_s"]
    if not 1 <= wanted <= 3600:
        raise ValueError(wanted)
    every_s = int(wanted)
    log.i("every", every_s)


async def healthy():
    """The verdict on a new image: healthy is who has told a reading. The agent waits 60 s."""
    while not count:
        await sleep_ms(100)
    return True


async def before_reset():
    """Returns when the board may reset: not amid a measurement. The agent waits `hold_s`."""
    while measuring:
        await sleep_ms(50)
