"""AWS IoT MQTT-based file delivery: describe, get, data, rejected; in JSON or CBOR.

Blocks come at QoS 0: in any order, twice, or not at all. Up to two requests are out at a time,
128 KiB together; what did not come is asked for again, run by run, so a single lost block is one
request of one block. The window halves when blocks are lost and grows while none are.

When the payload stands before the index in a message, the index is not known while the payload
passes; then one block is asked for at a time, so that there is no doubt which one it is.

memory   under 1 KiB, whatever the block and the window
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"
"""

import json
from random import getrandbits

from micropython import const

from sluice.errors import Fail, Gone, Retry
from sluice.loading import let_go, plug_in
from sluice.log import Log
from sluice.transfer.blocks import Blocks

_VOLUME = const(131_072)  # bytes the service sends for one request, at most
_TOPIC = const(256)  # bytes of a topic, AWS's limit; a thing's and a stream's name have 128 each
_PATIENCE_MS = const(1_000)  # without a byte before what is out counts as lost; at first
_PATIENCE_MAX_MS = const(10_000)
_TEXT = const(128)  # characters of a refusal's text that are repeated
_FRUITLESS = const(6)  # times in a row that nothing came, before the link is given up
_RUNS = const(2)  # requests out at a time

_DESCRIPTION = "sluice.transfer.description"  # needed once in a download
_BLOCKS, _CBOR = "sluice.transfer.json_block", "sluice.transfer.cbor_block"
_PASSING = ("InternalError", "RequestThrottled")  # worth another try

log = Log("stream")


class MQTTStream:
    """One file of one stream.

    tools    link: publish, subscribe, unsubscribe, wait; clock: ticks_ms, ticks_diff; settings:
             thing, window (blocks asked for at once, at most), stream_format ("json" or "cbor");
             history: list of two, kept between downloads, for sluice.transfer.description
    file     sluice.job.File
    block    bytes of a block: 256, 512, 1,024, 2,048 or a multiple of 4,096
    """

    def __init__(self, tools, file, block):
        self._link, self._clock, settings, self._history, _ = tools
        self._prefix = "$aws/things/%s/streams/%s/" % (settings["thing"], file.stream)
        self._form = settings["stream_format"]
        if len(self._prefix) + len("description/json") > _TOPIC:
            raise Fail("stream's topic longer than 256 bytes")
        self._file = file
        self._block = block
        self._most = max(1, min(settings["window"], _VOLUME // block))
        self._window = self._most
        self._token = "sluice-%08x" % getrandbits(31)
        self._version = None  # the member that tells it
        self._runs = []  # [first block, count] of the requests that are out, two at most
        self._blocks = None

    async def fetch(self, image, watch):
        """Fill the image with what it misses; `watch()` is awaited after every arrival.

        raises   Retry when the stream is silent, Fail when it cannot give the file
        """
        # A round is what was asked for, and the time until it counts as lost. Patience grows while
        # nothing comes. Where bad blocks come it does not: they are an answer.
        blocks = self._blocks = Blocks(image, self._file.id, self._block, self._token, self._clock)
        await self._open()
        patience_ms, fruitless, spoilt = _PATIENCE_MS, 0, 0
        while image.missing() >= 0:
            self._ask(image)
            if await self._link.wait(blocks.stirred, patience_ms):
                blocks.take_stock()
                self._settle_runs()
                patience_ms, fruitless, spoilt = _PATIENCE_MS, 0, 0
            elif blocks.silent_ms() >= patience_ms:
                bad = blocks.end_round()
                fruitless, spoilt = fruitless + 1, spoilt + bad
                if fruitless == _FRUITLESS:
                    raise blocks.verdict(spoilt == fruitless)
                patience_ms = min((1 if bad else 2) * patience_ms, _PATIENCE_MAX_MS)
                self._lost()
            await watch()

    async def close(self):
        """Leave nothing behind on the link; what is still coming in mid-message is passed over."""
        if self._blocks:
            self._blocks.error = self._blocks.error or Gone("closed")
            self._blocks.parser = None  # a heap that was full has room for topics without it
            let_go(_DESCRIPTION, _BLOCKS, _CBOR)
        for what in ("data", "description", "rejected"):
            self._link.unsubscribe(self.topic(what))

    # -- describing --------------------------------------------------------------------------

    async def _open(self):
        """Have the stream say what it holds, where it will; then load what reads its blocks."""
        await self._link.subscribe(self.topic("rejected"), self._on_rejected)
        try:
            describe = plug_in(_DESCRIPTION, "describe")
            self._version = await describe(self, self._link, self._file, self._history)
        finally:
            describe = let_go(_DESCRIPTION)
        path = _BLOCKS if self._form == "json" else _CBOR
        self._blocks.parser = plug_in(path, "BlockParser")(self._blocks)
        await self._link.subscribe(self.topic("data"), self._blocks)

    @property
    def _codec(self):
        """What has `dumps` and `loads` for the small messages."""
        return json if self._form == "json" else plug_in(_CBOR, "BlockParser")

    @property
    def error(self):
        """What a handler met, to be raised."""
        return self._blocks.error

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

    def _ask(self, image):
        """Have as many requests out as the window allows."""
        one = self._blocks.one_at_a_time
        most = 1 if one else max(1, self._window // _RUNS)
        at = self._runs[-1][0] + self._runs[-1][1] if self._runs else 0
        while len(self._runs) < (1 if one or self._window < _RUNS else _RUNS):
            first, count = self._next_run(image, at, most)
            if not count:
                return
            self._runs.append((first, count))
            self._blocks.expected = first if one else None
            request = {"f": self._file.id, "l": self._block, "o": first, "n": count}
            request.update(self._version)
            self.publish("get", request)
            at = first + count

    def _next_run(self, image, at, most):
        """(first, count) of the blocks missing next from `at` on; count is 0 for none."""
        if at * self._block >= image.size:
            return 0, 0
        offset = image.missing(at * self._block)
        if offset < 0:
            return 0, 0
        first = stop = offset // self._block
        while stop - first < most and self._blocks.expects(stop):
            stop += 1
        return first, stop - first

    def _settle_runs(self):
        """Forget the requests that were answered in full; the window grows with each."""
        for run in self._runs[:]:
            if not any(self._blocks.expects(index) for index in range(run[0], run[0] + run[1])):
                self._runs.remove(run)
                self._window = min(self._window + 1, self._most)

    def _lost(self):
        """Nothing came for a while: what is out counts as lost."""
        log.d("lost", self._runs)
        self._runs = []
        self._window = max(1, self._window // 2)


def _words(value):
    """A text of the service, as much of it as is repeated; a number; nothing else is one."""
    return value[:_TEXT] if isinstance(value, str) else value if isinstance(value, int) else ""
