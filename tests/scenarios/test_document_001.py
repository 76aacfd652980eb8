"""Document 001: the version in the shadow, the job with nextState, the image by HTTP, the reboot.

The document has the device say SUCCEEDED and then reboot. Here it is said after the reboot, by the
new image, which is the only one that can know.
"""

import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stage import HEAP, Stage, image, soon, target

from sluice.cloud.things.ca import Authority
from sluice.commands import deploy
from sluice.device.supervisor import Board

VECTORS = Path(__file__).parents[1] / "vectors/001_http_update.json"
SMALL = 200_000  # bytes: four requests
KEY = "nrf_cloud_app_fw_version"
LIFETIME_S = 60  # of a presigned address, the shortest that CreateJob takes


def placeholder(scene: Stage, new: bytes) -> str:
    """The image in the bucket, and what the cloud replaces by a presigned address of it."""
    where = deploy.upload(scene.cloud.calls, scene.file(new), deploy.BUCKET)
    address = f"https://s3.us-east-1.amazonaws.com/{where['bucket']}/{where['key']}"
    return f"${{aws:iot:s3-presigned-url:{address}}}"


def nrf(scene: Stage, new: bytes, **changes) -> dict:
    """The job document for an image; None takes a member away."""
    document = {
        "operation": "app_fw_update",
        "fwversion": "v1.1.0",
        "size": len(new),
        "location": {"url": placeholder(scene, new)},
        "sig-sha256-ecdsa": scene.signature(new),
        "certfile": "signer.crt",
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


def ordered(scene: Stage, document: dict) -> str:
    """A job with that document, made as an application does with AWS; its id."""
    job = f"fota-{uuid.uuid4().hex[:8]}"
    scene.cloud.calls.iot.create_job(
        jobId=job,
        targets=[target(scene.name)],
        document=json.dumps(document),
        presignedUrlConfig={"roleArn": deploy.ROLE, "expiresInSec": LIFETIME_S},
    )
    return job


def succeeded(scene: Stage, job: str, new: bytes) -> None:
    """As an update should end."""
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.board.slot_bytes("ota_1", len(new)) == new
    assert scene.trials == 1


# -- file servers ---------------------------------------------------------------------------------


class Files(BaseHTTPRequestHandler):
    """Gives ranges of `server.data`."""

    protocol_version = "HTTP/1.1"
    server: "FileServer"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.before()
        if isinstance(self.connection, ssl.SSLSocket):
            self.server.shown.append(self.connection.getpeercert())
        if self.server.elsewhere:
            self.send_response(307)
            self.send_header("Location", self.server.elsewhere)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.server.paths.append(self.path)
            return
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = self.server.data[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.server.data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        self.server.paths.append(self.path)

    def log_message(self, *words: object) -> None:
        """Nothing."""


class FileServer(ThreadingHTTPServer):
    """A file server that is not the cloud's; with the cloud's certificate, if it has one.

    before       called at each request
    paths        asked for so far
    connections  taken so far
    shown        the certificates that its visitors showed, None for none
    elsewhere    where it redirects to, instead of giving anything
    """

    daemon_threads = True

    def __init__(self, certificate: Path | None = None, ca: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Files)
        self.data = b""
        self.before: Callable[[], None] = lambda: None
        self.paths: list[str] = []
        self.connections = 0
        self.shown: list[dict | None] = []
        self.elsewhere = ""
        self.host = f"{'localhost' if certificate else '127.0.0.1'}:{self.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # it asks, and looks at what it is shown
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )  # a handshake is for the connection's own thread, not for who accepts them

    def __enter__(self) -> "FileServer":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *words: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def files() -> Iterator[FileServer]:
    """One that speaks HTTP."""
    with FileServer() as server:
        yield server


@pytest.fixture
def https(cloud, tmp_path) -> Iterator[FileServer]:
    """One with a certificate of the cloud's CA."""
    key, certificate = Authority(cloud.state).server()
    (tmp_path / "server.pem").write_bytes(key + certificate)
    with FileServer(tmp_path / "server.pem", cloud.state.root_ca) as server:
        yield server


@pytest.fixture
def another(cloud, tmp_path) -> Iterator[FileServer]:
    """A second one, on another port."""
    key, certificate = Authority(cloud.state).server()
    (tmp_path / "another.pem").write_bytes(key + certificate)
    with FileServer(tmp_path / "another.pem", cloud.state.root_ca) as server:
        yield server


# -- the conversation ----------------------------------------------------------------------------


SENDS = """
async def main(link):
    send = link.send

    def watched(data):
        print("SENT", bytes(data))
        return send(data)

    link.send = watched
"""
# fmt: off
OURS = {  # the document's messages in the order in which ours come, as the board's lines show them
    "connack":   r"mqtt linked",
    "version":   r"^SENT b'2.*shadow/update.*1\.0\.0",
    "subscribe": r"^SENT b'\\x82.*jobs/notify-next\\x01",
    "answers":   r"^SENT b'\\x82.*jobs/\+/update/\+",
    "puback":    r"^SENT b'@\\x02",
    "job":       r"agent IDLE job",
    "download":  r"^SENT b'2.*jobs/<jobId>/update.*download_firmware",
    "request":   "",  # as the file server has it
    "apply":     r"^SENT b'2.*jobs/<jobId>/update.*apply_firmware",
    "reboot":    r"^reset: machine.reset",
    "again":     r"^SENT b'2.*shadow/update.*1\.1\.0",
    "succeeded": r'^SENT b.2.*jobs/<jobId>/update.*"nextState": "none"',
}
OTHERWISE = {  # those that are seen elsewhere, or never
    "connect":     "it is out before the application runs; CONNACK answers it",
    "accepted":    "what the spy hears: one for each update, and the board waits for it",
    "response":    "the file server's; a wrong Content-Range is among the faults below",
    "unsubscribe": "notify-next stays subscribed: it tells that a job was withdrawn",
}
# fmt: on


def test_every_message_of_the_document_is_judged_or_accounted_for():
    said = json.loads(VECTORS.read_text())["messages"]
    assert {message["name"] for message in said} == {*OURS, *OTHERWISE} - {"again"}


def test_conversation_is_that_of_the_document_but_for_a_truthful_end(cloud, stage, spy, files):
    """The device's side as an application on the board sees it sent; the rest as it is heard."""
    scene = stage(cloud)
    scene.board.make()
    scene.board.write_file("/app.py", SENDS.encode())
    ears = spy(scene)
    board = scene.power_on()
    files.data = new = image("1.1.0", SMALL)
    asked: list[int] = []  # how many lines the board had said at each request

    def request() -> None:
        board.wait_for(r"nextState.*download_firmware")
        asked.append(len(board.lines))

    files.before = request
    location = {"protocol": "http:", "host": files.host, "path": "images/app.bin"}
    job = ordered(scene, nrf(scene, new, location=location))
    succeeded(scene, job, new)
    assert ears.accepted("SUCCEEDED") == 1
    assert set(files.paths) == {"/images/app.bin"}
    assert (len(files.paths), files.connections) == (1, 1), "all is asked for at once"

    lines, at = board.lines, -1
    for name, pattern in OURS.items():
        if name == "request":
            assert at < asked[0]
            at = asked[-1] - 1
            continue
        pattern = pattern.replace("<jobId>", job)
        found = [n for n in range(at + 1, len(lines)) if re.search(pattern, lines[n])]
        assert found, (name, lines[max(at, 0) :])
        at = found[0]

    heard = list(ears.heard)
    told = [body["clientToken"] for topic, body in heard if topic == f"jobs/{job}/update"]
    accepted = [
        body.get("clientToken") for topic, body in heard if topic == f"jobs/{job}/update/accepted"
    ]
    assert accepted == told, "each update is awaited, and accepted"
    states = [body["state"]["reported"] for topic, body in heard if topic == "shadow/update"]
    assert [state[KEY] for state in states][:2] == ["1.0.0", "1.1.0"], "at boot, and again"
    assert not ears.blocks


FORBIDDEN = """
from sluice.errors import Retry

async def main(link):
    publish = link.publish

    def judged(topic, *words, **named):
        if topic.startswith("$aws") and "/shadow/" in topic and topic.endswith("/update"):
            print("forbidden")
            link.close()
            raise Retry("disconnected")
        return publish(topic, *words, **named)

    link.publish = judged
"""


def test_policy_that_forbids_the_shadow_costs_two_sessions_and_no_more(cloud, stage):
    """AWS disconnects who publishes without the right to; the broker here does not."""
    for shadow in ("classic", "named", False):
        scene = stage(cloud, shadow=shadow)
        factory = image("1.0.0", app=FORBIDDEN)
        scene.board = Board(scene.root, scene.name, heap=HEAP, factory=factory)
        board = scene.power_on()
        for _ in range(2):
            job = scene.job({"operation": "echo", "text": "hello"})
            assert scene.settled(job).status == "SUCCEEDED"
        assert sum("forbidden" in line for line in board.lines) == 2
        assert sum("mqtt linked" in line for line in board.lines) == 3


def test_shadow_is_not_told_where_it_is_not_wanted(cloud, stage, spy):
    scene = stage(cloud, report_version="")
    ears = spy(scene)
    scene.power_on()
    ears.say("jobs/notify-next", {"timestamp": 1})
    soon(lambda: any(topic == "jobs/notify-next" for topic, _ in ears.heard))
    assert not any(topic == "shadow/update" for topic, _ in ears.heard)


def test_image_of_full_size_arrives_with_a_heap_of_80_kb(cloud, stage):
    scene = stage(cloud)
    scene.board.heap = "112k"
    scene.power_on()
    new = image("1.1.0")
    job = scene.deploy(new, protocol="http")
    succeeded(scene, job, new)
    assert scene.fits, scene.tail


def test_configuration_decides_where_both_protocols_are_offered(cloud, stage, spy):
    for protocol in ("http", "mqtt"):
        scene = stage(cloud, protocol=protocol)
        ears = spy(scene)
        scene.power_on()
        new = image("1.1.0", SMALL)
        document = scene.document(new, {"protocols": ["MQTT", "HTTP"]})
        document["afr_ota"]["files"][0]["update_data_url"] = placeholder(scene, new)
        succeeded(scene, ordered(scene, document), new)
        assert bool(ears.blocks) == (protocol == "mqtt")
        scene.board.stop()


# -- what may happen on the way ------------------------------------------------------------------

# fmt: off
PASSING = {
    "answers_in_chunks":       {"chunk_body": {}},
    "connections_not_kept":    {"close_after": {}},
    "bodies_cut_off":          {"cut_body": {"times": 2, "after": 20_000}},
    "server_busy":             {"fail_http": {"times": 2, "code": 503}},
    "redirects_on_the_host":   {"redirect": {}},
    "update_rejected":         {"reject": {"topic": "/update", "code": "RequestThrottled", "times": 1}},  # noqa: E501
    "no_ranges":               {"ignore_range": {}},
    "address_expired":         {"age_url": {"s": LIFETIME_S, "times": 2}},
}
FINAL = {
    "range_of_other_bytes":    ({"shift_range": {}}, "wrong Content-Range"),
    "redirect_to_elsewhere":   ({"redirect": {"to": "http://example.com"}},
                                "not in download_hosts: http://example.com"),
    "redirects_without_end":   ({"redirect": {}, "redirect_again": {}}, "too many redirects"),
    "file_too_short":          ({"fail_http": {"code": 416}}, "file is shorter than the job says"),
    "file_not_there":          ({"fail_http": {"code": 404}}, "http 404"),
    "address_always_expired":  ({"age_url": {"s": LIFETIME_S}},
                                "address of the file refused: http 403"),
    "no_ranges_when_resuming": ({"ignore_range": {}, "cut_body": {"times": 1, "after": 100_000}},
                                "file server gives no ranges"),
}
# fmt: on


@pytest.mark.parametrize("fault", PASSING)
def test_download_survives(faulty, stage, fault):
    scene = stage(faulty(**PASSING[fault]))
    scene.power_on()
    new = image("1.1.0", SMALL)
    succeeded(scene, ordered(scene, nrf(scene, new)), new)
    refused = sum(
        "DOWNLOADING Retry address of the file refused: http 403" in line
        for line in scene.board.lines
    )
    assert refused == (2 if fault == "address_expired" else 0)


@pytest.mark.parametrize("fault", FINAL)
def test_download_ends_for_good_with(faulty, stage, fault):
    rules, reason = FINAL[fault]
    scene = stage(faulty(**rules))
    scene.power_on()
    verdict = scene.verdict(ordered(scene, nrf(scene, image("1.1.0", SMALL))))
    assert (verdict.status, verdict.reason) == ("FAILED", reason)
    assert scene.running[0] == "ota_0" and not scene.trials


def test_download_with_a_fresh_address_goes_on_where_it_was(faulty, stage):
    """Unsigned, so that nothing but the address tells that it is the same image."""
    rules = {"ignore_range": {"times": 1}, "cut_body": {"times": 1, "after": 100_000}}
    scene = stage(faulty(**rules), allow_unsigned=True)
    scene.power_on()
    new = image("1.1.0", SMALL)
    document = nrf(scene, new)
    del document["sig-sha256-ecdsa"]
    succeeded(scene, ordered(scene, document), new)
    assert scene.had == [0, 65_536]


def test_file_that_is_not_what_the_document_says_is_not_taken(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    new = image("1.1.0", SMALL)
    before = scene.board.slot_bytes("ota_1")
    for changes, reason in (
        ({"size": SMALL - 1}, "file size is not the server's"),
        ({"size": SMALL + 1}, "file size is not the server's"),
        ({"sig-sha256-ecdsa": scene.signature(b"another")}, "bad signature"),  # the last: it comes
    ):
        assert scene.board.slot_bytes("ota_1") == before, "found before anything is written"
        verdict = scene.verdict(ordered(scene, nrf(scene, new, **changes)))
        assert (verdict.status, verdict.reason) == ("FAILED", reason)
    assert scene.running[0] == "ota_0" and not scene.trials


def test_file_that_is_longer_than_the_document_says_is_not_taken(faulty, stage):
    """From a server that knows neither ranges nor its length."""
    scene = stage(faulty(ignore_range={}, chunk_body={}))
    scene.power_on()
    verdict = scene.verdict(ordered(scene, nrf(scene, image("1.1.0", SMALL), size=SMALL - 1)))
    assert (verdict.status, verdict.reason) == ("FAILED", "file is longer than the job says")


def test_document_that_will_not_do_is_rejected(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    new = image("1.1.0", SMALL)
    for changes, reason in (
        ({"sig-sha256-ecdsa": None}, "no signature"),
        ({"size": None}, "job document lacks or misstates size"),
        ({"size": 1_568_769}, "image larger than the slot 1568769 1568768"),
        ({"operation": "modem_fw_update"}, "unknown operation modem_fw_update"),
        ({"location": {"url": "ftp://files/app.bin"}}, "not an address of a file at url"),
        ({"location": {"protocol": "http:", "host": "h"}}, "job document lacks or misstates path"),
        ({"location": {"protocol": "http:", "path": "p"}}, "job document lacks or misstates host"),
        ({"location": {"url": "http://10.0.0.5/a?key"}}, "not in download_hosts: http://10.0.0.5"),
        ({"location": {"url": "https://h:70000/a"}}, "not an address of a file: port"),
        ({"location": {"url": "https://u:p@h/a"}}, "not an address of a file: user name"),
        (
            {"location": {"url": "https://[::1]/a"}},
            "not an address of a file: IPv6 is not supported",
        ),
    ):
        verdict = scene.verdict(ordered(scene, nrf(scene, new, **changes)))
        assert (verdict.status, verdict.reason) == ("REJECTED", reason)


# -- HTTPS ---------------------------------------------------------------------------------------


def test_image_arrives_by_https_from_an_address_in_parts(cloud, stage, https):
    scene = stage(cloud)
    scene.power_on()
    https.data = new = image("1.1.0", SMALL)
    location = {"host": https.host, "path": "images/app.bin"}  # nRF's agent looks at no more
    succeeded(scene, ordered(scene, nrf(scene, new, location=location)), new)
    assert https.paths == ["/images/app.bin"]


def test_image_arrives_by_https_from_a_long_address_with_a_heap_of_80_kb(cloud, stage, https):
    """As AWS makes them: 1,500 characters, most of them a session's token."""
    scene = stage(cloud)
    scene.board.heap = "112k"
    scene.power_on()
    https.data = new = image("1.1.0", SMALL)
    address = f"https://{https.host}/app.bin?X-Amz-Security-Token="
    location = {"url": address.ljust(1_500, "t")}
    succeeded(scene, ordered(scene, nrf(scene, new, location=location)), new)
    assert len(https.paths) == 1 and scene.fits, scene.tail


def test_server_whose_certificate_is_not_trusted_gets_no_request(cloud, stage, https, tmp_path):
    """The file server is asked again, with ever longer pauses, as it may be mended."""
    scene = stage(cloud, http_ca="signer.crt")
    board = scene.power_on()
    https.data = new = image("1.1.0", SMALL)
    location = {"url": f"https://{https.host}/app.bin"}
    job = ordered(scene, nrf(scene, new, location=location))
    board.wait_for("untrusted server")
    assert scene.now(job).status == "IN_PROGRESS" and not https.paths


# -- where files come from, and what servers learn -----------------------------------------------


def at(server: FileServer) -> dict:
    """The location of the image on a server."""
    return {"url": f"https://{server.host}/app.bin"}


def test_rogue_file_server_under_the_trusted_ca_is_shown_no_certificate(cloud, stage, https):
    scene = stage(cloud, download_hosts=[])
    scene.power_on()
    https.data = new = image("1.1.0", SMALL)
    succeeded(scene, ordered(scene, nrf(scene, new, location=at(https))), new)
    assert https.shown == [None]


def test_certificate_is_shown_where_it_is_configured_and_not_behind_a_redirect(
    cloud, stage, https, another
):
    scene = stage(cloud, http_client_certificate=True)
    scene.power_on()
    https.elsewhere = f"https://{another.host}/moved.bin"
    another.data = new = image("1.1.0", SMALL)
    succeeded(scene, ordered(scene, nrf(scene, new, location=at(https))), new)
    assert len(https.shown) == 1 and None not in https.shown
    assert another.shown == [None]
    assert set(another.paths) == {"/moved.bin"}


def test_redirect_to_a_host_that_is_not_listed_is_not_followed(cloud, stage, https, another):
    scene = stage(cloud, download_hosts=[https.host])
    scene.power_on()
    https.elsewhere = f"https://{another.host}/app.bin"
    another.data = new = image("1.1.0", SMALL)
    verdict = scene.verdict(ordered(scene, nrf(scene, new, location=at(https))))
    reason = f"not in download_hosts: https://{another.host}"
    assert (verdict.status, verdict.reason) == ("FAILED", reason)
    assert not another.connections and len(https.paths) == 5, "a captive portal may go away"


def test_host_that_is_not_listed_is_not_asked_and_nothing_is_written(cloud, stage, https):
    scene = stage(cloud, download_hosts=["files.example.com"])
    scene.power_on()
    before = scene.board.slot_bytes("ota_1")
    https.data = new = image("1.1.0", SMALL)
    verdict = scene.verdict(ordered(scene, nrf(scene, new, location=at(https))))
    reason = f"not in download_hosts: https://{https.host}"
    assert (verdict.status, verdict.reason) == ("REJECTED", reason)
    assert not https.connections and scene.board.slot_bytes("ota_1") == before


def test_captive_portal_that_goes_away_costs_no_job(faulty, stage):
    for rules in (
        {"redirect": {"to": "http://portal.example", "times": 2, "code": 302}},
        {"fail_http": {"times": 2, "code": 200}},
    ):
        scene = stage(faulty(**rules))
        scene.power_on()
        new = image("1.1.0", SMALL)
        succeeded(scene, ordered(scene, nrf(scene, new)), new)
        scene.board.stop()
