"""AWS IoT MQTT-based file delivery: describe, get, data, rejected; in JSON or CBOR.

Blocks come at QoS 0: in any order, twice, or not at all. The window says how many bytes may be on
their way. They are asked for in up to four requests, and the next request goes out as soon as
there is room for it. What did not come is asked for again, run by run, so a single lost block is
one request of one block. The window halves when blocks are lost and grows while none are. It
shrinks, too, where answers take long: what waits on a slow link delays all other messages.

Late is not lost: patience follows the measured round trips, like TCP's timer.

If the payload stands before the index in a message, the index is not known while the payload
passes. Then the board asks for one block at a time, so that there is no doubt which one it is.

memory   under 1 KiB, whatever the block and the window
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 6298
"""

import json
from random import getrandbits

from micropython import const

from sluice.errors import Fail, Gone, Retry
from sluice.loading import Scope, plug_in
from sluice.log import Log
from sluice.transfer.blocks import Blocks

_VOLUME = const(131_072)  # bytes the service sends for one request, at most
_TOPIC = const(256)  # bytes of a topic, AWS's limit; a thing's and a stream's name have 128 each
_PATIENCE_MS = const(1_000)  # without a byte before what is out counts as lost, at least
_PATIENCE_MAX_MS = const(10_000)
_LONG_MS = const(4_000)  # that an answer may take; all others have to be there in 15 s
_LEAST = const(32_768)  # bytes of window that are left for a link where answers take longer
_TEXT = const(128)  # characters of a refusal's text that are repeated
_FRUITLESS = const(6)  # times in a row that nothing came, before the link is given up
_RUNS = const(4)  # requests out at a time
_BLOCKS_MAX = const(512)  # out at a time: brokers bound the messages that they queue

_DESCRIPTION = "sluice.transfer.description"  # needed once in a download
_BLOCKS, _CBOR = "sluice.transfer.json_block", "sluice.transfer.cbor_block"
_PASSING = ("InternalError", "RequestThrottled")  # worth another try

log = Log("stream")


