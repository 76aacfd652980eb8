"""The link: one session over a transport that gives and takes any number of bytes, or none."""

import asyncio
import gc
import io
import sys
from time import ticks_add, ticks_diff, ticks_ms

from doubles import Clock, pattern, raised, run

from sluice import log
from sluice.errors import Retry
from sluice.loading import plug_in
from sluice.net import mqtt
from sluice.net.mqtt import Link
from sluice.net.packets import PUBLISH, packet, text

DIFFERS = True  # asyncio

HEAP = "1m"
THING = "t" * 128
JOB = "j" * 64


class Socket(io.IOBase):
    """A transport: gives `incoming`, piece by piece; `room` limits what each write takes."""

    def __init__(self, broker):
        self.broker = broker
        self.incoming = []  # bytes, None for "nothing now", or an error to raise
        self.room = []  # bytes that the next writes take: 0 or None would block
        self.out = bytearray()
        self.closed = False

    def readinto(self, buf):
        if not self.incoming:
            return None
        piece = self.incoming.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            return None
        size = min(len(buf), len(piece))
        buf[:size] = piece[:size]
        if piece[size:]:
            self.incoming.insert(0, piece[size:])
        return size

    def write(self, data):
        size = self.room.pop(0) if self.room else len(data)
        if isinstance(size, Exception):
            raise size
        if not size:
            return size
        self.out.extend(data[:size])
        self.broker.read(self)
        return min(size, len(data))

    def ioctl(self, request, argument):
        return 1 if request == 3 and self.incoming else 0

    def close(self):
        self.closed = True


def asked(body):
    """How many topic filters a SUBSCRIBE names."""
    at, count = 2, 0
    while at < len(body):
        at += 3 + (body[at] << 8 | body[at + 1])
        count += 1
    return count


class Broker:
    """Answers packets; `answers` holds what to say to each kind of packet, or None for nothing."""

    def __init__(self):
        self.packets = []  # (kind, body) of all sessions
        self.answers = {
            0x10: lambda body: packet(0x20, b"\x00\x00"),
            0x80: lambda body: packet(0x90, body[:2], b"\x01" * asked(body)),
            0xA0: lambda body: packet(0xB0, body[:2]),
            0x30: self.puback,
            0xC0: lambda body: packet(0xD0),
        }
        self.acknowledges = True

    def puback(self, body):
        size = 2 + (body[0] << 8 | body[1])
        if self.acknowledges and self.packets[-1][0] & 6:
            return packet(0x40, body[size : size + 2])
        return None

    def read(self, socket):
        """Take whole packets from what the device wrote."""
        while len(socket.out) > 1:
            size, shift, at = 0, 0, 1
            while True:
                if at >= len(socket.out):
                    return
                byte = socket.out[at]
                size |= (byte & 0x7F) << shift
                shift += 7
                at += 1
                if not byte & 0x80:
                    break
            if len(socket.out) < at + size:
                return
            kind, body = socket.out[0], bytes(socket.out[at : at + size])
            socket.out = socket.out[at + size :]
            self.packets.append((kind, body))
            answer = self.answers.get(kind & 0xF0)
            reply = answer(body) if answer else None
            if reply:
                socket.incoming.append(reply)

    def kinds(self):
        return [kind for kind, _ in self.packets]


class Server:
    """Where the link dials: every connection is a new double in front of one broker."""

    def __init__(self, broker):
        self.broker = broker
        self.sockets = []


async def dial(server, port, context, clock):
    server.sockets.append(Socket(server.broker))
    return server.sockets[-1], server.sockets[-1]


def plugged(path, name):
    """The real thing, but it dials the double."""
    found = plug_in(path, name)
    if path == "sluice.net.connect":
        sys.modules[path].dial = dial
    return found


mqtt.plug_in = plugged


class Waiting(Clock):
    """A clock that lets others act, or run, while somebody waits."""

    def __init__(self):
        super().__init__()
        self.meanwhile = lambda: None  # called whenever somebody waits
        self.stops = False  # waiting gives up the processor

    async def sleep_ms(self, ms):
        self.now += max(ms, 1)
        self.meanwhile()
        if self.stops:
            await _pause()


