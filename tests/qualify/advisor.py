"""The cases of AWS IoT Core Device Advisor, by AWS's ids and names, against a simulated board.

Names and criteria are AWS's; the endpoint is `endpoint.py`, or the local cloud. Nothing here ran
against AWS. A case returns what it saw, in words, or raises AssertionError; Warns is a pass that
AWS gives with warnings.

source   AWS IoT developer guide, "Device Advisor test cases"
"""

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import device
import endpoint
from certificates import Authority, Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from device import HOST, TRIGGER, WILL
from endpoint import CONNECT, PINGREQ, PUBACK, PUBLISH, SUBSCRIBE, Endpoint, Packet, Session
from shadows import desire, reported, settled
from stage import Cloud, Stage, image, soon

from sluice.compile import ROOT
from sluice.device.supervisor import Board

SECOND_S = 1.0
LONGEST_S = 300
CONNACK_S = 15  # that a board waits for one
NOTED_S = 0.5  # that the endpoint may be late to note a packet
RETRIES = 5
FRAGMENT = 16_384  # bytes of plain text in a TLS record, at most
LARGE = 131_000  # bytes; AWS takes 128 KiB
RECOMMENDED = {0xC02B, 0xC02F, 0x1301, 0x1302, 0x1303}
SUPPORTED = RECOMMENDED | {
    0xC023, 0xC027, 0xC009, 0xC013, 0xC02C, 0xC030, 0xC024, 0xC028, 0xC014, 0xC00A, 0x9C, 0x3C,
    0x2F, 0x9D, 0x3D, 0x35,
}  # fmt: skip
SCSV = 0x00FF  # no suite: it says that renegotiation is secure


class Warns(Exception):
    """The case is passed, and AWS would warn."""


class NotApplicable(Exception):
    """What the case looks at is not used; why."""


@dataclass(frozen=True)
class Case:
    """One case. `slow` ones take minutes, as their waits are real."""

    group: str
    id: str
    name: str
    run: Callable[["Rig"], str]
    slow: bool = False


CASES: list[Case] = []


def case(group: str, id: str, name: str, slow: bool = False):
    """Have the function run as that case."""

    def add(run: Callable[["Rig"], str]) -> Callable[["Rig"], str]:
        CASES.append(Case(group, id, name, run, slow))
        return run

    return add


class Rig:
    """Where a case runs: a folder of its own, an authority, and one good session for all that
    only look at one."""

    good: tuple[list[Packet], list[Session], list[str]] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self._count = 0

    @contextlib.contextmanager
    def endpoint(self, own: Credentials | None = None) -> Iterator[Endpoint]:
        """An endpoint that shows this certificate, or one as it should be."""
        self._count += 1
        self.place = self.folder / str(self._count)
        self.place.mkdir()
        with Endpoint(self.place, own or self.authority.issue(HOST), self.authority.ca) as one:
            yield one

    @contextlib.contextmanager
    def connected(self, own: Credentials | None = None) -> Iterator[tuple[Endpoint, Board]]:
        """An endpoint and a board that connects to it."""
        with self.endpoint(own) as one, device.board(self.place, self.authority, one) as board:
            yield one, board

    def happy(self) -> tuple[list[Packet], list[Session], list[str]]:
        """What a device sent, its sessions and its log, where all went well; made once."""
        if Rig.good is None:
            with self.connected() as (one, board):
                one.wait_for(lambda: one.sent(PUBLISH, "qualify/retained"), "all publications")
                [session] = one.sessions
                session.bring(TRIGGER, b"x", 1)
                session.bring(TRIGGER, b"y" * (FRAGMENT + 100), 1)
                session.bring(TRIGGER, b"z" * LARGE, 1)
                one.wait_for(lambda: len(one.sent(PUBACK)) >= 3, "three PUBACKs")
                board.wait_for(f"app heard {LARGE}")
                Rig.good = list(one.packets), list(one.sessions), list(board.lines)
        return Rig.good


def only(packets: list[Packet], kind: int, topic: str = "") -> list[Packet]:
    return [one for one in packets if one.kind == kind and (not topic or topic == one.topic)]


def gaps(times: list[float]) -> list[float]:
    return [round(later - before, 2) for before, later in zip(times, times[1:], strict=False)]


# -- TLS ------------------------------------------------------------------------------------------


@case("TLS", "TLS_Connect", "TLS Connect")
def tls_connect(rig: Rig) -> str:
    _, sessions, _ = rig.happy()
    assert sessions[0].secure
    return sessions[0].tls


