"""The stream source: whatever a server sends, loses, doubles or mixes up, the image is right."""

import json
from binascii import b2a_base64
from random import getrandbits, seed

from doubles import SECTOR, Flash, Link, Sources, pattern, raised, run
from test_cborparser import head

from sluice import log
from sluice.errors import Fail, Gone, Retry
from sluice.job import File
from sluice.transfer.cbor_block import BlockParser as CBORParser
from sluice.transfer.image import Image
from sluice.transfer.stream import MQTTStream

HEAP = "8m"
THING = "t" * 128
STREAM = "s" * 90  # with that thing, the longest that 256 bytes of topic hold
PREFIX = "$aws/things/%s/streams/%s/" % (THING, STREAM)


class Server:
    """A stream of one file. `order` is that of the keys; `fault` changes what is sent."""

    form = "json"

    def __init__(self, data, file=0, order="cfilp", fault=None):
        self.data = data
        self.file = file
        self.order = order
        self.fault = fault or (lambda messages: messages)
        self.gets = []  # (first, count) of every request
        self.described = 0
        self.description = {"s": 1, "d": "d", "r": [{"f": file, "z": len(data)}]}

    def __call__(self, topic, message):
        assert topic.startswith(PREFIX) and topic.endswith("/" + self.form)
        request = self.read(message)
        self.token = request["c"]
        if "/describe/" in topic:
            self.described += 1
            return self.describe()
        assert request["f"] == self.file and request.get("s", 1) == 1
        assert 256 <= request["l"] <= 131_072 and request["n"] * request["l"] <= 131_072
        self.gets.append((request["o"], request["n"]))
        wanted = range(request["o"], request["o"] + request["n"])
        return self.fault([self.block(index, request["l"]) for index in wanted])

    def describe(self):
        self.description["c"] = self.token
        return [(PREFIX + "description/json", json.dumps(self.description).encode())]

    def block(self, index, size, **changes):
        part = self.data[index * size : (index + 1) * size]
        assert part, "a block past the end"
        values = {"c": '"%s"' % self.token, "f": self.file, "i": index, "l": len(part)}
        values["p"] = '"%s"' % b2a_base64(part)[:-1].decode()
        values.update(changes)
        text = ",".join('"%s":%s' % (key, values[key]) for key in self.order)
        return PREFIX + "data/json", b"{" + text.encode() + b"}"

    def rejected(self, **words):
        return [(PREFIX + "rejected/json", json.dumps(words).encode())]

    def read(self, message):
        return json.loads(message)


class CBORServer(Server):
    """The same in CBOR, in maps of indefinite length as AWS has them."""

    form = "cbor"

    def describe(self):
        self.description["c"] = self.token
        return [(PREFIX + "description/cbor", encoded(self.description))]

    def block(self, index, size, **changes):
        part = bytes(self.data[index * size : (index + 1) * size])
        assert part, "a block past the end"
        values = {"c": self.token, "f": self.file, "i": index, "l": len(part), "p": part}
        values.update(changes)
        items = [encoded(key) + encoded(values[key]) for key in self.order]
        return PREFIX + "data/cbor", b"\xbf" + b"".join(items) + b"\xff"

    def rejected(self, **words):
        return [(PREFIX + "rejected/cbor", encoded(words))]

    def read(self, message):
        return CBORParser.loads(message)


def encoded(value):
    """The value in CBOR, of the kinds that streams have."""
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(encoded(item) for item in value)
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    data = value.encode() if isinstance(value, str) else value
    return head(3 if isinstance(value, str) else 2, len(data)) + data


SERVERS = (Server, CBORServer)


