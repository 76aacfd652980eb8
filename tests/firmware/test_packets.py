"""MQTT packets, made and read: every length, every split, and nothing malformed."""

from doubles import pattern, raised

from sluice import log
from sluice.errors import Retry
from sluice.net.connect import connect_packet
from sluice.net.packets import PUBLISH, Whole, packet, text
from sluice.net.reader import Reader

TOPIC = b"$aws/things/t/jobs/notify-next"


class Client:
    """What connect_packet asks of umqtt.simple's client."""

    client_id = "thing"
    user = pswd = lw_topic = lw_msg = None
    lw_qos = lw_retain = 0
    keepalive = 60


class Side:
    """Notes what a Reader makes of the bytes."""

    def __init__(self, limit=1 << 17, sink=None):
        self.packets = []
        self.messages = []
        self.sink = sink or Whole(self._on_message, limit)
        self.reader = Reader(self._on_packet, self._route)

    def _on_packet(self, kind, head, number):
        self.packets.append((kind, bytes(head[:4]), number))

    def _on_message(self, topic, payload):
        self.messages.append((topic, payload))

    def _route(self, topic):
        return None if topic == b"nobody" else self.sink

    def take(self, data, piece=1024):
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            self.reader.buffer[: len(part)] = part
            self.reader.take(len(part))
        return self


def publish(topic=TOPIC, payload=b"{}", qos=0, number=7):
    words = (text(topic), number.to_bytes(2, "big") if qos else b"", payload)
    return packet(PUBLISH | qos << 1, *words)


def quietly(function, *words):
    """Call with the log kept; gives (result, lines)."""
    lines = []
    log.to(lines.append)
    try:
        return function(*words), lines
    finally:
        log.to(print)