class Wired(Link):
    """A Link over the double."""

    def __init__(self, broker, keepalive=60):
        server = Server(broker)
        super().__init__(THING, server, 8883, None, keepalive, Waiting())
        self.sockets = server.sockets


def _pause():
    yield


def linked(**words):
    """(link, socket, broker), connected."""
    broker = Broker()
    link = Wired(broker, **words)
    quiet(lambda: run(link.connect()))
    return link, link.sock, broker


def quiet(act):
    log.level("E")
    try:
        return act()
    finally:
        log.level("I")


def test_link_that_is_held_reads_nothing_and_keeps_alive():
    link, sock, broker = linked()
    found = collect(link, "a")
    held = [True]
    link.held = lambda: held[0]
    sock.incoming.append(publish("a", b"one"))
    for _ in range(5):
        link.turn()
    assert not found
    link._clock.now += 40_000
    link.turn()
    assert link.pinged is not None
    held[0] = False
    link.turn()
    assert len(found) == 1


def publish(topic, payload, qos=0, number=1):
    words = (text(topic), number.to_bytes(2, "big") if qos else b"", payload)
    return packet(PUBLISH | qos << 1, *words)


def collect(link, *filters, **words):
    """A list that the messages of those filters go to."""
    found = []
    for pattern_ in filters:
        run(
            link.subscribe(
                pattern_, lambda topic, payload: found.append((topic, payload)), **words
            )
        )
    return found


def turn(link):
    """Turn the crank until nothing comes any more."""
    while link.turn():
        pass


# -- the session ---------------------------------------------------------------------------------