def made(
    server,
    block=SECTOR,
    window=8 * SECTOR,
    check=None,
    written=None,
    size=None,
    history=None,
    name=STREAM,
):
    """(stream, image, flash, link)"""
    size = size or len(server.data)
    file = File(size, "mqtt_stream")
    file.stream, file.id = name, server.file
    flash = Flash(-(-size // SECTOR))
    image = Image(flash, size, block, check, written)
    link = Link(server)
    settings = {"thing": THING, "window": window, "stream_format": server.form}
    sources = history or Sources()
    sources.link, sources.clock, sources.settings = link, link.clock, settings
    stream = MQTTStream(sources, file, block)
    return stream, image, flash, link


async def watch():
    pass


def fetch(server, erases=1, **words):
    """Fetch the whole file, with no sector erased more often than that; gives (link, flash)."""
    stream, image, flash, link = made(server, **words)
    silently(lambda: run(stream.fetch(image, watch)))
    assert image.missing() == -1 and image.received == len(server.data)
    assert bytes(flash.data[: len(server.data)]) == bytes(server.data)
    assert max(flash.erases) <= erases
    run(stream.close())
    assert not link.sinks
    return link, flash


DESCRIBED_MS = 15_000  # the deadline of the one wait in which the description comes


def silently(act):
    log.level("E")
    try:
        return act()
    finally:
        log.level("I")


def failure(kind, server, **words):
    stream, image, flash, link = made(server, **words)
    return silently(lambda: raised(kind, stream.fetch, image, watch)), link, flash, image


def losing(*numbers):
    """A fault that loses the messages of these numbers, counted over all requests."""
    count = [0]

    def fault(messages):
        kept = []
        for message in messages:
            if count[0] not in numbers:
                kept.append(message)
            count[0] += 1
        return kept

    return fault


# -- the straight way ----------------------------------------------------------------------------


def test_stream_every_block_size_arrives_byte_for_byte():
    for block in (256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 98_304, 131_072):
        for size in (60, 5 * SECTOR - 1, 5 * SECTOR, 5 * SECTOR + 60):
            for kind in SERVERS:
                server = kind(pattern(size))
                fetch(server, block=block)
                asked = sum(count for _, count in server.gets)
                assert asked == -(-size // block), (block, size)


def test_stream_in_cbor_of_the_largest_block_arrives_byte_for_byte():
    server = CBORServer(pattern(300_000))
    fetch(server, block=131_072, window=524_288)
    assert server.gets == [(0, 1), (1, 1), (2, 1)]


def test_stream_in_cbor_hears_and_speaks_nothing_else():
    link, _ = fetch(CBORServer(pattern(2 * SECTOR)))
    assert all(topic.endswith("/cbor") for topic, _, _ in link.sent)


def test_stream_is_described_before_it_is_asked_for():
    server = Server(pattern(SECTOR))
    link, _ = fetch(server)
    assert [topic.split("/")[-2] for topic, _, _ in link.sent] == ["describe", "get"]


def test_stream_asks_for_the_first_block_alone_and_then_fills_the_window():
    server = Server(pattern(20 * SECTOR))
    fetch(server, window=8 * SECTOR)
    assert server.gets[:5] == [(0, 1), (1, 2), (3, 2), (5, 2), (7, 2)]


def test_stream_request_stays_within_what_the_service_sends_at_once():
    server = Server(pattern(160 * SECTOR))
    fetch(server, window=524_288, block=16_384)
    assert max(count for _, count in server.gets) == 8  # 128 KiB


def test_stream_other_order_of_keys_arrives():
    for order in ("cfilp", "plifc", "pcfil", "ipcfl", "lpifc"):
        for block in (256, 4_096, 8_192):
            for kind in SERVERS:
                fetch(kind(pattern(3 * SECTOR + 60), order=order), block=block)


def test_stream_file_of_another_id_is_the_one_asked_for():
    fetch(Server(pattern(2 * SECTOR), file=7))


def test_stream_interrupted_goes_on_with_what_is_missing():
    data = pattern(6 * SECTOR)
    server = Server(data)
    stream, image, flash, link = made(server, written=b"\x15")
    for sector in (0, 2, 4):
        flash.data[sector * SECTOR : (sector + 1) * SECTOR] = data[
            sector * SECTOR : (sector + 1) * SECTOR
        ]
    silently(lambda: run(stream.fetch(image, watch)))
    assert bytes(flash.data) == bytes(data)
    assert flash.erases == [0, 1, 0, 1, 0, 1]
    assert server.gets == [(1, 1), (3, 1), (5, 1)]


def test_stream_already_whole_asks_for_nothing():
    server = Server(pattern(2 * SECTOR))
    stream, image, flash, link = made(server, written=b"\x03")
    run(stream.fetch(image, watch))
    assert not server.gets


def test_stream_watch_may_end_it():
    async def withdrawn():
        raise Gone("CANCELED")

    stream, image, flash, link = made(Server(pattern(9 * SECTOR)))
    raised(Gone, stream.fetch, image, withdrawn)
    run(stream.close())
    assert not link.sinks and image.received == SECTOR


# -- loss, order, duplicates ---------------------------------------------------------------------


def test_stream_lost_blocks_are_asked_for_again_and_only_they():
    several = ((0,), (4,), (11,), (0, 11), (3, 4, 5), (1, 3, 5, 7, 9, 11))
    for lost in several + (tuple(range(1, 12)),):
        server = Server(pattern(12 * SECTOR), fault=losing(*lost))
        fetch(server)
        assert sum(count for _, count in server.gets) == 12 + len(lost), (lost, server.gets)
    for lost in several:
        server = Server(pattern(12 * SECTOR), order="pcfil", fault=losing(*lost))
        fetch(server)
        assert [count for _, count in server.gets] == [1] * (12 + len(lost)), lost


def test_stream_small_blocks_lost_with_the_payload_first_arrive():
    seed(3)
    for block in (256, 1_024):
        for _ in range(5):
            fault = lambda messages: [m for m in messages if getrandbits(2)]  # noqa: E731
            fetch(Server(pattern(2 * SECTOR + 60), order="plifc", fault=fault), block=block)


def test_stream_half_of_all_blocks_lost_arrives_all_the_same():
    seed(5)
    for block in (512, 4_096, 8_192):
        fault = lambda messages: [m for m in messages if getrandbits(1)]  # noqa: E731
        fetch(Server(pattern(9 * SECTOR), fault=fault), block=block)


def test_stream_blocks_in_reverse_and_twice_arrive():
    for fault in (
        lambda m: m[::-1],
        lambda m: m + m,
        lambda m: [x for one in m for x in (one, one)],
    ):
        for block in (256, 4_096, 12_288):
            for order in ("cfilp", "pcfil"):
                server = Server(pattern(6 * SECTOR + 9), order=order, fault=fault)
                fetch(server, 1 if order == "cfilp" else 2, block=block)


def test_stream_block_of_an_earlier_request_that_comes_late_is_no_harm():
    for order in ("cfilp", "pcfil"):
        for block in (1_024, 4_096):
            held = []

            def late(messages, held=held):
                out = held + messages[1:] if len(messages) > 1 else held + messages
                held[:] = messages[:1]
                return out

            fetch(Server(pattern(8 * SECTOR), order=order, fault=late), block=block, erases=2)


def test_stream_window_halves_with_loss_and_grows_without():
    server = Server(pattern(200 * 256), fault=losing(*range(9, 41)))  # four requests
    fetch(server, block=256, window=32 * 256)
    counts = [count for _, count in server.gets]
    assert counts[1:5] == [8, 8, 8, 8]
    fallen = counts.index(4)
    assert 8 in counts[fallen:], counts


def test_stream_that_falls_silent_is_given_up_within_a_minute():
    server = Server(pattern(9 * SECTOR))
    server.fault = lambda messages: messages[:1] if len(server.gets) == 1 else []
    error, link, flash, image = failure(Retry, server)
    assert str(error) == "stream is silent"
    assert image.received == SECTOR
    assert link.clock.now - 1_000 < 60_000
    assert len(server.gets) >= 6


def test_stream_that_is_never_described_is_asked_for_its_blocks_all_the_same():
    for kind in SERVERS:
        server = kind(pattern(3 * SECTOR))
        server.describe = lambda: ()
        link, _ = fetch(server)
        assert server.described == 1 and link.clock.now == 1_000 + 15_000


def test_stream_whose_description_loses_the_link_twice_is_not_described_again():
    def forbidden():
        raise Retry("the broker closed the connection")

    history = Sources()
    for _ in range(2):
        server = Server(pattern(3 * SECTOR))
        server.describe = forbidden
        error, link, _, _ = failure(Retry, server, history=history)
        assert server.described == 1 and not server.gets
    server = Server(pattern(3 * SECTOR))
    server.describe = forbidden
    fetch(server, history=history)
    assert not server.described and len(server.gets) == 2
    history.name = "another"
    fetch(Server(pattern(SECTOR)), history=history)
    assert (history.name, history.times) == (STREAM, 0)


# -- the link kept full --------------------------------------------------------------------------


class Far(Link):
    """A link whose every answer takes `trip_ms`, and then a millisecond for `rate` bytes."""

    def __init__(self, server, trip_ms, rate):
        Link.__init__(self, server)
        self.trip_ms, self.rate, self.free_at = trip_ms, rate, 0
        self.due = []  # (when, message), in order
        self.subscribed = 0  # packets

    def publish(self, topic, message, retain=False, qos=0):
        Link.publish(self, topic, message, retain, qos)
        for message in self.inbox:
            self.free_at = max(self.clock.now + self.trip_ms, self.free_at)
            self.free_at += len(message[1]) // self.rate
            self.due.append((self.free_at, message))
        self.inbox = []

    async def subscribe(self, topic, handler=None, qos=0, limit=8_192):
        self.subscribed += 1
        self.clock.now += self.trip_ms
        await Link.subscribe(self, topic, handler)

    async def wait(self, ready, deadline_ms):
        end = self.clock.now + deadline_ms
        while not ready():
            if not self.due or self.due[0][0] > end:
                self.clock.now = end
                return False
            when, message = self.due.pop(0)
            self.clock.now = max(self.clock.now, when)
            self.bring(*message)
        return True


def far(server, trip_ms, block=256, window=64 * 256, rate=1 << 20):
    """Fetch over a long way; (time that it took, in ms, link, stream)."""
    stream, image, flash, _ = made(server, block, window)
    link = stream._link = Far(server, trip_ms, rate)
    stream._clock = link.clock
    begin = link.clock.now
    silently(lambda: run(stream.fetch(image, watch)))
    assert image.missing() == -1 and bytes(flash.data[: len(server.data)]) == bytes(server.data)
    return link.clock.now - begin, link, stream


def asked(server):
    return sum(count for _, count in server.gets)


def test_stream_first_block_comes_with_the_description():
    for kind in SERVERS:
        took_ms, link, _ = far(kind(pattern(256)), 100)
        assert took_ms == 200 and link.subscribed == 1, took_ms  # subscribed; described and got


def test_stream_window_of_256_kib_is_out_at_once_in_four_requests():
    for block in (1_024, 4_096, 65_536):
        server = Server(pattern(block + 262_144))
        took_ms, _, _ = far(server, 100, block, 262_144)
        assert took_ms == 300, (block, took_ms)
        assert len(server.gets) == 5 and len({n for _, n in server.gets[1:]}) == 1
    server = Server(pattern(5 * 256))
    far(server, 100, window=1)
    assert [count for _, count in server.gets] == [1] * 5, "one block whatever the window"


def test_stream_asks_on_before_what_is_out_has_come():
    server = Server(pattern(40 * SECTOR))
    took_ms, _, _ = far(server, 100, rate=100)  # 10 KB a round trip: less than is out, in base64
    least_ms = sum(len(server.block(index, 256)[1]) // 100 for index in range(640))
    assert took_ms < least_ms + 310, (took_ms, least_ms)


def test_stream_that_is_late_every_time_is_asked_for_each_block_once():
    for kind in SERVERS:
        server = kind(pattern(360 * 256))
        far(server, 3_600)
        assert asked(server) == 360
    server = Server(pattern(360 * 256))
    server.describe = lambda: ()
    far(server, 3_600)
    assert 360 < asked(server) <= 360 + 3, "where nothing is known of it: the first one"


def test_stream_that_becomes_late_is_soon_given_more_time():
    server = Server(pattern(800 * 256))
    stream, image, _, _ = made(server, 256, 64 * 256)
    link = stream._link = Far(server, 100, 1 << 20)
    stream._clock = link.clock

    def fault(messages):
        if server.gets[-1][0] > 200:
            link.trip_ms = 3_600
        return messages

    server.fault = fault
    silently(lambda: run(stream.fetch(image, watch)))
    assert image.missing() == -1
    assert 800 < asked(server) <= 800 + 2 * 64, asked(server)


def test_stream_patience_is_between_1_and_10_s():
    for trip_ms, patience_ms in ((0, 1_000), (100, 1_000), (2_000, 5_000), (9_000, 10_000)):
        _, _, stream = far(Server(pattern(256)), trip_ms)
        assert patience_ms <= stream._patience_ms <= patience_ms + 1_000, trip_ms
    _, _, stream = far(Server(pattern(300 * 256)), 2_000)
    assert 2_000 < stream._patience_ms < 4_000, "it comes down where trips are alike"


def test_stream_window_shrinks_where_answers_take_long_and_only_there():
    server = Server(pattern(400 * 1_024))
    _, _, stream = far(server, 150, 1_024, 262_144, rate=13)
    assert 32 <= stream._window < 128 and asked(server) == 400, stream._window
    _, _, stream = far(Server(pattern(400 * 1_024)), 3_600, 1_024, 262_144)
    assert stream._window == 256


def test_stream_writes_nothing_before_its_description_whatever_comes_first():
    for kind in SERVERS:
        for written in (None, b"\x01"):  # an image that begins, and one that goes on
            server = kind(pattern(20 * SECTOR))
            held = []

            def late(server=server, held=held, kind=kind):
                held.extend(kind.describe(server))
                return ()

            def fault(messages, held=held):
                first, held[:] = messages + held, []
                return first

            server.describe, server.fault = late, fault
            server.description["r"] = [{"f": 0, "z": 60}]
            error, link, flash, image = failure(Fail, server, written=written)
            assert str(error) == "file size is not the stream's 60"
            assert not any(flash.erases) and len(server.gets) == 1
            server.description["r"] = [{"f": 0, "z": 20 * SECTOR}]
            fetch(server, written=None)
            if written is None:
                assert server.gets.count((0, 1)) == 3, "asked for again: it was passed over"


def test_stream_that_was_described_tells_its_version_from_then_on():
    server, versions = Server(pattern(9 * SECTOR)), []
    read = server.read

    def noted(message):
        members = read(message)
        if "f" in members:
            versions.append(members.get("s"))
        return members

    server.read = noted
    fetch(server)
    assert versions[0] is None and set(versions[1:]) == {1}


# -- what is refused -----------------------------------------------------------------------------


def test_stream_rejected_in_both_spellings_fails_with_its_code():
    for place in ("describe", "get"):
        for spelling in (("o", "m", "c"), ("code", "message", "clientToken")):
            for code, kind in (("ResourceNotFound", Fail), ("VersionMismatch", Fail),
                               ("BlockSizeOutOfBounds", Fail), ("InternalError", Retry),
                               ("RequestThrottled", Retry)):  # fmt: skip
                for served in SERVERS:
                    server = served(pattern(2 * SECTOR))

                    def answer(*_, server=server, code=code, spelling=spelling):
                        words = dict(zip(spelling, (code, "why", server.token)))
                        return server.rejected(**words)

                    if place == "describe":
                        server.describe = answer
                    else:
                        server.fault = answer
                    error, link, _, _ = failure(kind, server)
                    assert str(error) == "stream rejected: " + code + " why"


def test_stream_rejection_of_somebody_else_is_passed_over():
    server = Server(pattern(2 * SECTOR))
    server.fault = lambda m: server.rejected(o="ResourceNotFound", m="", c="theirs") + m
    fetch(server)
    other = CBORServer(pattern(2 * SECTOR))
    other.fault = lambda m: [(PREFIX + "rejected/cbor", b"\xbf\x61c")] + m
    fetch(other)
    server.fault = lambda m: [(PREFIX + "rejected/json", b"junk")] + m
    fetch(server)


def test_stream_rejection_without_a_token_counts():
    server = Server(pattern(2 * SECTOR))
    server.fault = lambda m: server.rejected(code="InvalidRequest", message="m")
    assert "InvalidRequest" in str(failure(Fail, server)[0])


def test_stream_refusal_of_any_length_is_repeated_in_part():
    for kind in SERVERS:
        server = kind(pattern(2 * SECTOR))
        server.fault = lambda m: server.rejected(code="x" * 3_000, message="y" * 3_000)
        error = failure(Fail, server)[0]
        assert len(error.reason) < 160 and len(str(error)) < 300
        server = kind(pattern(2 * SECTOR))
        server.description["r"] = [{"f": 0, "z": "x" * 300}] * 20
        assert len(failure(Fail, server)[0].values) == 8


def test_stream_of_another_size_fails_before_a_block_is_written():
    for kind in SERVERS:
        for sizes, reason in (
            ([{"f": 0, "z": 60}], "file size is not the stream's 60"),
            ([{"f": 0, "z": SECTOR}, {"f": 0, "z": SECTOR}], "file size is not the stream's"),
            ([{"f": 0}], "file size is not the stream's None"),
            ([], "stream has no file 0, but"),
            ([{"f": 1, "z": SECTOR}, {"f": 7, "z": 1}], "stream has no file 0, but 1 7"),
            ([{"f": "x"}, {}], "stream has no file 0, but"),
            ([5], "stream has no file 0, but"),
            ({}, "stream has no file 0, but"),
        ):
            server = kind(pattern(SECTOR))
            server.description["r"] = sizes
            error, _, flash, _ = failure(Fail, server)
            assert str(error).startswith(reason), (sizes, error)
            assert server.gets == [(0, 1)] and not any(flash.erases)


def test_stream_with_more_files_than_can_be_told_says_some():
    server = Server(pattern(SECTOR), file=0)
    server.description["r"] = [{"f": number, "z": 1} for number in range(1, 51)]
    error, _, _, _ = failure(Fail, server)
    assert str(error) == "stream has no file 0, but 1 2 3 4 5 6 7 8"


def test_stream_with_two_files_gives_the_one_of_the_job():
    server = Server(pattern(3 * SECTOR), file=1)
    server.description["r"] = [{"f": 0, "z": 60}, {"f": 1, "z": 3 * SECTOR}]
    other = Server(pattern(3 * SECTOR, 77), file=0)

    def both(messages):
        other.token = server.token
        return [other.block(n, SECTOR) for n in range(3)] + messages

    server.fault = both
    fetch(server)


def test_stream_description_without_a_token_is_nobodys():
    for kind in SERVERS:
        server = kind(pattern(2 * SECTOR))
        right = server.describe

        def describe(server=server, right=right, kind=kind):
            told = {"s": 9, "r": [{"f": 0, "z": 1}]}
            whole = json.dumps(told).encode() if kind is Server else encoded(told)
            return [(PREFIX + "description/" + server.form, whole)] + right()

        server.describe = describe
        fetch(server)


def test_stream_refusal_of_any_kind_of_words_fails_by_name():
    deep = "[" * 1_500 + "]" * 1_500
    for code in (deep, "{}", "17", "null", '"x"', "1e9", '["InternalError"]'):
        server = Server(pattern(2 * SECTOR))
        text = ('{"o":%s,"m":%s}' % (code, code)).encode()
        server.fault = lambda m, text=text: [(PREFIX + "rejected/json", text)]
        assert failure(Fail, server)[0].reason.startswith("stream rejected: ")


def test_stream_description_of_somebody_else_is_passed_over():
    server = Server(pattern(2 * SECTOR))
    right = server.describe

    def describe():
        theirs = b'{"c":"theirs","s":9,"r":[{"f":0,"z":1}]}'
        return [
            (PREFIX + "description/json", theirs),
            (PREFIX + "description/json", b"[]"),
        ] + right()

    server.describe = describe
    fetch(server)


def test_stream_wrong_blocks_count_nothing_and_come_again():
    wrongs = ({"c": '"theirs"'}, {"f": 9}, {"l": 5}, {"l": SECTOR - 1}, {"i": -1}, {"i": 10 ** 9},
              {"p": '"AAAA"'}, {"p": '"%s"' % ("A" * 6_000)}, {"p": "null"}, {"p": '"*"'},
              {"i": "null"}, {"c": "5"})  # fmt: skip
    for wrong in wrongs:
        for order in ("cfilp", "pcfil"):
            for at in (0, 2):
                server = Server(pattern(12 * SECTOR), order=order)
                spoilt = []

                def fault(messages, server=server, spoilt=spoilt, wrong=wrong, at=at):
                    if len(server.gets) == at + 1 and not spoilt:
                        spoilt.append(1)
                        first = server.gets[-1][0]
                        return [server.block(first, SECTOR, **wrong)] + messages[1:]
                    return messages

                server.fault = fault
                fetch(server, erases=2)
                assert spoilt


def test_stream_wrong_blocks_in_cbor_count_nothing_and_come_again():
    wrongs = ({"c": "theirs"}, {"c": 5}, {"c": b"sluice"}, {"f": 9}, {"l": 5}, {"i": -1},
              {"i": 10 ** 12}, {"i": "3"}, {"p": b""}, {"p": b"x" * 5_000}, {"p": "text"},
              {"p": {}}, {"l": {"l": SECTOR}})  # fmt: skip
    for wrong in wrongs:
        for order in ("cfilp", "pcfil"):
            server = CBORServer(pattern(12 * SECTOR), order=order)
            spoilt = []

            def fault(messages, server=server, spoilt=spoilt, wrong=wrong):
                if len(server.gets) == 3 and not spoilt:
                    spoilt.append(1)
                    return [server.block(server.gets[-1][0], SECTOR, **wrong)] + messages[1:]
                return messages

            server.fault = fault
            fetch(server, erases=2)
            assert spoilt


def test_stream_whose_bad_blocks_never_cease_fails_by_name():
    server = Server(pattern(5 * SECTOR), fault=lambda messages: ())
    stream, image, _, link = made(server)
    left = list(range(40))

    async def wait(ready, deadline_ms):
        """Never a deadline without a block just before it."""
        left.pop()
        if deadline_ms != DESCRIBED_MS:
            link.clock.now += deadline_ms
            link.bring(*server.block(0, SECTOR, p='"AAAA"'))
        else:
            link.bring(*link.inbox.pop(0))
        return ready()

    link.wait = wait
    error = silently(lambda: raised(Fail, stream.fetch, image, watch))
    assert error.reason == "bad blocks"


def test_stream_that_sends_nothing_but_bad_blocks_fails_by_name():
    for wrong in ({"p": '"AAAA"'}, {"p": '"*"'}, {"l": 5}):
        server = Server(pattern(5 * SECTOR))

        def spoil(messages, server=server, wrong=wrong):
            if len(server.gets) == 1:
                return messages
            return [server.block(server.gets[-1][0], SECTOR, **wrong)]

        server.fault = spoil
        error, link, _, image = failure(Fail, server)
        assert "bad blocks" in str(error) and image.received == SECTOR
        assert link.clock.now - 1_000 < 60_000


def unreadable(topic, payload):
    """Blocks that never get as far as their payload."""
    yield topic, b"\xef\xbb\xbf" + payload
    yield topic, b'{"' + b"k" * 300 + b'":1,' + payload[1:]
    yield topic, b"[" + payload + b"]"
    yield topic, b'{"z":' + b"[" * 400 + b"]" * 400 + b"," + payload[1:]
    yield topic, b'{"z":' + b"1" * 400 + b"," + payload[1:]
    yield topic, b"<html>" + bytes(2_000)
    yield topic, b""


def test_stream_blocks_that_never_reach_their_payload_fail_it_soon_and_by_name():
    for kind in SERVERS:
        for number in range(len(list(unreadable("", b"")))):
            for good in (0, 1):  # blocks before the bad ones
                server = kind(pattern(30 * SECTOR))

                def fault(messages, number=number, server=server, good=good):
                    if len(server.gets) <= good:
                        return messages
                    return [list(unreadable(*message))[number] for message in messages]

                server.fault = fault
                error, link, _, image = failure(Fail, server)
                assert error.reason == "bad blocks" and image.received == good * SECTOR
                assert link.clock.now - 1_000 <= 6_000, (number, link.clock.now)


def test_stream_bad_blocks_that_come_late_are_not_waited_for_twice():
    server = Server(pattern(5 * SECTOR))
    stream, image, _, link = made(server)

    async def wait(ready, deadline_ms):
        if deadline_ms != DESCRIBED_MS:  # late in the time that is waited
            link.clock.now += deadline_ms - 100
            link.bring(*server.block(0, SECTOR, p='"AAAA"'))
            link.clock.now += 100
        else:
            link.bring(*link.inbox.pop(0))
        return ready()

    link.wait = wait
    error = silently(lambda: raised(Fail, stream.fetch, image, watch))
    assert error.reason == "bad blocks" and link.clock.now - 1_000 <= 6_000


def test_stream_bad_blocks_are_logged_and_the_log_is_bounded():
    server = Server(pattern(200 * SECTOR))
    server.fault = lambda messages: [(topic, b"?") for topic, _ in messages] * 500
    stream, image, _, link = made(server)
    seen = []
    log.to(seen.append)
    try:
        raised(Fail, stream.fetch, image, watch)
    finally:
        log.to(print)
    told = [line for line in seen if "block refused" in line]
    assert 1 <= len(told) <= 12, seen


def test_stream_foreign_blocks_end_nothing_and_count_nothing():
    def check(head):
        if head != data[:80]:
            raise Fail("not an app image")

    data = pattern(10 * SECTOR + 60)
    foreign = {Server: {"c": '"theirs"'}, CBORServer: {"c": "theirs"}}
    for kind in SERVERS:
        for order in ("cfilp", "filpc", "pcfil", "piflc"):
            for block in (256, 4_096, 16_384):
                server = kind(data, order=order)
                other = kind(pattern(len(data), 99), order=order)

                def fault(messages, server=server, other=other, block=block, kind=kind):
                    theirs, first = [], server.gets[-1][0]
                    other.token = server.token
                    for index in (0, first, first + 1):
                        if index * block < len(data):
                            theirs.append(other.block(index, block, **foreign[kind]))
                    return theirs + messages + theirs

                server.fault = fault
                fetch(server, block=block, check=check, erases=200)


def test_stream_damaged_first_block_ends_nothing():
    def check(head):
        if head != data[:80]:
            raise Fail("not an app image")

    data, wrong = pattern(9 * SECTOR), pattern(9 * SECTOR, 99)
    for kind in SERVERS:
        for order in ("cfilp", "ilpfc"):
            for block in (256, 4_096, 8_192, 16_384):
                for cut in (1, 2, 40, 101):  # bytes taken from its end
                    server = kind(data, order=order)
                    other = kind(wrong, order=order)

                    def fault(messages, server=server, other=other, block=block, cut=cut):
                        other.token = server.token
                        if len(server.gets) > 1:
                            return messages
                        topic, payload = other.block(0, block)
                        return [(topic, payload[:-cut])]

                    server.fault = fault
                    fetch(server, block=block, check=check, erases=2)


def test_stream_that_brings_only_blocks_of_others_is_told_from_a_silent_one():
    server = Server(pattern(9 * SECTOR))
    stream, image, _, link = made(server)
    brought = list(range(400))

    async def wait(ready, deadline_ms):
        """Blocks of others all the time, each 90 ms after the last."""
        end = link.clock.now + deadline_ms
        if deadline_ms == DESCRIBED_MS:
            link.bring(*link.inbox.pop(0))
        while not ready() and link.clock.now < end:
            brought.pop()
            link.clock.now += 90
            link.bring(*server.block(3, SECTOR, c='"theirs"'))
        return ready()

    link.wait = wait
    error = silently(lambda: raised(Retry, stream.fetch, image, watch))
    assert str(error) == "stream is silent but for blocks of others"
    assert link.clock.now - 1_000 < 40_000 and len(server.gets) == 6


def test_stream_lost_blocks_are_asked_for_while_those_of_others_come_all_the_time():
    server = Server(pattern(9 * SECTOR))
    stream, image, flash, link = made(server)
    lost = []

    async def wait(ready, deadline_ms):
        end = link.clock.now + deadline_ms
        while not ready():
            if link.clock.now >= end:
                return False
            link.clock.now += 90
            if server.gets and len(link.inbox) and not lost and len(server.gets) >= 2:
                lost.append(link.inbox.pop(0))
            if link.inbox:
                link.bring(*link.inbox.pop(0))
            elif server.gets:
                link.bring(*server.block(3, SECTOR, c='"theirs"'))
        return True

    link.wait = wait
    silently(lambda: run(stream.fetch(image, watch)))
    assert lost and image.missing() == -1 and link.clock.now < 10_000


def test_stream_silent_after_one_bad_block_is_tried_again_later():
    server = Server(pattern(5 * SECTOR))

    def fault(messages):
        if len(server.gets) == 1:
            return messages
        return [server.block(1, SECTOR, p='"AAAA"')] if len(server.gets) == 2 else []

    server.fault = fault
    assert str(failure(Retry, server)[0]) == "stream is silent"


def test_stream_block_cut_off_counts_nothing_and_comes_again():
    for kind, order in [(kind, order) for kind in SERVERS for order in ("cfilp", "pcfil")]:
        server = kind(pattern(5 * SECTOR), order=order)

        def fault(messages, server=server):
            if len(server.gets) == 2:
                topic, payload = messages[0]
                return [(topic, payload[: len(payload) // 2])] + messages[1:]
            return messages

        server.fault = fault
        fetch(server, erases=2)


def test_stream_image_that_is_not_for_us_fails_within_one_block():
    def check(head):
        raise Fail("wrong chip", 9)

    for block in (256, 4_096, 16_384, 98_304):
        for order in ("cfilp", "pcfil"):
            server = Server(pattern(200_000), order=order)
            error, link, flash, image = failure(Fail, server, block=block, check=check)
            assert str(error) == "wrong chip 9" and not image.received
            assert server.gets == [(0, 1)] and not (block <= SECTOR and any(flash.erases))


def test_stream_heap_that_is_full_at_a_block_ends_it_so_that_room_is_made():
    def check(head):
        raise MemoryError("memory allocation failed")

    for block in (256, 4_096, 16_384):
        for order in ("cfilp", "pcfil"):
            server = Server(pattern(200_000), order=order)
            failure(MemoryError, server, block=block, check=check)
            assert server.gets == [(0, 1)]


def test_stream_flash_that_fails_ends_it_by_name():
    server = Server(pattern(9 * SECTOR))
    stream, image, flash, link = made(server)
    flash.broken = 5
    assert silently(lambda: raised(Fail, stream.fetch, image, watch)).reason == "flash"


def test_stream_tokens_are_of_one_fetch_and_within_64_bytes():
    first, second = [made(Server(pattern(SECTOR))) for _ in range(2)]
    for stream, image, _, _ in (first, second):
        run(stream.fetch(image, watch))
    tokens = [json.loads(made_of[3].sent[0][1])["c"] for made_of in (first, second)]
    assert tokens[0] != tokens[1] and all(len(token) <= 64 for token in tokens)


def test_stream_whose_topics_are_over_256_bytes_fails_by_name():
    try:
        made(Server(bytes(1)), name=STREAM + "s")
        raise AssertionError("taken")
    except Fail as error:
        assert "256 bytes" in str(error)