@case("TLS", "TLS_Receive_Maximum_Size_Fragments", "TLS Receive Maximum Size Fragments")
def maximum_fragments(rig: Rig) -> str:
    _, _, lines = rig.happy()
    assert any(line.endswith(f"app heard {FRAGMENT + 100}") for line in lines), lines[-9:]
    return f"a record of {FRAGMENT} bytes was taken"


@case("TLS", "TLS_Support_AWS_IoT_Cipher_Suites",
      "TLS Device Support for AWS IoT recommended Cipher Suites")  # fmt: skip
def cipher_suites(rig: Rig) -> str:
    _, sessions, _ = rig.happy()
    offered = set(endpoint.suites(sessions[0].hello)) - {SCSV}
    assert offered & SUPPORTED, "no suite of AWS's"
    assert HOST.encode() in sessions[0].hello, "no server name"
    other = len(offered - SUPPORTED)
    if other or not offered & RECOMMENDED:
        raise Warns(
            f"{len(offered & RECOMMENDED)} recommended, and {other} others: "
            "the list is mbedTLS's, as built for this interpreter"
        )
    return f"{len(offered & RECOMMENDED)} recommended"


@case("TLS", "TLS_Large_Size_Server_Cert", "TLS large Size Server Certificate")
def large_certificate(rig: Rig) -> str:
    shown = chain(rig.authority)
    with rig.connected(shown) as (one, _):
        one.wait_for(lambda: one.sent(CONNECT), "CONNECT")
    return f"a chain of {len(shown.certificate):,} bytes in PEM"


def refused_by_device(rig: Rig, own: Credentials, reason: str) -> str:
    """The device ends each handshake, says why, and never sends a byte of MQTT."""
    with rig.connected(own) as (one, board):
        one.wait_for(
            lambda: len([session for session in one.sessions if session.ended_s]) >= 2,
            "two attempts",
        )
        assert not one.packets and not any(session.secure for session in one.sessions)
        said = [line for line in board.lines if "attempt failed" in line]
        assert said and reason in said[0], said
    return f"the device closes: {reason}"


@case("TLS", "TLS_Unsecure_Server_Cert", "Not Signed By Recognized CA")
def unknown_ca(rig: Rig) -> str:
    return refused_by_device(rig, Authority("another CA").issue(HOST), "Untrusted")


@case("TLS", "TLS_Incorrect_Subject_Name_Server_Cert",
      "Incorrect Subject Common Name (CN) / Subject Alternative Name (SAN)")  # fmt: skip
def wrong_name(rig: Rig) -> str:
    return refused_by_device(rig, rig.authority.issue("other.test"), "WrongName")


@case("TLS", "-", "An expired server certificate (not AWS's)")
def expired(rig: Rig) -> str:
    return refused_by_device(rig, rig.authority.issue(HOST, -20, -10), "Expired")


# -- MQTT -----------------------------------------------------------------------------------------


