"""A TLS and MQTT endpoint that notes what a device does, and misbehaves as a case asks.

It speaks as much MQTT 3.1.1 as a device needs, and answers the requests of AWS IoT Jobs with "no
job". What a case changes are the functions in `answers`, which get (session, packet) and return
bytes or None, and `greets`, which gets the raw socket before TLS begins.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from patience import LONG_S

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x80, 0x90, 0xA0, 0xB0
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0


@dataclass(frozen=True)
class Packet:
    """A control packet of the device's."""

    session: int
    at_s: float
    kind: int
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        """Of a PUBLISH, or the first filter of a SUBSCRIBE."""
        at = 0 if self.kind == PUBLISH else 2
        size = int.from_bytes(self.body[at : at + 2], "big")
        return self.body[at + 2 : at + 2 + size].decode()

    @property
    def qos(self) -> int:
        """Of a PUBLISH."""
        return self.flags >> 1 & 3

    @property
    def id(self) -> bytes:
        """The packet identifier; b"" without one."""
        if self.kind != PUBLISH:
            return self.body[:2]
        at = 2 + len(self.topic.encode())
        return self.body[at : at + 2] if self.qos else b""

    @property
    def granted(self) -> bytes:
        """The return codes for a SUBSCRIBE: QoS 1 at most, for each of its filters."""
        codes, at = [], 2
        while at < len(self.body):
            at += 3 + int.from_bytes(self.body[at : at + 2], "big")
            codes.append(self.body[at - 1] & 1)
        return bytes(codes)

    @property
    def payload(self) -> bytes:
        """Of a PUBLISH."""
        return self.body[2 + len(self.topic.encode()) + len(self.id) :]


@dataclass
class Session:
    """One TCP connection."""

    number: int
    at_s: float
    hello: bytes = b""  # the TLS record with the Client Hello
    tls: str = ""  # "" until the handshake ended; the version, or why it failed
    secure: bool = False
    ended_s: float | None = None
    sock: socket.socket | None = None
    ids: int = 0
    sending: threading.Lock = field(default_factory=threading.Lock)

    def send(self, data: bytes) -> None:
        """To the device, if it is there."""
        with self.sending:
            self.sock.sendall(data)

    def bring(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """A message to the device."""
        self.ids += 1
        number = self.ids.to_bytes(2, "big") if qos else b""
        self.send(packet(PUBLISH | qos << 1, text(topic), number, payload))

    def end(self) -> None:
        """The server ends it."""
        self.sock.shutdown(socket.SHUT_RDWR)


class Endpoint:
    """Listens on a free port for as long as `with` lasts.

    folder   for the server's key
    own      what it shows: a certificate and what follows it, and its key, PEM
    ca       of the devices' certificates, PEM
    """

    def __init__(self, folder: Path, own: tuple[bytes, bytes], ca: bytes) -> None:
        (folder / "server.pem").write_bytes(own[0] + own[1])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=ca.decode())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sessions: list[Session] = []
        self.packets: list[Packet] = []
        self._changed = threading.Condition()
        self.greets: Callable[[Session], bool] = lambda session: True
        self.answers: dict[int, Callable[[Session, Packet], bytes | None]] = {
            CONNECT: lambda session, one: packet(CONNACK, b"\0\0"),
            SUBSCRIBE: lambda session, one: packet(SUBACK, one.id, one.granted),
            UNSUBSCRIBE: lambda session, one: packet(UNSUBACK, one.id),
            PINGREQ: lambda session, one: packet(PINGRESP),
            PUBLISH: lambda session, one: packet(PUBACK, one.id) if one.qos else None,
        }

    def __enter__(self) -> "Endpoint":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()
        for session in self.sessions:
            session.sock.close()

    def wait_for(self, what: Callable[[], object], why: str, deadline_s: float = LONG_S):
        """What `what` gives, once that is true. AssertionError at the deadline."""
        with self._changed:
            found = self._changed.wait_for(what, deadline_s)
        assert found, f"not within {deadline_s} s: {why}"
        return found

    def sent(self, kind: int, topic: str = "", session: int | None = None) -> list[Packet]:
        """The packets of that kind, of a topic that contains that, of one session or all."""
        return [
            one
            for one in list(self.packets)
            if one.kind == kind
            and session in (None, one.session)
            and (not topic or topic in one.topic)
        ]

    # -- the connections -------------------------------------------------------------------------

    def _listen(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            session = Session(len(self.sessions) + 1, time.monotonic(), sock=sock)
            self._note(lambda session=session: self.sessions.append(session))
            threading.Thread(target=self._serve, args=[session], daemon=True).start()

    def _note(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def _serve(self, session: Session) -> None:
        try:
            session.hello = hello(session.sock)
            if not self.greets(session):
                session.sock.close()
                return
            session.sock = self._context.wrap_socket(session.sock, server_side=True)
            session.tls, session.secure = session.sock.version(), True
            self._note(lambda: None)
            while True:
                self._take(session)
        except (OSError, EOFError) as error:
            session.tls = session.tls or str(error)
        finally:
            self._note(lambda: setattr(session, "ended_s", time.monotonic()))

    def _take(self, session: Session) -> None:
        first = exactly(session.sock, 1)[0]
        size = shift = 0
        while True:
            byte = exactly(session.sock, 1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = exactly(session.sock, size)
        one = Packet(session.number, time.monotonic(), first & 0xF0, first & 0x0F, body)
        self._note(lambda: self.packets.append(one))
        answer = self.answers.get(one.kind)
        reply = answer(session, one) if answer else None
        if reply:
            session.send(reply)
            if one.kind == PUBLISH:
                self._ask(session, one)

    def _ask(self, session: Session, one: Packet) -> None:
        """Of the Jobs service: there is nothing to do."""
        if "/jobs/" in one.topic and one.topic.endswith("/get"):
            token = json.loads(one.payload).get("clientToken")
            answer = json.dumps({"clientToken": token, "timestamp": int(time.time())})
            session.bring(f"{one.topic}/accepted", answer.encode())


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes. EOFError when the device has gone."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def hello(sock: socket.socket) -> bytes:
    """The first TLS record, left in the socket; b"" when the device says nothing."""
    data = sock.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
    if len(data) < 5:
        return b""
    size = 5 + int.from_bytes(data[3:5], "big")
    return sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)


def suites(record: bytes) -> list[int]:
    """The cipher suites that a Client Hello offers.

    source   RFC 5246, section 7.4.1.2
    """
    at = 5 + 4 + 2 + 32  # the record, the handshake's head, version, random
    at += 1 + record[at]  # session id
    size = int.from_bytes(record[at : at + 2], "big")
    listed = record[at + 2 : at + 2 + size]
    return [int.from_bytes(listed[n : n + 2], "big") for n in range(0, size, 2)]


def packet(kind: int, *parts: bytes) -> bytes:
    """A whole control packet."""
    body = b"".join(parts)
    size, head = len(body), bytearray((kind,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def text(value: str) -> bytes:
    """A string with its length before it."""
    data = value.encode()
    return len(data).to_bytes(2, "big") + data
