"""The link: one MQTT session over one TLS connection, shared by the agent and the application.

A subclass of umqtt.simple's client. The transport never blocks. It takes bytes in any pieces, into
one small buffer or into the buffer that the taker of a payload lends. A stall keeps its place.
Whoever waits turns the crank: `wait` reads, answers, keeps alive and sends. Several may wait.

    of umqtt.simple    here
    connect            awaited; resubscribes; every refusal has its name
    publish            queued and sent in one write; to wait for the PUBACK: `deliver`
    subscribe          awaited; a handler for each topic filter; any length of topic
    wait_msg check_msg `turn`; no blocking, no assert, no packet in memory; pings are answered

memory   1 KiB to receive, 280 B for a packet's head; a payload whole where its handler wants it
wire     MQTT 3.1.1, QoS 0 and 1, clean sessions
"""

from micropython import const

from sluice.errors import Retry
from sluice.loading import Scope, plug_in
from sluice.log import Log
from sluice.net.packets import PUBLISH, Whole, closest, packet, text
from sluice.net.reader import Reader

with Scope():  # who else imports it gets a class of their own, and ours can be trimmed
    from umqtt.simple import MQTTClient
_OLD = ("connect", "publish", "subscribe", "wait_msg", "check_msg", "_recv_len", "_send_str")
for _name in _OLD:
    delattr(MQTTClient, _name)

_ANSWER_MS = const(15_000)  # CONNACK, SUBACK, PINGRESP and the handshake before them
_SAID = const(3)  # times in that, unless answered: a packet is said again as it was
_BACKLOG = const(16_384)  # bytes that wait to be sent, at most
_LIMIT = const(8_192)  # bytes of a payload that is held whole, unless its handler says otherwise
_NAP_MAX_MS = const(32)  # naps grow with the silence: prompt while messages come, cheap after
_TURNS = const(8)  # reads before the others get their turn; or packets, or so long, or one write
_PACKETS = const(16)  # to flash, whichever is first
_TURN_MS = const(20)
log = Log("mqtt")