def test_link_connects_with_a_clean_session_and_its_name():
    link, sock, broker = linked()
    assert link.linked
    assert broker.packets == [(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x80" + THING.encode())]


def test_link_refused_says_why_and_is_closed():
    for code, reason in ((1, "protocol version"), (2, "client id"), (3, "server unavailable"),
                         (4, "user name"), (5, "not authorised"), (7, "not authorised"),
                         (99, "99")):  # fmt: skip
        broker = Broker()
        broker.answers[0x10] = lambda body, code=code: packet(0x20, bytes((0, code)))
        link = Wired(broker)
        assert str(raised(Retry, link.connect)) == "refused: " + reason
        assert not link.linked and link.sockets[0].closed


def test_link_without_an_answer_gives_up_after_15_s():
    broker = Broker()
    broker.answers = {}
    link = Wired(broker)
    assert str(raised(Retry, link.connect)) == "no CONNACK"
    assert 15_000 <= link._clock.now - 1_000 < 16_100 and link.sockets[0].closed


def test_link_closed_by_the_broker_while_connecting_is_closed_here():
    broker = Broker()
    link = Wired(broker)
    broker.answers[0x10] = lambda body: link.sock.incoming.append(b"")
    raised(Retry, link.connect)
    assert link.sockets[0].closed and not link.linked


def test_link_not_connected_says_so():
    link = Wired(Broker())
    for act in (
        lambda: link.publish("a", b"b"),
        lambda: link.deliver("a", b"b"),
        lambda: link.subscribe("a", print),
        lambda: link.wait(lambda: False, 10),
        link.turn,
    ):
        assert str(raised(Retry, act)) == "not linked"
    link.unsubscribe("a")
    link.disconnect()
    link.close()


def test_link_disconnect_says_goodbye():
    link, sock, broker = linked()
    link.disconnect()
    assert broker.packets[-1] == (0xE0, b"") and sock.closed and not link.linked


def test_link_disconnect_of_a_stuck_session_closes_it_all_the_same():
    link, sock, broker = linked()
    sock.room = [None] * 10
    link.publish("a", bytes(10))
    for _ in range(4):
        link.publish("a", bytes(4_000))
    quiet(lambda: raised(Retry, lambda: link.publish("a", bytes(4_000))))
    try:
        link.disconnect()
    except Retry:
        pass
    assert sock.closed and not link.linked


def test_link_reconnected_subscribes_to_all_there_was():
    link, sock, broker = linked()
    collect(link, "a/+", "b/#")
    run(link.subscribe("c", print, 1))
    link.unsubscribe("b/#")
    link.close()
    broker.packets.clear()
    quiet(lambda: run(link.connect()))
    asked = sorted(body[4:] for kind, body in broker.packets if kind == 0x82)
    assert asked == [b"a/+\x00", b"c\x01"]


def test_link_reconnected_starts_clean():
    link, sock, broker = linked()
    found = collect(link, "a")
    sock.incoming.append(publish("a", b"half a message")[:9])
    turn(link)
    sock.room = [3, None, None]
    link.publish("x", b"half sent")
    link.publish("y", b"not sent at all")
    link.close()
    broker.packets.clear()
    quiet(lambda: run(link.connect()))
    assert broker.kinds() == [0x10, 0x82]
    link.sock.incoming.append(publish("a", b"whole"))
    turn(link)
    assert found == [(b"a", b"whole")]


# -- subscribing ---------------------------------------------------------------------------------


def test_subscribe_with_the_longest_names_goes_out_whole():
    link, sock, broker = linked()
    topic = "$aws/things/%s/jobs/%s/update/accepted" % (THING, JOB)
    found = collect(link, topic, qos=1)
    kind, body = broker.packets[-1]
    assert kind == 0x82 and len(body) > 127
    assert body[2:] == text(topic) + b"\x01"
    sock.incoming.append(publish(topic, b"{}"))
    turn(link)
    assert found == [(topic.encode(), b"{}")]


def test_subscribe_refused_says_so_and_is_not_tried_again():
    link, sock, broker = linked()
    broker.answers[0x80] = lambda body: packet(0x90, body[:2], b"\x80")
    assert str(raised(Retry, link.subscribe, "secret", print)) == "subscription refused secret"
    assert link.linked
    link.close()
    broker.packets.clear()
    quiet(lambda: run(link.connect()))
    assert broker.kinds() == [0x10]


def test_subscribe_to_several_topics_is_one_packet_with_one_answer():
    link, sock, broker = linked()
    found = []
    hear = lambda topic, payload: found.append((topic, payload))  # noqa: E731
    broker.answers[0x80] = lambda body: packet(0x90, body[:2], b"\x00\x00\x00")
    run(link.subscribe({"a": hear, "b/+": hear, "c": hear}))
    kind, body = broker.packets[-1]
    assert broker.kinds() == [0x10, 0x82]
    assert len(body) == 16 and all(text(topic) + b"\0" in body for topic in ("a", "b/+", "c"))
    for topic in ("a", "b/x", "c"):
        sock.incoming.append(publish(topic, b"1"))
    turn(link)
    assert found == [(b"a", b"1"), (b"b/x", b"1"), (b"c", b"1")]


def test_subscribe_to_several_topics_of_which_one_is_refused_says_which():
    for refused in range(3):
        link, sock, broker = linked()
        topics = {"a": print, "b": print, "c": print}
        codes = bytes([0x80 if at == refused else 0 for at in range(3)])
        broker.answers[0x80] = lambda body, codes=codes: packet(0x90, body[:2], codes)
        name = list(topics)[refused]
        error = raised(Retry, link.subscribe, topics)
        assert str(error) == "subscription refused " + name
        link.close()
        broker.packets.clear()
        broker.answers[0x80] = lambda body: packet(0x90, body[:2], b"\x00")
        quiet(lambda link=link: run(link.connect()))
        assert broker.kinds() == [0x10, 0x82, 0x82], "the others stay subscribed"


def test_subscribe_answered_with_another_number_of_codes_is_no_grant():
    for codes in (b"\x00", b"\x00\x00", b"\x00" * 4, b"\x00" * 9):
        link, sock, broker = linked()
        broker.answers[0x80] = lambda body, codes=codes: packet(0x90, body[:2], codes)
        error = raised(Retry, link.subscribe, {"a": print, "b": print, "c": print})
        assert str(error) == "malformed packet 144", (codes, error)


def test_subscribe_refused_after_a_reconnect_leaves_the_others_their_session():
    link, sock, broker = linked()
    found = collect(link, "a", "b")
    link.close()
    refused = lambda body: b"\x80" if body[4:5] == b"a" else b"\x00"  # noqa: E731
    broker.answers[0x80] = lambda body: packet(0x90, body[:2], refused(body))
    lines = []
    log.to(lines.append)
    try:
        run(link.connect())
    finally:
        log.to(print)
    assert link.linked and any("subscription refused a" in line for line in lines)
    link.sock.incoming.append(publish("b", b"1"))
    turn(link)
    assert found == [(b"b", b"1")]


def test_subscribe_unanswered_gives_up_after_15_s():
    link, sock, broker = linked()
    broker.answers[0x80] = None
    start = link._clock.now
    assert str(raised(Retry, link.subscribe, "a", print)) == "no SUBACK"
    assert 15_000 <= link._clock.now - start < 16_100


def test_subscribe_without_an_answer_is_said_again_with_its_id():
    link, sock, broker = linked()
    answer, broker.answers[0x80] = broker.answers[0x80], None
    broker.packets.clear()

    def meanwhile():
        if broker.kinds().count(0x82) == 2:
            broker.answers[0x80] = answer

    link._clock.meanwhile = meanwhile
    run(link.subscribe("a", print))
    said = [body for kind, body in broker.packets if kind == 0x82]
    assert len(said) == 3 and len(set(said)) == 1


def test_subscribe_answered_to_another_id_is_not_answered():
    link, sock, broker = linked()
    broker.answers[0x80] = lambda body: packet(0x90, b"\xff\xfe\x00")
    assert str(raised(Retry, link.subscribe, "a", print)) == "no SUBACK"


def test_subscribe_overtaken_by_a_reconnect_ends_in_retry():
    link, sock, broker = linked()
    broker.answers[0x80] = None
    link._clock.stops = True
    waiting = link.subscribe("a", print)
    waiting.send(None)
    link._clock.stops = False
    link._routes.clear()
    quiet(lambda: run(link.connect()))
    assert str(raised(Retry, lambda: waiting)) == "no SUBACK"


def test_unsubscribe_tells_the_broker_and_stops_the_handler():
    link, sock, broker = linked()
    found = collect(link, "a")
    link.unsubscribe("a")
    assert broker.packets[-1][0] == 0xA2 and broker.packets[-1][1][2:] == text("a")
    sock.incoming.append(publish("a", b"late"))
    turn(link)
    assert found == []


# -- messages that come --------------------------------------------------------------------------


def test_message_in_any_pieces_reaches_its_handler():
    stream = publish("a", pattern(300)) + publish("a", b"") + publish("b", b"nobody's")
    for piece in (1, 2, 7, 100, 1_024):
        link, sock, broker = linked()
        found = collect(link, "a")
        for at in range(0, len(stream), piece):
            sock.incoming += [stream[at : at + piece], None]
        while sock.incoming:
            link.turn()
        assert found == [(b"a", bytes(pattern(300))), (b"a", b"")], piece


def test_message_of_two_filters_goes_to_the_longer_one():
    link, sock, broker = linked()
    everything, own = collect(link, "#"), collect(link, "a/b/+")
    sock.incoming += [publish("a/b/c", b"1"), publish("other", b"2")]
    turn(link)
    assert own == [(b"a/b/c", b"1")]
    assert everything == [(b"other", b"2")]


def test_message_of_qos_1_is_acknowledged_after_its_handler():
    link, sock, broker = linked()
    seen = []
    run(link.subscribe("a", lambda topic, payload: seen.append(broker.kinds().count(0x40))))
    sock.incoming.append(publish("a", b"x", 1, 0x1234) + publish("a", b"x", 1, 0x1234))
    turn(link)
    assert seen == [0, 1]
    assert [body for kind, body in broker.packets if kind == 0x40] == [b"\x12\x34"] * 2


def test_message_over_the_limit_is_drained_and_its_handler_told():
    link, sock, broker = linked()
    found = collect(link, "a", limit=100)
    sock.incoming.append(publish("a", pattern(50_000), 1, 5) + publish("a", b"next"))
    turn(link)
    assert found == [(b"a", None), (b"a", b"next")]
    assert (0x40, b"\x00\x05") in broker.packets


def test_message_over_8_kib_needs_a_limit_of_its_own():
    link, sock, broker = linked()
    found = collect(link, "a")
    sock.incoming += [publish("a", bytes(8_192)), publish("a", bytes(8_193))]
    turn(link)
    assert [payload and len(payload) for _, payload in found] == [8_192, None]


def test_handler_that_fails_ends_no_session():
    for error in (MemoryError, ValueError, KeyError):

        def handler(topic, payload, error=error):
            raise error("of the application")

        link, sock, broker = linked()
        lines = []
        log.to(lines.append)
        try:
            run(link.subscribe("a", handler))
            found = collect(link, "b")
            sock.incoming.append(publish("a", b"x", 1, 9) + publish("b", b"y"))
            turn(link)
        finally:
            log.to(print)
        assert found == [(b"b", b"y")] and link.linked
        assert (0x40, b"\x00\x09") in broker.packets and len(lines) == 1


def test_handler_may_publish_and_unsubscribe():
    link, sock, broker = linked()

    def handler(topic, payload):
        link.publish("reply", payload)
        link.unsubscribe("a")

    run(link.subscribe("a", handler))
    sock.incoming.append(publish("a", b"x", 1, 9) + publish("a", b"y"))
    turn(link)
    assert [kind for kind, _ in broker.packets[2:]] == [0x30, 0xA2, 0x40]


def test_handler_that_meets_a_broken_transport_ends_in_retry():
    link, sock, broker = linked()
    run(link.subscribe("a", lambda topic, payload: link.publish("reply", payload)))
    sock.room = [OSError(104)]
    sock.incoming += [publish("a", b"x"), publish("a", b"y")]
    quiet(lambda: raised(Retry, link.wait, lambda: False, 1_000))
    assert not link.linked and sock.closed


def test_handler_that_closes_the_link_ends_in_retry():
    link, sock, broker = linked()
    run(link.subscribe("a", lambda topic, payload: link.close()))
    sock.incoming += [publish("a", b"x", 1, 1), publish("a", b"y")]
    quiet(lambda: raised(Retry, link.wait, lambda: False, 1_000))
    assert sock.closed


def test_connection_closed_inside_a_message_never_runs_its_handler():
    whole = publish("a", b"x" * 40, 1, 7)
    for cut in range(1, len(whole), 5):
        link, sock, broker = linked()
        found = collect(link, "a")
        sock.incoming += [whole[:cut], b""]
        assert str(raised(Retry, lambda: turn(link))) == "the broker closed the connection"  # noqa: B023
        assert found == [] and sock.closed and not link.linked


def test_malformed_packet_ends_the_session():
    link, sock, broker = linked()
    sock.incoming.append(b"\x36\x00")
    raised(Retry, lambda: turn(link))
    assert sock.closed and not link.linked


def test_transport_errors_end_in_retry():
    for error in (OSError(104), OSError(-28_800, "MBEDTLS_ERR"), ValueError("closed")):
        link, sock, broker = linked()
        sock.incoming.append(error)
        quiet(lambda: raised(Retry, lambda: turn(link)))  # noqa: B023
        assert sock.closed and not link.linked
        link, sock, broker = linked()
        sock.room = [error]
        quiet(lambda: raised(Retry, lambda: link.publish("a", b"x")))  # noqa: B023
        assert sock.closed and not link.linked


# -- messages that go ----------------------------------------------------------------------------


def test_publish_goes_out_as_it_should():
    link, sock, broker = linked()
    link.publish("a/b", b"x")
    link.publish(b"a/b", "text", retain=True)
    link.publish("a/b", bytearray(b"y"), qos=1)
    kinds = [(kind, body[5:]) for kind, body in broker.packets[1:]]
    assert kinds[:2] == [(0x30, b"x"), (0x31, b"text")]
    assert kinds[2][0] == 0x32 and kinds[2][1][2:] == b"y"


def test_publish_with_the_longest_names_goes_out_whole():
    link, sock, broker = linked()
    topic = "$aws/things/%s/jobs/%s/update" % (THING, JOB)
    for size in (0, 100, 5_000):
        link.publish(topic, bytes(size), qos=1)
        assert len(broker.packets[-1][1]) == 2 + len(topic) + 2 + size


def test_publish_of_qos_2_is_an_error():
    link, sock, broker = linked()
    raised(ValueError, lambda: link.publish("a", b"x", qos=2))


def test_deliver_waits_for_its_own_puback():
    link, sock, broker = linked()
    run(link.deliver("a", b"x"))
    broker.acknowledges = False
    sock.incoming.append(packet(0x40, b"\xff\xfe"))
    start = link._clock.now
    assert str(raised(Retry, link.deliver, "a", b"x")) == "no PUBACK"
    assert 15_000 <= link._clock.now - start < 16_100


def test_deliver_without_a_puback_says_it_again_with_its_id_and_as_a_duplicate():
    link, sock, broker = linked()
    broker.acknowledges = False
    broker.packets.clear()

    def meanwhile():
        broker.acknowledges = len(broker.packets) == 2

    link._clock.meanwhile = meanwhile
    run(link.deliver("a", b"x"))
    assert broker.kinds() == [0x32, 0x3A, 0x3A]
    assert len({body for _, body in broker.packets}) == 1
    assert link.linked and len(link.sockets) == 1


def test_deliver_overtaken_by_a_reconnect_ends_in_retry():
    link, sock, broker = linked()
    broker.acknowledges = False
    link._clock.stops = True
    waiting = link.deliver("a", b"x")
    waiting.send(None)
    link._clock.stops = False
    quiet(lambda: run(link.connect()))
    assert str(raised(Retry, lambda: waiting)) == "no PUBACK"


def test_packet_ids_wrap_and_pass_over_those_in_use():
    link, sock, broker = linked()
    link.pid = 65_533
    ids = []
    for _ in range(4):
        run(link.deliver("a", b"x"))
        ids.append(broker.packets[-1][1][3:5])
    assert ids == [b"\xff\xfe", b"\xff\xff", b"\x00\x01", b"\x00\x02"]
    broker.acknowledges = False
    link._clock.stops = True
    waiting = link.deliver("a", b"x")
    waiting.send(None)
    busy = broker.packets[-1][1][3:5]
    link.pid = (busy[0] << 8 | busy[1]) - 1
    link.publish("a", b"y", qos=1)
    assert broker.packets[-1][1][3:5] != busy
    waiting.close()


def test_packet_ids_of_publishes_nobody_acknowledges_take_no_memory():
    link, sock, broker = linked()
    broker.acknowledges = False
    used = []
    for _ in range(3):
        for _ in range(300):
            link.publish("a", b"x", qos=1)
        broker.packets.clear()
        gc.collect()
        used.append(gc.mem_alloc())
    assert used[2] - used[1] < 1_000, used


def test_write_taken_a_few_bytes_at_a_time_arrives_in_order():
    link, sock, broker = linked()
    sock.room = [3, 0, 1, None, 2, 0] * 4
    for number in range(4):
        link.publish("a", b"%d" % number * 30)
    for _ in range(40):
        turn(link)
    assert [body[3:] for kind, body in broker.packets[1:]] == [b"%d" % n * 30 for n in range(4)]


def test_write_that_blocks_in_a_packet_is_repeated_as_it_was():
    link, sock, broker = linked()
    offered = []

    class Strict(Socket):
        def write(self, data):
            offered.append(bytes(data))
            return Socket.write(self, data)

    link.sock = Strict(broker)
    link.sock.room = [5, None, None, None]
    link.publish("a", b"first")
    link.publish("b", b"second")
    turn(link)
    rest = packet(PUBLISH, text("a"), b"first")[5:]
    assert offered[1] == rest and offered[2] == rest
    turn(link)
    turn(link)
    assert [body for _, body in broker.packets[1:]] == [
        text("a") + b"first",
        text("b") + b"second",
    ]


def test_backlog_over_16_kib_is_refused_and_the_session_goes_on():
    link, sock, broker = linked()
    sock.room = [None] * 3
    link.publish("a", bytes(10))
    for _ in range(4):
        link.publish("a", bytes(4_000))
    assert str(raised(Retry, lambda: link.publish("a", bytes(4_000)))) == "too much to send"
    sock.room = []
    turn(link)
    assert len(broker.packets) == 1 + 5


# -- keeping alive -------------------------------------------------------------------------------


def test_silence_of_half_the_keep_alive_time_is_pinged():
    link, sock, broker = linked(keepalive=60)
    run(link.wait(lambda: False, 29_000))
    assert 0xC0 not in broker.kinds()
    run(link.wait(lambda: False, 4_000))
    assert broker.kinds().count(0xC0) == 1
    run(link.wait(lambda: False, 120_000))
    assert 4 <= broker.kinds().count(0xC0) <= 5 and link.linked


def test_device_that_only_listens_is_heard_of_in_time():
    link, sock, broker = linked(keepalive=60)
    collect(link, "a")

    def meanwhile():
        link._clock.now += 500
        sock.incoming.append(publish("a", b"x"))

    link._clock.meanwhile = meanwhile
    run(link.wait(lambda: False, 100_000))
    assert broker.kinds().count(0xC0) >= 2


def test_ping_unanswered_for_15_s_ends_the_session():
    link, sock, broker = linked(keepalive=60)
    broker.answers[0xC0] = None
    start = link._clock.now
    assert str(raised(Retry, link.wait, lambda: False, 600_000)) == "no PINGRESP"
    assert 45_000 <= link._clock.now - start <= 48_000
    assert sock.closed and not link.linked


def test_session_without_keep_alive_is_never_pinged():
    link, sock, broker = linked(keepalive=0)
    run(link.wait(lambda: False, 300_000))
    assert broker.kinds() == [0x10]


# -- the crank -----------------------------------------------------------------------------------


def test_wait_ends_when_it_is_ready_or_too_late():
    link, sock, broker = linked()
    assert run(link.wait(lambda: True, 0))
    start = link._clock.now
    assert run(link.wait(lambda: False, 2_500)) is False
    assert link._clock.now - start == 2_500


def finished(coroutine):
    """What a coroutine returns that gives up the processor now and then."""
    for _ in range(100):
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
    raise AssertionError("it does not end")


def test_turn_ends_behind_a_packet_that_took_its_time_and_goes_on_there():
    link, sock, broker = linked()
    seen = []

    def slow(topic, payload):
        seen.append(bytes(payload))
        link._clock.now += 7

    run(link.subscribe("t", slow))
    link.turn()
    messages = [b"%03d" % number for number in range(100)]
    sock.incoming = [b"".join(packet(PUBLISH, text("t"), one) for one in messages)]
    turns = []
    while link.turn():
        turns.append(len(seen))
        assert len(turns) <= 100
    assert seen == messages
    assert turns[:3] == [3, 6, 9] and len(turns) == 34, turns


def test_turn_reads_no_more_than_eight_times_and_no_longer_than_20_ms():
    for each_ms, reads in ((0, 8), (7, 3), (50, 1)):
        link, sock, broker = linked()

        class Sink:
            def begin(self, topic, size):
                return True

            def feed(self, buf, at, end, link=link, each_ms=each_ms):
                link._clock.now += each_ms

            def end(self):
                pass

        run(link.subscribe("t", Sink()))
        link.turn()
        size = len(link._reader.room())
        sock.incoming = [packet(PUBLISH, text("t"), bytes(20 * size))]
        before = len(sock.incoming[0])
        assert link.turn()
        assert size >= 1_024 and before - len(sock.incoming[0]) == reads * size


def test_connection_begun_anew_forgets_what_was_left_of_the_one_before():
    link, sock, broker = linked()
    seen = []

    def slow(topic, payload):
        seen.append(1)
        link._clock.now += 30

    run(link.subscribe("t", slow))
    link.turn()
    sock.incoming = [packet(PUBLISH, text("t"), b"1") * 5]
    link.turn()
    assert seen == [1]
    quiet(lambda: run(link.connect()))
    while link.turn():
        pass
    assert seen == [1]


def test_wait_turned_by_two_gives_each_its_own():
    link, sock, broker = linked()
    found = collect(link, "a", "b")
    link._clock.stops = True
    first = link.wait(lambda: (b"a", b"1") in found, 60_000)
    second = link.wait(lambda: (b"b", b"2") in found, 60_000)
    first.send(None)
    second.send(None)
    sock.incoming.append(publish("b", b"2")[:4])
    first.send(None)
    sock.incoming.append(publish("b", b"2")[4:])
    assert finished(second)
    sock.incoming.append(publish("a", b"1"))
    assert finished(first)
    assert found == [(b"b", b"2"), (b"a", b"1")]


def test_wait_of_another_sees_the_loss_of_the_session():
    link, sock, broker = linked()
    link._clock.stops = True
    first, second = [link.wait(lambda: False, 60_000) for _ in range(2)]
    first.send(None)
    second.send(None)
    sock.incoming.append(b"")
    raised(Retry, lambda: first)
    raised(Retry, lambda: second)


class Real:
    """The clock of the interpreter."""

    ticks_ms = staticmethod(ticks_ms)
    ticks_add = staticmethod(ticks_add)
    ticks_diff = staticmethod(ticks_diff)
    sleep_ms = staticmethod(asyncio.sleep_ms)


def test_two_tasks_and_an_application_share_the_crank_of_asyncio():
    broker = Broker()
    link = Wired(broker)
    link._clock = Real()
    found = []

    async def main():
        await link.connect()
        for topic in ("a", "b"):
            await link.subscribe(topic, lambda topic, payload: found.append(payload))
        tasks = [
            asyncio.create_task(link.wait(lambda: b"1" in found, 5_000)),
            asyncio.create_task(link.wait(lambda: b"2" in found, 5_000)),
        ]
        await asyncio.sleep_ms(20)
        start = ticks_ms()
        link.sock.incoming.append(publish("a", b"1"))
        assert await tasks[0]
        link.sock.incoming.append(publish("b", b"2"))
        assert await tasks[1]
        assert ticks_diff(ticks_ms(), start) < 1_500

    quiet(lambda: asyncio.run(main()))
    assert found == [b"1", b"2"]


def test_task_that_waits_sees_a_message_without_polling_for_a_second():
    broker = Broker()
    link = Wired(broker)
    link._clock = Real()

    async def main():
        await link.connect()
        found = []
        await link.subscribe("a", lambda topic, payload: found.append(payload))
        task = asyncio.create_task(link.wait(lambda: found, 5_000))
        await asyncio.sleep_ms(5)
        start = ticks_ms()
        link.sock.incoming.append(publish("a", b"1"))
        assert await task
        return ticks_diff(ticks_ms(), start)

    assert quiet(lambda: asyncio.run(main())) < 900


def test_task_that_is_cancelled_while_it_waits_leaves_the_crank_to_others():
    broker = Broker()
    link = Wired(broker)
    link._clock = Real()

    async def main():
        await link.connect()
        task = asyncio.create_task(link.wait(lambda: False, 5_000))
        await asyncio.sleep_ms(5)
        task.cancel()
        await asyncio.sleep_ms(0)
        found = []
        await link.subscribe("a", lambda topic, payload: found.append(payload))
        link.sock.incoming.append(publish("a", b"1"))
        assert await link.wait(lambda: found, 1_000)

    quiet(lambda: asyncio.run(main()))