def test_packet_remaining_length_takes_one_to_four_bytes():
    for size, length in (
        (0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
    ):  # fmt: skip
        made = packet(0x30, bytes(size))
        assert made[: 1 + len(length)] == b"\x30" + length
        assert len(made) == 1 + len(length) + size


def test_packet_text_has_its_length_before_it():
    assert text("abc") == b"\x00\x03abc" and text(b"") == b"\x00\x00"
    assert text("ü") == b"\x00\x02\xc3\xbc"
    assert text("x" * 300)[:2] == b"\x01\x2c"


def test_packet_connect_carries_the_clients_fields():
    client = Client()
    assert connect_packet(client, True) == b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05thing"
    assert connect_packet(client, False)[9] == 0
    client.user, client.pswd = "u", "p"
    made = connect_packet(client, True)
    assert made[9] == 0xC2 and made.endswith(b"\x00\x05thing\x00\x01u\x00\x01p")
    client.lw_topic, client.lw_msg, client.lw_qos, client.lw_retain = "w", b"m", 1, True
    made = connect_packet(client, True)
    assert made[9] == 0xEE and made.endswith(b"\x00\x01w\x00\x01m\x00\x01u\x00\x01p")


def test_packet_connect_with_a_name_of_128_characters_is_whole():
    client = Client()
    client.client_id = "n" * 128
    made = connect_packet(client, True)
    assert made[:3] == b"\x10\x8c\x01" and len(made) == 3 + 140


def test_reader_takes_every_split_alike():
    stream = (
        packet(0x20, b"\x00\x00") + publish(qos=1) + packet(0x90, b"\x00\x05\x01")
        + publish(payload=pattern(300)) + packet(0xD0) + packet(0x40, b"\x01\x02")
        + publish(payload=b"") + publish(b"nobody", b"secret", 1, 9) + packet(0xB0, b"\x00\x06")
    )  # fmt: skip
    packets = [(0x20, 0), (PUBLISH, 7), (0x90, 5), (0xD0, None), (0x40, 0x102)]
    packets += [(PUBLISH, 9), (0xB0, 6)]
    messages = [(TOPIC, b"{}"), (TOPIC, bytes(pattern(300))), (TOPIC, b"")]
    for piece in list(range(1, 60)) + [1024]:
        side = Side().take(stream, piece)
        seen = [(kind, None if kind == 0xD0 else number) for kind, _, number in side.packets]
        assert seen == packets, piece
        assert side.messages == messages, piece


def test_reader_payload_lengths_of_one_to_four_bytes_are_read():
    for size in (0, 1, 90, 95, 96, 97, 16_000, 16_384, 65_536, 131_072):
        counter = Counter()
        side = Side(sink=counter)
        part = bytearray(b"\x41" * 1_024)
        side.take(publish(payload=b"")[:0] + header(size))
        for _ in range(size // 1_024):
            side.take(part)
        side.take(part[: size % 1_024])
        assert counter.seen == [("begin", size), ("end", size)], size


class Counter:
    """A sink that counts what it is fed."""

    def __init__(self, fails=None):
        self.seen = []
        self.size = 0
        self.fails = fails

    def _maybe(self, where):
        if where == self.fails:
            raise MemoryError

    def begin(self, topic, size):
        self.size = 0
        self.seen.append(("begin", size))
        self._maybe("begin")
        return True

    def feed(self, buf, at, end):
        self.size += end - at
        self._maybe("feed")

    def end(self):
        self.seen.append(("end", self.size))
        self._maybe("end")


def header(size, topic=TOPIC):
    """A PUBLISH up to its payload of that size."""
    remaining, length = 2 + len(topic) + size, bytearray()
    while remaining > 0x7F:
        length.append(remaining & 0x7F | 0x80)
        remaining >>= 7
    length.append(remaining)
    return bytes((PUBLISH,)) + length + text(topic)


def test_reader_remaining_length_in_more_bytes_than_needed_is_read():
    assert Side().take(b"\xd0\x80\x80\x80\x00").packets[0][0] == 0xD0


def test_reader_malformed_packets_are_refused():
    cases = (
        b"\x30\xff\xff\xff\xff\x01",  # five bytes of length
        b"\x30\xff\xff\xff\x80",
        b"\x34\x08\x00\x01t\x00\x01xyz",  # QoS 2
        b"\x36\x08\x00\x01t\x00\x01xyz",  # QoS 3
        b"\x30\x01\x00",  # no room for a topic
        b"\x30\x00",
        b"\x30\x02\x00\x00",  # empty topic
        b"\x30\x03\x00\x02t",  # topic longer than the packet
        b"\x32\x04\x00\x01t\x00",  # packet id cut off
        b"\x30\xff\x7f\x01\x01" + b"t" * 257,  # topic of 257 bytes
        b"\x20\x00",  # CONNACK without its code
        b"\x20\x01\x00",
        b"\x40\x01\x00",  # PUBACK with half an id
        b"\x90\x02\x00\x01",  # SUBACK without its code
        b"\xb0\x00",
        b"\x90\xff\x7f" + bytes(300),  # an answer longer than any
        b"\x41\x02\x00\x01",  # flags that no PUBACK has
        b"\x10\x02\x00\x01",  # CONNECT, from a broker
        b"\xe0\x00",
        b"\xf0\x00",
        b"\x00\x00",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",  # a TLS alert
    )
    for data in cases:
        for piece in (1, 1024):
            raised(Retry, Side().take, data, piece)


def test_reader_topic_of_256_bytes_is_read():
    topic = b"t" * 256
    assert Side().take(publish(topic, b"x", 1, 0xFFFF), 100).messages == [(topic, b"x")]


def test_reader_payload_of_qos_1_is_acknowledged_after_its_handler():
    order = []
    side = Side(sink=Whole(lambda topic, payload: order.append("handled"), 100))
    side._on_packet = None
    side.reader = Reader(lambda kind, head, number: order.append(number), side._route)
    side.take(publish(qos=1, number=513))
    assert order == ["handled", 513]


def test_payload_that_the_heap_has_no_room_for_is_as_one_that_is_too_large():
    came = []
    sink = Whole(lambda topic, payload: came.append((topic, payload)), 1 << 24)
    log.to(lambda line: None)
    try:
        assert sink.begin(b"t", 1 << 23)
        sink.feed(bytearray(4), 0, 4)
        sink.end()
    finally:
        log.to(print)
    assert came == [(b"t", None)]


def test_reader_payload_nobody_wants_is_passed_over_and_still_acknowledged():
    side = Side().take(publish(b"nobody", pattern(3_000), 1, 5) + publish())
    assert [number for _, _, number in side.packets] == [5]
    assert side.messages == [(TOPIC, b"{}")]


def test_reader_payload_over_the_limit_is_drained_and_the_handler_told():
    side = Side(limit=100).take(publish(payload=pattern(5_000), qos=1) + publish(), 700)
    assert side.messages == [(TOPIC, None), (TOPIC, b"{}")]
    assert [number for _, _, number in side.packets] == [7]


def test_reader_sink_that_says_no_is_not_fed():
    class No(Counter):
        def begin(self, topic, size):
            Counter.begin(self, topic, size)
            return False

    sink = No()
    side = Side(sink=sink).take(publish(payload=pattern(3_000), qos=1))
    assert sink.seen == [("begin", 3_000)] and sink.size == 0
    assert len(side.packets) == 1


def test_reader_sink_that_fails_anywhere_ends_no_session():
    for place in ("begin", "feed", "end"):
        sink = Counter(place)
        side = Side(sink=sink)
        _, lines = quietly(side.take, publish(payload=pattern(3_000), qos=1) + packet(0xD0))
        assert [kind for kind, _, _ in side.packets] == [PUBLISH, 0xD0], place
        assert len(lines) == 1 and "MemoryError" in lines[0]
        assert sink.size <= 3_000 and (place == "end") == (sink.seen[-1][0] == "end")


def test_reader_interrupt_in_a_handler_is_not_swallowed():
    class Stop(Counter):
        def end(self):
            raise KeyboardInterrupt

    raised(KeyboardInterrupt, Side(sink=Stop()).take, publish())


def test_reader_connection_lost_inside_a_publish_never_runs_the_handler():
    whole = publish(payload=pattern(200), qos=1)
    for cut in range(1, len(whole)):
        side = Side().take(whole[:cut])
        side.reader.reset()
        side.take(publish(payload=b"next"))
        assert side.messages == [(TOPIC, b"next")], cut
        assert not side.packets, cut