class Link(MQTTClient):
    """A session with a broker.

    client_id   str; AWS wants the thing's name
    server      host name, also the name the certificate must have
    context     from sluice.net.connect.context, or None for a plain connection
    keepalive   seconds; the broker gives up after one and a half times as many
    clock       sluice.net.clock.Clock
    """

    def __init__(self, client_id, server, port, context, keepalive, clock):
        super().__init__(client_id, server, port, keepalive=keepalive)
        self.context = context
        self._clock = clock
        self._routes = {}  # topic filter, str → (sink, qos)
        self._reader = Reader(self._on_packet, self._route, self._enough)
        self._awaited = {}  # packet id → None until answered, then the return codes
        self._session = 0  # counts connections
        self.connack = self.pinged = None  # its return code; when a ping went out
        self.linked = False
        self.held = bool  # whether what came is to be dealt with before more is read

    async def connect(self, clean_session=True):
        """Open the session and subscribe anew to all that was subscribed.

        raises   Retry, or one of its kinds in sluice.net.refusals, with the reason
        """
        self.close()
        self._reader.reset()
        self._session += 1
        self.connack = self.pinged = None
        self._out = self._behind = b""
        self._sent = self._heard = self._clock.ticks_ms()
        try:
            with Scope():  # the application may open it while an image is in memory
                begin = plug_in("sluice.net.connect", "open_session")
                await begin(self, self.context, self._clock, clean_session)
            for topic, (_, qos) in list(self._routes.items()):
                if await self._refused((topic,), qos):
                    log.e("subscription refused", topic)
        except Retry:
            self.close()
            raise
        log.i("linked", self.server)

    def close(self):
        """Drop the connection, if there is one; what was subscribed is remembered."""
        self.linked = False
        sock, self.sock = self.sock, None
        if sock:
            try:
                sock.close()
            except OSError as error:
                log.d("close", error)

    def disconnect(self):
        """Say goodbye, then close."""
        try:
            if self.linked:
                self.send(packet(0xE0))
        finally:
            self.close()

    def publish(self, topic, msg, retain=False, qos=0, again=0):
        """Send a message, or queue it behind what is being sent; nobody waits for its PUBACK.

        again    packet id of a message that is sent again; returns the packet id
        raises   Retry when there is no session, or more than 16 KiB wait to be sent
        """
        if qos not in (0, 1):
            raise ValueError("QoS is 0 or 1")
        if not self.linked:
            raise Retry("not linked")
        number = again or self._next_id()
        kind = PUBLISH | bool(again) << 3 | qos << 1 | bool(retain)
        self.send(packet(kind, text(topic), number.to_bytes(2, "big") if qos else b"", msg))
        return number

    async def deliver(self, topic, msg, retain=False):
        """Publish at QoS 1 and wait for the broker's PUBACK. Raises Retry when none comes."""
        number = self.publish(topic, msg, retain, 1)
        again = lambda: self.publish(topic, msg, retain, 1, number)  # noqa: E731
        await self._answer(number, again, "no PUBACK")

    async def subscribe(self, topic, handler=None, qos=0, limit=_LIMIT):
        """Have messages of a topic filter handled, or in one packet of 8: {filter: handler}.

        handler   called with (topic, payload), bytes and bytearray, None when it was longer than
                  `limit`; or a sink, as net.reader.Reader has it
        raises    Retry when the broker, which is awaited, refused one, or did not answer
        """
        handlers = {topic: handler} if handler else topic
        for name, sink in handlers.items():
            self._routes[name] = (sink if hasattr(sink, "feed") else Whole(sink, limit), qos)
        self._reader.forget()
        for name in await self._refused(handlers, qos):
            self._routes.pop(name, None)
            self._reader.forget()
            raise Retry("subscription refused", name)

    async def _refused(self, topics, qos):
        if not self.linked:
            raise Retry("not linked")
        number = self._next_id()
        whole = packet(0x82, number.to_bytes(2, "big"), *[text(t) + bytes((qos,)) for t in topics])
        self.send(whole)
        codes = await self._answer(number, lambda: self.send(whole), "no SUBACK")
        if len(codes) != len(topics):
            raise Retry("malformed packet", 0x90)
        return [topic for topic, code in zip(topics, codes) if code & 0x80]

    def unsubscribe(self, topic):
        """Stop handling a topic filter; the broker is told, if there is a session."""
        known = self._routes.pop(topic, None)
        self._reader.forget()
        if known and self.linked:
            self.send(packet(0xA2, self._next_id().to_bytes(2, "big"), text(topic)))

    def _next_id(self):
        """A packet id that is not in use: 1 to 65,535, then from the start again."""
        self.pid = self.pid % 0xFFFF + 1
        while self.pid in self._awaited:
            self.pid = self.pid % 0xFFFF + 1
        return self.pid

    async def _answer(self, number, again, reason):
        """The return codes that answer a packet. Until it comes the packet is said again, with its
        id, as AWS asks of devices. Raises Retry(reason) when none comes."""
        session, awaited = self._session, self._awaited
        awaited[number] = None
        try:
            ready = lambda: awaited[number] is not None or session != self._session  # noqa: E731
            for said in range(_SAID):
                if said:
                    again()
                if await self.wait(ready, _ANSWER_MS // _SAID):
                    break
            if session == self._session and awaited[number] is not None:
                return awaited[number]
        finally:
            awaited.pop(number)
        raise Retry(reason)

    async def wait(self, ready, deadline_ms):
        """Turn the crank until `ready()`; False when that took more than `deadline_ms`."""
        clock = self._clock
        end = clock.ticks_add(clock.ticks_ms(), deadline_ms)
        while not ready():
            left_ms = clock.ticks_diff(end, clock.ticks_ms())
            if left_ms <= 0:
                return False
            nap_ms = 0
            if not self.turn() and not ready():
                silent_ms = clock.ticks_diff(clock.ticks_ms(), self._heard)
                nap_ms = min(1 + silent_ms // 8, _NAP_MAX_MS, left_ms)
            await clock.sleep_ms(nap_ms)
        return True

    def turn(self):
        """Send what waits, read what came, keep alive. Never waits.

        returns  True when something was read
        raises   Retry when the session is lost; it is closed then
        """
        try:
            if not self.sock:
                raise Retry("not linked")
            self._flush()
            busy = self._read()
            if self.linked and self.keepalive:
                self._keep_alive()
            return busy
        except (OSError, ValueError) as error:
            self._broken(error)
        except Retry:
            self.close()
            raise

    def _broken(self, error):
        """The transport failed. Raises the error of ours for it."""
        self.close()
        raise plug_in("sluice.net.refusals", "named")(error)  # loaded now: it is rarely needed

    def _read(self):
        clock, reader = self._clock, self._reader
        self._begun, self._packets, reader.dear = clock.ticks_ms(), 0, False
        for turn in range(_TURNS):
            if not self.sock:  # a handler's own sending met a broken connection
                raise Retry("not linked")
            if self.held() or turn and (reader.dear or self._enough(0)):
                break
            size = 0 if reader.rest else self.sock.readinto(reader.room())
            if size is None:
                return turn > 0
            if not size and not reader.rest:
                raise Retry("the broker closed the connection")
            self._heard = clock.ticks_ms()
            reader.take(size)
        return True

    def _enough(self, packets=1):
        """What is dear, as many small packets are, is not to keep the others waiting."""
        self._packets += packets
        now = self._clock.ticks_ms()
        return self._packets >= _PACKETS or self._clock.ticks_diff(now, self._begun) >= _TURN_MS

    def _keep_alive(self):
        """A ping after half the keep-alive time of silence either way; its answer in 15 s."""
        now, half_ms = self._clock.ticks_ms(), self.keepalive * 500
        age_ms = self._clock.ticks_diff
        if self.pinged is not None:
            if age_ms(now, self.pinged) > _ANSWER_MS:
                raise Retry("no PINGRESP")
        elif age_ms(now, self._sent) > half_ms or age_ms(now, self._heard) > half_ms:
            self.pinged = now
            self.send(packet(0xC0))

    def send(self, data):
        """One write for one packet; what does not go out now goes out with `turn`."""
        if not self.sock:
            raise Retry("not linked")
        if self._out:
            if len(self._behind) + len(data) > _BACKLOG:
                raise Retry("too much to send")
            self._behind += data
            return
        self._out = data
        try:
            self._flush()
        except (OSError, ValueError) as error:
            self._broken(error)

    def _flush(self):
        """TLS wants an unfinished write repeated as it was: what is added waits behind it."""
        while self._out:
            size = self.sock.write(self._out)
            if not size:
                return
            self._sent = self._clock.ticks_ms()
            self._out = self._out[size:]
            if not self._out:
                self._out, self._behind = self._behind, b""

    def _on_packet(self, kind, head, number):
        """An answer: CONNACK, SUBACK, PUBACK, PINGRESP; or a PUBLISH to acknowledge."""
        if kind == PUBLISH:
            self.send(packet(0x40, number.to_bytes(2, "big")))
        elif kind == 0x20:
            self.connack = head[1]
        elif kind == 0xD0:
            self.pinged = None
        elif number in self._awaited:
            self._awaited[number] = head[2:]

    def _route(self, topic):
        """The sink for a message of this topic; None when nobody asked for it."""
        best = closest(self._routes, topic)
        return self._routes[best][0] if best else None