class MQTTStream:
    """One file of one stream.

    sources  sluice.run.Sources: link; clock: ticks_ms, ticks_diff; settings: thing,
             window (bytes asked for at once, at most, or one block), stream_format ("json" or
             "cbor")
    file     sluice.job.File
    block    bytes of a block: 256, 512, 1,024, 2,048 or a multiple of 4,096
    """

    def __init__(self, sources, file, block):
        self._link, self._clock, settings = sources.link, sources.clock, sources.settings
        self._sources = sources
        self._prefix = "$aws/things/%s/streams/%s/" % (settings["thing"], file.stream)
        self._form = settings["stream_format"]
        if len(self._prefix) + len("description/json") > _TOPIC:
            raise Fail("stream's topic longer than 256 bytes")
        self._file = file
        self._block = block
        self._most = max(1, min(settings["window"] // block, _BLOCKS_MAX))  # in blocks
        self._window = self._most
        self._token = "sluice-%08x" % getrandbits(31)
        self._version = {}  # the member that tells it
        self._runs = []  # of requests that are out: [next to come, stop, asked when, ms, or None]
        self._reached = 0  # first block that was never asked for
        self._quiet = None  # since when nothing came, ms, where what was out counted as lost
        self._trip_ms, self._sway_ms, self._patience_ms = -1, 0, _PATIENCE_MS
        self._blocks = self._image = None

    async def fetch(self, image, watch):
        """Fill the image with what it misses; `watch()` is awaited after every arrival.

        raises   Retry when the stream is silent, Fail when it cannot give the file
        """
        # A round is what was asked for, and the time until it counts as lost. Patience grows while
        # nothing comes. Where bad blocks come it does not: they are an answer.
        blocks = self._blocks = Blocks(image, self._file.id, self._block, self._token, self._clock)
        self._image = image
        self._link.held = image.held
        await self._open()
        fruitless = spoilt = 0
        while image.missing() >= 0:
            self.ask(_RUNS)
            if await self._link.wait(blocks.has_news, self._patience_ms):
                blocks.count_anew()
                self._advance_runs()
                fruitless = spoilt = 0
            elif blocks.silent_ms() >= self._patience_ms:
                bad = blocks.end_round()
                fruitless, spoilt = fruitless + 1, spoilt + bad
                if fruitless == _FRUITLESS:
                    raise blocks.verdict(spoilt == fruitless)
                if not bad:
                    self._patience_ms = min(2 * self._patience_ms, _PATIENCE_MAX_MS)
                    if self._quiet is None:
                        now = self._clock.ticks_ms()
                        self._quiet = self._clock.ticks_add(now, -blocks.silent_ms())
                self._lost()
            await watch()

    async def close(self):
        """Leave nothing behind on the link; what is still coming in mid-message is passed over."""
        self._link.held = bool
        if self._blocks:
            self._blocks.error = self._blocks.error or Gone("closed")
            self._blocks.parser = None  # a heap that was full has room for topics without it
        for what in ("data", "description", "rejected"):
            self._link.unsubscribe(self.topic(what))

    # -- describing --------------------------------------------------------------------------

    async def _open(self):
        """Load what reads blocks, subscribe, and have the stream say what it holds."""
        blocks = self._blocks
        path = _BLOCKS if self._form == "json" else _CBOR
        blocks.parser = plug_in(path, "BlockParser")(blocks)
        topics = {self.topic("rejected"): self._on_rejected, self.topic("data"): blocks}
        words = self._link, self._file, self._sources, topics
        with Scope():  # blocks are on their way
            self._version = await plug_in(_DESCRIPTION, "describe")(self, *words)

    def described(self, answered):
        """The wait for the description is over. Raises what a handler met."""
        if self.error:
            raise self.error
        if not answered:
            self._runs = []  # what came meanwhile was passed over
        elif self._runs:
            self._measure(self._since(self._runs[0][2]))

    @property
    def _codec(self):
        """What has `dumps` and `loads` for the small messages."""
        return json if self._form == "json" else plug_in(_CBOR, "BlockParser")

    @property
    def error(self):
        """What is to be raised where the source is awaited; no block is taken meanwhile."""
        return self._blocks.error

    @error.setter
    def error(self, error):
        self._blocks.error = error

    def topic(self, what):
        """The topic of this kind of message."""
        return self._prefix + what + "/" + self._form

    def publish(self, request, members):
        """Send a request with our token."""
        members["c"] = self._token
        self._link.publish(self.topic(request), self._codec.dumps(members))

    def _on_rejected(self, topic, payload):
        """Both spellings of an error: `o m c` and `code message clientToken`."""
        answer = self.answer(payload)
        if answer:
            code = _words(answer.get("code") or answer.get("o"))
            text = _words(answer.get("message") or answer.get("m"))
            kind = Retry if code in _PASSING else Fail
            self._blocks.error = kind("stream rejected: %s" % code, text)

    def answer(self, payload, unnamed=True):
        """The members of a message, unless it is none or answers somebody else: then None.

        unnamed  take one that says no token, as refusals of a request that could not be read do
        """
        try:
            value = self._codec.loads(payload or b"")
        except ValueError:
            log.w("message not read")
            return None
        if not isinstance(value, dict):
            return None
        theirs = value.get("c") or value.get("clientToken") or unnamed and self._token
        return value if theirs == self._token else None

    # -- the window --------------------------------------------------------------------------

    def ask(self, runs):
        """Have as many requests out as the window allows, and no more than `runs`."""
        one, out = self._blocks.one_at_a_time, 0
        most = 1 if one else max(1, min(self._window // _RUNS, _VOLUME // self._block))
        at = self._runs[-1][1] if self._runs else 0
        for run in self._runs:
            out += run[1] - run[0]
        while len(self._runs) < (1 if one else runs) and (not out or out + most <= self._window):
            first, count = self._next_run(at, most)
            if not count:
                return
            at, out = first + count, out + count
            fresh = first >= self._reached  # else an answer may be to the request before
            self._runs.append([first, at, self._clock.ticks_ms() if fresh else None])
            self._reached = max(self._reached, at)
            self._blocks.expected = first if one else None
            request = {"f": self._file.id, "l": self._block, "o": first, "n": count}
            request.update(self._version)
            self.publish("get", request)

    def _next_run(self, at, most):
        """(first, count) of the blocks missing next from `at` on; count is 0 for none."""
        image = self._image
        if at * self._block >= image.size:
            return 0, 0
        offset = image.missing(at * self._block)
        if offset < 0:
            return 0, 0
        first = stop = offset // self._block
        while stop - first < most and self._blocks.expects(stop):
            stop += 1
        return first, stop - first

    def _advance_runs(self):
        """Go by what came: take times, forget the requests that were answered in full.

        The window grows with each of these.
        """
        if self._quiet is not None:  # what comes after a loss may only have been late
            self._measure(self._since(self._quiet))
            self._quiet = None
        low, high = self._blocks.low, self._blocks.high  # other runs are as they were
        for run in self._runs[:]:
            if high < run[0] or run[1] <= low:
                continue
            missing = self._image.missing(run[0] * self._block)
            first = run[1] if missing < 0 else min(missing // self._block, run[1])
            if first > run[0]:
                run[0] = first
                if run[2] is not None:
                    self._measure(self._since(run[2]))
                    run[2] = None
                if first == run[1]:
                    self._runs.remove(run)
                    self._window = min(self._window + 1 + (self._window >> 4), self._most)

    def _lost(self):
        """Nothing came for a while: what is out counts as lost."""
        log.d("lost", self._runs)
        self._runs = []
        self._window = max(1, self._window // 2)

    # -- patience ----------------------------------------------------------------------------

    def _since(self, then):
        return self._clock.ticks_diff(self._clock.ticks_ms(), then)

    def _measure(self, trip_ms):
        """Learn from a round trip: patience is the usual one and four times what it varies by."""
        if self._trip_ms < 0:
            self._trip_ms, self._sway_ms = trip_ms, trip_ms >> 1
        else:
            self._sway_ms += (abs(self._trip_ms - trip_ms) - self._sway_ms) >> 2
            self._trip_ms += (trip_ms - self._trip_ms) >> 3
        usual_ms = self._trip_ms + 4 * self._sway_ms
        self._patience_ms = min(max(usual_ms, _PATIENCE_MS), _PATIENCE_MAX_MS)
        if trip_ms > _LONG_MS:
            least = min(self._window, max(1, _LEAST // self._block))
            self._window = max(least, self._window - (self._window >> 2))


def _words(value):
    """A text of the service, as much of it as is repeated; a number; nothing else is one."""
    return value[:_TEXT] if isinstance(value, str) else value if isinstance(value, int) else ""