@case("MQTT", "MQTT_Connect", "Device send CONNECT to AWS IoT Core (Happy case)")
def mqtt_connect(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    [connect] = only(packets, CONNECT)
    assert connect.body.startswith(b"\x00\x04MQTT\x04") and b"\x00\x07qualify" in connect.body
    assert packets[0] is connect
    return "MQTT 3.1.1; the client id is the thing's name"


@case("MQTT", "MQTT_Subscribe", "Can Subscribe (Happy Case)")
def subscribe(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    assert only(packets, SUBSCRIBE, TRIGGER)
    return f"{len(only(packets, SUBSCRIBE))} subscriptions"


@case("MQTT", "MQTT_Publish", "QoS0 (Happy Case)")
def publish_qos0(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    [one] = only(packets, PUBLISH, "qualify/qos0")
    assert one.qos == 0 and one.payload == b"hello"
    return "published"


@case("MQTT", "-", "A publication at QoS 1 (not AWS's)")
def publish_qos1(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    [one] = only(packets, PUBLISH, "qualify/qos1")
    assert one.qos == 1 and int.from_bytes(one.id, "big") and not one.flags & 8
    return "published once, because its PUBACK came"


@case("MQTT", "MQTT_Publish_Retained_Messages", "Publish Retained Messages")
def publish_retained(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    [one] = only(packets, PUBLISH, "qualify/retained")
    assert one.flags & 1
    return "by `link.publish(topic, text, True)`"


@case("MQTT", "MQTT_Client_Puback_QoS1", "Device can return PUBACK to an arbitrary topic for QoS1")
def puback(rig: Rig) -> str:
    packets, _, lines = rig.happy()
    acknowledged = [one.id for one in only(packets, PUBACK)]
    assert len(set(acknowledged)) == len(acknowledged) >= 3, acknowledged
    assert any(line.endswith(f"app heard {LARGE}") for line in lines)
    return f"also for a payload of {LARGE:,} bytes"


def withheld(rig: Rig, kind: int, topic: str) -> str:
    """The first answer to that packet is lost: the device repeats it in the same session."""
    with rig.connected() as (one, _):
        usual = one.answers[kind]

        def answer(session: Session, packet: Packet) -> bytes | None:
            if packet.topic == topic and len(one.sent(kind, topic)) == 1:
                return None
            return usual(session, packet)

        one.answers[kind] = answer
        first, again = one.wait_for(
            lambda: len(one.sent(kind, topic)) > 1 and one.sent(kind, topic)[:2], "a repetition"
        )
        assert first.session == again.session, "disconnected before it repeated"
        assert first.id == again.id, "another packet id"
        assert kind != PUBLISH or again.flags & 8, "not marked as a duplicate"
        one.wait_for(lambda: one.sent(PUBLISH, "qualify/retained"), "going on")
        assert len(one.sessions) == 1
    return f"repeated after {again.at_s - first.at_s:.0f} s with its id, in the same session"


@case("MQTT", "MQTT_Publish_Retry_No_Puback", "QoS1 publish retry - No PUBACK")
def publish_retry(rig: Rig) -> str:
    return withheld(rig, PUBLISH, "qualify/qos1")


@case("MQTT", "MQTT_Publish_Retry_No_Puback", "The same of a request of the agent's own")
def request_retry(rig: Rig) -> str:
    return withheld(rig, PUBLISH, "$aws/things/qualify/jobs/$next/get")


@case("MQTT", "MQTT_Subscribe_Retry_No_Suback", "Subscribe Retry - No SUBACK")
def subscribe_retry(rig: Rig) -> str:
    return withheld(rig, SUBSCRIBE, "$aws/things/qualify/jobs/notify-next")


def judged(waits: list[float]) -> str:
    """Waits between attempts: at least a second, none beyond its ceiling, no two alike, and
    longer ones later. AssertionError otherwise."""
    for place, wait in enumerate(waits):
        ceiling = 1 + min(2**place, LONGEST_S)
        assert SECOND_S <= wait <= ceiling + 5, (place, waits)  # 5 s: a busy machine's handshake
    assert len({round(wait, 1) for wait in waits}) > 1, f"constant: {waits}"
    return "waits of " + ", ".join(f"{wait:.1f}" for wait in waits) + " s"


def server_disconnects(rig: Rig, attempts: int) -> list[float]:
    """The seconds from each end of a session, by the server, to the next attempt."""
    ends: list[float] = []
    with rig.connected() as (one, _):
        usual = one.answers[CONNECT]

        def answer(session: Session, packet: Packet) -> bytes | None:
            if session.number <= attempts:
                session.send(usual(session, packet))
                ends.append(time.monotonic())  # before the device can know of it
                session.end()
                return None
            return usual(session, packet)

        one.answers[CONNECT] = answer
        one.wait_for(lambda: len(one.sessions) > attempts, "attempts")
        one.wait_for(lambda: one.sent(CONNECT, session=attempts + 1), "CONNECT at last")
        begins = [session.at_s for session in one.sessions[1 : attempts + 1]]
    return [begin - end for begin, end in zip(begins, ends, strict=True)]


@case("MQTT", "MQTT_ReconnectionAfterSuccessfulConnection",
      "Device re-connect with at least one second delay - After server disconnect")  # fmt: skip
def reconnect_delay(rig: Rig) -> str:
    [wait] = server_disconnects(rig, 1)
    assert wait >= SECOND_S, wait
    return f"after {wait:.1f} s"


@case("MQTT", "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
      "Device re-connect with jitter backoff - After server disconnect", slow=True)  # fmt: skip
def reconnect_backoff(rig: Rig) -> str:
    return judged(server_disconnects(rig, RETRIES))


@case("MQTT", "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection",
      "Device re-connect with jitter backoff - Unstable connection", slow=True)  # fmt: skip
def unstable(rig: Rig) -> str:
    ends: list[float] = []

    def greet(session: Session) -> bool:
        """Else the line is cut in TLS's handshake."""
        ends.append(time.monotonic())
        return session.number > RETRIES

    with rig.connected() as (one, _):
        one.greets = greet
        one.wait_for(lambda: one.sent(CONNECT), "CONNECT at last")
        begins = [session.at_s for session in one.sessions[1 : RETRIES + 1]]
    return judged([begin - end for begin, end in zip(begins, ends, strict=False)])


def no_connack(rig: Rig) -> list[list[float]]:
    """Waits between attempts where no CONNACK comes, five times; then again."""
    with rig.connected() as (one, _):
        usual = one.answers[CONNECT]
        silent = set(range(1, RETRIES + 1)) | set(range(RETRIES + 2, 2 * RETRIES + 2))

        def answer(session: Session, packet: Packet) -> bytes | None:
            if session.number == RETRIES + 1:
                session.send(usual(session, packet))
                session.end()
                return None
            return None if session.number in silent else usual(session, packet)

        one.answers[CONNECT] = answer
        one.wait_for(lambda: one.sent(CONNECT, session=2 * RETRIES + 2), "12 attempts")
        times = [packet.at_s for packet in one.sent(CONNECT)]
        return [gaps(times[: RETRIES + 1]), gaps(times[RETRIES + 1 :])]


@case("MQTT", "MQTT_Connect_Jitter_Backoff_Retries",
      "Device connect retries with jitter backoff - No CONNACK response", slow=True)  # fmt: skip
def jitter(rig: Rig) -> str:
    first, second = no_connack(rig)
    waits = [gap - CONNACK_S + NOTED_S for gap in first]
    assert first != second
    return (
        judged(waits)
        + f" after {CONNACK_S} s without CONNACK; then "
        + ", ".join(f"{gap - CONNACK_S:.1f}" for gap in second)
    )


@case("MQTT", "MQTT_Connect_Exponential_Backoff_Retries",
      "Device connect retries with exponential backoff - No CONNACK response")  # fmt: skip
def exponential(rig: Rig) -> str:
    raise NotApplicable("the waits are exponential with jitter, which the case above judges")


@case("MQTT", "MQTT_No_Ack_PingResp", "Mqtt No Ack PingResp", slow=True)
def no_pingresp(rig: Rig) -> str:
    with rig.connected() as (one, _):
        one.wait_for(lambda: one.sent(PUBLISH, "qualify/retained"), "all publications")
        one.answers.clear()
        one.wait_for(lambda: one.sent(PINGREQ), "PINGREQ")
        one.wait_for(lambda: one.sessions[0].ended_s, "the device's end of it")
        took = one.sessions[0].ended_s - one.sent(PINGREQ)[0].at_s
    assert took < 1.5 * 30, took
    return f"closed {took:.0f} s after its PINGREQ"


@case("MQTT", "MQTT_Persistent_Session_Happy_Case", "Persistent Session (Happy Case)")
def persistent_session(rig: Rig) -> str:
    raise NotApplicable(clean(rig))


@case("MQTT", "MQTT_Persistent_Session_Session_Expiry", "Persistent Session - Session Expiry")
def session_expiry(rig: Rig) -> str:
    raise NotApplicable(clean(rig))


def clean(rig: Rig) -> str:
    """Why a device without a persistent session loses nothing; it must say that it has none."""
    packets, _, _ = rig.happy()
    [connect] = only(packets, CONNECT)
    assert connect.body[7] & 2, "the session is not clean"
    return "clean sessions: at each connect the agent asks what is pending"


@case("MQTT", "-", "Last will (not AWS's)")
def last_will(rig: Rig) -> str:
    packets, _, _ = rig.happy()
    [connect] = only(packets, CONNECT)
    flags = connect.body[7]
    assert flags & 0x04 and flags >> 3 & 3 == 1 and WILL.encode() in connect.body
    return "by `link.set_last_will`"


@case("MQTT", "MQTT5_*", "Cases of MQTT 5")
def mqtt5(rig: Rig) -> str:
    raise NotApplicable("the agent speaks MQTT 3.1.1")


def relented(rig: Rig, kind: int, topic: str, refusal: Callable[[Packet], bytes | None]) -> str:
    """A refusal by policy: the device neither hammers nor gives up; it is there once that ends."""
    with rig.connected() as (one, board):
        usual, refused = one.answers[kind], []

        def answer(session: Session, packet: Packet) -> bytes | None:
            if (not topic or packet.topic == topic) and len(refused) < 3:
                refused.append(packet.at_s)
                reply = refusal(packet)
                if reply is None:
                    session.end()
                return reply
            return usual(session, packet)

        one.answers[kind] = answer
        board.wait_for("agent idle")
        assert len(refused) == 3, refused
    waits = gaps(refused)
    assert min(waits) >= SECOND_S, waits
    return "tried again after " + " and ".join(f"{wait:.1f}" for wait in waits) + " s"


@case("Permissions and policies", "-", "iot:Connect refused (not AWS's)")
def connect_refused(rig: Rig) -> str:
    return relented(rig, CONNECT, "", lambda packet: endpoint.packet(0x20, b"\x00\x05"))


@case("Permissions and policies", "-", "iot:Subscribe refused (not AWS's)")
def subscribe_refused(rig: Rig) -> str:
    topic = "$aws/things/qualify/jobs/notify-next"
    refusal = lambda packet: endpoint.packet(0x90, packet.id, b"\x80")  # noqa: E731
    return relented(rig, SUBSCRIBE, topic, refusal)


@case("Permissions and policies", "-", "iot:Publish refused: AWS ends the session (not AWS's)")
def publish_refused(rig: Rig) -> str:
    return relented(rig, PUBLISH, "$aws/things/qualify/jobs/$next/get", lambda packet: None)


@case("Permissions and policies", "Security_Device_Policies",
      "Device certificate attached policies don't contain wildcards")  # fmt: skip
def policies(rig: Rig) -> str:
    policy = json.loads((ROOT / "docs/thing-policy.json").read_text())
    wild = 0
    for statement in policy["Statement"]:
        actions, places = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, action
        for place in [places] if isinstance(places, str) else places:
            own, _, rest = place.partition("${iot:Connection.Thing.ThingName}")
            assert own != place and "*" not in own, place
            wild += "*" in rest
    if wild:
        raise Warns(f"{wild} resources have a * below the thing's own topics; none has one above")
    return "none"


# -- Jobs and shadows: against the local cloud ----------------------------------------------------


@contextlib.contextmanager
def clouded(rig: Rig, **config) -> Iterator[Stage]:
    rig._count += 1
    folder = rig.folder / str(rig._count)
    folder.mkdir()
    cloud = Cloud(folder / "state").start()
    stage = cloud.stage(folder, **config)
    try:
        stage.power_on()
        yield stage
    finally:
        stage.board.stop()
        stage.board.flash.release()
        cloud.stop()


@case("Job execution", "Job_Execution", "Device can complete a job execution")
def job_execution(rig: Rig) -> str:
    with clouded(rig) as stage:
        job = stage.deploy(image("1.1.0", 180_225))
        verdict = stage.verdict(job)
        assert verdict.status == "SUCCEEDED", stage.tail
        assert stage.running == ("ota_1", "1.1.0")
    return "an update, from QUEUED by IN_PROGRESS to SUCCEEDED"


@case("Shadow", "Shadow_Publish_Reported_State",
      "Device publishes state after it connects (Happy case)")  # fmt: skip
def shadow_reported(rig: Rig) -> str:
    with clouded(rig, shadow="classic") as stage:
        told = soon(lambda: reported(stage))
        assert told.get("version") == "1.0.0", told
    return "version, board and settings"


@case("Shadow", "Shadow_Update_Reported_State",
      "Device updates reported state to desired state (Happy case)")  # fmt: skip
def shadow_updated(rig: Rig) -> str:
    with clouded(rig, shadow="classic") as stage:
        soon(lambda: reported(stage))
        desire(stage, {"report_s": 7})
        settled(stage, "report_s", 7)
    return "a setting, in force and told"


@case("Long duration", "MQTT_Long_Duration", "MQTT long duration test case")
def long_duration(rig: Rig) -> str:
    raise NotApplicable("hours long; tests/scenarios/test_soak.py is our own")


def chain(authority: Authority) -> Credentials:
    """A server's certificate with an RSA-4096 key and many names, behind an intermediate CA."""
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    key = rsa.generate_private_key(65_537, 4_096)
    middle = ec.generate_private_key(ec.SECP256R1())
    root = x509.load_pem_x509_certificate(authority.ca)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intermediate CA")])

    def made(subject: x509.Name, issuer: x509.Name, public) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + 300 * day)
        )

    between = made(name, root.subject, middle.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = [x509.DNSName(HOST)] + [
        x509.DNSName(f"name-{n:03}.of-a-large-certificate.test") for n in range(60)
    ]
    host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    server = made(host, name, key.public_key()).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    parts = server.sign(middle, hashes.SHA256()), between.sign(authority.key, hashes.SHA256())
    pem = b"".join(part.public_bytes(Encoding.PEM) for part in parts)
    return Credentials(pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
