"""The real cloud: mutual TLS, who may reach what, restarts, deaths."""

import base64
import contextlib
import errno
import json
import os
import queue
import signal
import socket
import ssl
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import FUSE_S

from sluice.cloud.mqtt import client, security_plugin
from sluice.cloud.mqtt.broker import port_is_free
from sluice.cloud.names import arn
from sluice.cloud.run import DEATHS, DEATHS_S, keeps_dying
from sluice.cloud.state import State
from sluice.cloud.store import Store
from sluice.cloud.things.things import thing_policy
from sluice.errors import SluiceError


def wait(condition, what: str) -> None:
    deadline = time.monotonic() + FUSE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def brokers(cloud) -> list[int]:
    """The processes that run with this cloud's mosquitto.conf."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            if str(cloud.state.broker / "mosquitto.conf").encode() in line:
                found.append(int(folder.name))
    return found


def deploy(cloud, thing: str, data: bytes, job: str) -> None:
    """A job that holds an OTA update of `data`, by boto3 alone."""
    s3, iot = cloud.client("s3"), cloud.client("iot")
    s3.create_bucket(Bucket="images")
    s3.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="images", Key="image.bin", Body=data)["VersionId"]
    where = {"bucket": "images", "key": "image.bin", "version": version}
    signature = {"signature": {"inlineDocument": b"0D"}, "hashAlgorithm": "SHA256"}
    signature |= {"signatureAlgorithm": "ECDSA", "certificateChain": {"certificateName": "s.crt"}}
    file = {
        "fileName": "image.bin",
        "fileLocation": {"s3Location": where},
        "codeSigning": {"customCodeSigning": signature},
    }
    iot.create_ota_update(
        otaUpdateId=job,
        targets=[arn("thing", thing)],
        files=[file],
        roleArn="arn:aws:iam::123456789012:role/any",
    )


def fetch(board, first: int, count: int, size: int = 4096) -> bytes:
    """Blocks of the thing's next job."""
    path, body = board.ask("jobs/$next/get", b"")
    stream = body["execution"]["jobDocument"]["afr_ota"]["streamname"]
    board.publish(f"streams/{stream}/get/json", {"f": 0, "l": size, "o": first, "n": count})
    found = {}
    while len(found) < count:
        path, body = board.next()
        assert path == f"streams/{stream}/data/json", body
        found[body["i"]] = base64.b64decode(body["p"])
    return b"".join(found[index] for index in sorted(found))


def test_device_hears_of_an_update_and_streams_it(cloud, device):
    board = device(cloud, "streamer")
    data = os.urandom(100_000)
    deploy(cloud, "streamer", data, "streamed")
    (first, _), (second, body) = board.next(), board.next()
    assert (first, second) == ("jobs/notify", "jobs/notify-next")
    assert body["execution"]["jobId"] == "AFR_OTA-streamed"
    assert fetch(board, 0, 25) == data
    path, body = board.ask("jobs/AFR_OTA-streamed/update", {"status": "SUCCEEDED"})
    assert path == "jobs/AFR_OTA-streamed/update/accepted"


@pytest.mark.parametrize("size", [98_304, 131_072])
def test_device_gets_blocks_of_the_largest_sizes(cloud, device, size):
    board = device(cloud, f"large-{size}")
    data = os.urandom(size)
    deploy(cloud, f"large-{size}", data, f"large-{size}")
    board.next(), board.next()
    assert fetch(board, 0, 1, size) == data


def test_device_reaches_its_own_topics_only(cloud, device):
    board, other = device(cloud, "mine"), device(cloud, "theirs")
    foreign = ("$aws/things/theirs/#", "#", "$aws/#", "$SYS/#", "$CONTROL/#", "thing/product/#")
    assert all(code.is_failure for code in board.subscribe(*foreign))
    board.subscribe("thing/product/mine/#")
    other.subscribe("sluice/theirs/#")

    board.client.publish("sluice/theirs/log", b"not allowed", 1)
    board.client.publish("thing/product/theirs/services", b"not allowed", 1)
    board.client.publish("$aws/things/theirs/jobs/get", b"", 1).wait_for_publish(FUSE_S)
    other.client.publish("sluice/theirs/log", b"own", 1)
    assert other.message().payload == b"own"
    assert other.ask("jobs/theirs/get")[0] == "jobs/theirs/get/rejected"

    board.client.publish("thing/product/mine/events", b"own", 1)
    assert board.message().topic == "thing/product/mine/events"


def test_second_session_of_a_client_id_ends_the_first(cloud, device):
    first = device(cloud, "twin", listen=False)
    first.client.reconnect_delay_set(60, 60)
    device(cloud, "twin", listen=False)
    assert first.lost.get(timeout=FUSE_S) is not None


def context(cloud, thing: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(cloud.state.root_ca))
    if thing:
        files = cloud.state.thing(thing)
        made.load_cert_chain(files / "certificate.pem.crt", files / "private.pem.key")
    return made


def hello(cloud, made: ssl.SSLContext, host: str = "localhost") -> bytes:
    """Shake hands, say CONNECT, and read the answer; b"" when the broker hangs up."""
    port = json.loads(cloud.state.ready.read_text())["mqtt_port"]
    raw = socket.create_connection((host, port), timeout=FUSE_S)
    with raw, made.wrap_socket(raw, server_hostname=host) as secure:
        secure.sendall(bytes.fromhex("100d00044d5154540402003c000161"))
        return secure.recv(4)


def test_nobody_waits_for_more_before_sending_what_is_small(cloud):
    """Else the last blocks of an answer wait for an acknowledgement that comes 40 ms later."""
    lines = (cloud.state.broker / "mosquitto.conf").read_text().splitlines()
    assert "set_tcp_nodelay true" in lines
    broker = SimpleNamespace(
        state=cloud.state,
        service_certificate=cloud.state.broker / "service.crt",
        service_key=cloud.state.broker / "service.key",
    )
    made = client.own(broker, "in-haste")
    made.connect("localhost", cloud.state.running()["mqtt_port"])
    try:
        assert made.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        made.disconnect()


def test_broker_certificate_is_good_for_this_machine(cloud):
    cloud.thing("caller")
    for host in ("localhost", "127.0.0.1"):
        assert hello(cloud, context(cloud, "caller"), host) == bytes.fromhex("20020000")


def test_broker_listens_for_boards_where_it_is_told_to(listening_cloud):
    cloud = listening_cloud
    cloud.thing("caller")
    for host in ("localhost", "127.0.0.2"):
        assert hello(cloud, context(cloud, "caller"), host) == bytes.fromhex("20020000")
    with pytest.raises(OSError):
        hello(cloud, context(cloud, "caller"), "127.0.0.3")


def test_client_without_a_certificate_is_turned_away(cloud):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        if hello(cloud, context(cloud, None)) == b"":
            raise ConnectionError


def test_client_with_a_foreign_certificate_is_turned_away(cloud, tmp_path, command):
    done = command("thing", "create", "stranger", "--state", tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    made = context(cloud, None)
    files = tmp_path / "elsewhere/things/stranger"
    made.load_cert_chain(files / "certificate.pem.crt", files / "private.pem.key")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        if hello(cloud, made) == b"":
            raise ConnectionError


def test_detached_certificate_loses_its_rights_without_a_restart(cloud, device):
    board = device(cloud, "leaver")
    assert board.ask("jobs/get")[0] == "jobs/get/accepted"
    iot = cloud.client("iot")
    [principal] = iot.list_thing_principals(thingName="leaver")["principals"]
    iot.detach_thing_principal(thingName="leaver", principal=principal)

    def unanswered() -> bool:
        try:
            return board.ask("jobs/get") is None
        except queue.Empty:
            return True

    board.patience_s = 0.5
    wait(unanswered, "the certificate kept its rights")


def equip(state: State, thing: str, pem: str, key: str, port: int) -> None:
    """What `sluice thing create` writes, of which a Device makes use."""
    files = state.thing(thing)
    files.mkdir(parents=True)
    (files / "certificate.pem.crt").write_text(pem)
    (files / "private.pem.key").write_text(key)
    (files / "ca.pem").write_bytes(state.root_ca.read_bytes())
    config = {"thing": thing, "ca": "ca.pem", "port": port}
    config |= {"certificate": "certificate.pem.crt", "private_key": "private.pem.key"}
    (files / "config.json").write_text(json.dumps(config))


def test_boto3_sequence_yields_a_client_that_works(cloud, device):
    iot = cloud.client("iot")
    iot.create_thing(thingName="made-by-boto3")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="own", policyDocument=thing_policy())
    iot.attach_policy(policyName="own", target=made["certificateArn"])
    iot.attach_thing_principal(thingName="made-by-boto3", principal=made["certificateArn"])
    port = json.loads(cloud.state.ready.read_text())["mqtt_port"]
    key = made["keyPair"]["PrivateKey"]
    equip(cloud.state, "made-by-boto3", made["certificatePem"], key, port)
    board = device(cloud, "made-by-boto3")
    path, body = board.ask("jobs/get")
    assert (path, body["queuedJobs"]) == ("jobs/get/accepted", [])


def test_killed_cloud_leaves_no_broker_and_loses_nothing(own_cloud, device):
    before = own_cloud.start()
    board = device(own_cloud, "survivor")
    data = os.urandom(20_000)
    deploy(own_cloud, "survivor", data, "survives")
    board.next(), board.next()
    board.ask("jobs/start-next", {"stepTimeoutInMinutes": 30})
    assert fetch(board, 0, 2) == data[:8192]
    assert len(brokers(own_cloud)) == 1
    own_cloud.stop(signal.SIGKILL)
    wait(lambda: not brokers(own_cloud), "mosquitto outlived the cloud")
    assert own_cloud.state.ready.exists()  # stale, and not believed
    assert not own_cloud.state.alive

    after = own_cloud.start("--http-port=0")
    assert after["mqtt_port"] == before["mqtt_port"]
    board.close()
    board = device(own_cloud, "survivor")
    assert fetch(board, 2, 3) == data[8192:]
    path, body = board.ask("jobs/$next/get")
    assert body["execution"]["versionNumber"] == 2
    assert 1700 < body["execution"]["approximateSecondsBeforeTimedOut"] < 1800


def test_killed_broker_is_started_again_and_devices_return(own_cloud, device):
    own_cloud.start()
    board = device(own_cloud, "patient")
    [broker] = brokers(own_cloud)
    os.kill(broker, signal.SIGKILL)
    board.lost.get(timeout=FUSE_S)
    wait(lambda: brokers(own_cloud) not in ([], [broker]), "no new broker")
    wait(board.client.is_connected, "the device did not come back")
    board.listen()

    def answered() -> bool:
        try:
            return board.ask("jobs/get")[0] == "jobs/get/accepted"
        except queue.Empty:
            return False

    board.patience_s = 1
    wait(answered, "the service did not come back")
    assert "mosquitto has died" in own_cloud.log()


def test_broker_that_keeps_dying_ends_the_cloud_in_one_line(own_cloud):
    own_cloud.start()
    said = own_cloud.log
    for died in range(DEATHS + 1):
        wait(lambda n=died: said().count("it is up again") == n, "no new broker")
        [broker] = brokers(own_cloud)
        os.kill(broker, signal.SIGKILL)
    assert own_cloud.process.wait(FUSE_S) == 1
    last = said().splitlines()[-1]
    own_cloud.stop()
    assert last.startswith("sluice: mosquitto keeps dying: ")


def test_broker_that_dies_now_and_then_does_not():
    deaths = deque(maxlen=DEATHS)
    often = [keeps_dying(deaths, now_s) for now_s in range(0, 100 * DEATHS_S, DEATHS_S // DEATHS)]
    assert not any(often)
    assert keeps_dying(deaths, 100 * DEATHS_S - DEATHS_S // DEATHS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_cloud_leaves_nothing_behind(own_cloud, number):
    own_cloud.start()
    assert own_cloud.stop(number) == 0
    assert brokers(own_cloud) == []
    assert not own_cloud.state.ready.exists()


def test_step_timer_times_out_a_job_of_the_running_cloud(own_cloud, device):
    own_cloud.start()
    board = device(own_cloud, "slow")
    own_cloud.client("iot").create_job(
        jobId="slow", targets=[arn("thing", "slow")], document='{"operation":"wait"}'
    )
    board.next(), board.next()
    board.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    own_cloud.stop(signal.SIGKILL)
    store = Store(own_cloud.state.database)
    store.run("UPDATE executions SET step_deadline = ?", time.time() - 1)
    store.close()
    own_cloud.start()
    iot = own_cloud.client("iot")

    def status() -> str:
        found = iot.describe_job_execution(jobId="slow", thingName="slow")
        return found["execution"]["status"]

    wait(lambda: status() == "TIMED_OUT", "the timer was lost")


def test_plugin_is_found_beside_the_broker_or_where_it_is_said_to_be(tmp_path, monkeypatch):
    program = tmp_path / "usr/sbin/mosquitto"
    plugin = tmp_path / "usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    with pytest.raises(SluiceError, match="set \\$MOSQUITTO_DYNAMIC_SECURITY"):
        security_plugin.find(program)
    for file in (program, plugin):
        file.parent.mkdir(parents=True)
        file.touch()
    assert security_plugin.find(program) == plugin
    other = tmp_path / "other.so"
    monkeypatch.setenv("MOSQUITTO_DYNAMIC_SECURITY", str(other))
    with pytest.raises(SluiceError, match="no file"):
        security_plugin.find(program)
    other.touch()
    assert security_plugin.find(program) == other


def test_second_cloud_of_one_state_is_refused(own_cloud, command):
    own_cloud.start()
    done = command("cloud", "run", "--state", own_cloud.state.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"sluice: a cloud runs in {own_cloud.state.root} already\n"


def test_port_in_use_is_said_in_one_line(tmp_path, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("cloud", "run", "--state", tmp_path / "s", "--port", port)
    assert (done.returncode, done.stderr) == (1, f"sluice: port {port} is in use\n")


def test_port_that_is_not_to_be_had_is_not_said_to_be_in_use(monkeypatch):
    def denied(probe, address):  # root, as whom tests may run, is denied none
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(SluiceError, match="^cannot listen on port 80: Permission denied$"):
        port_is_free(80)


def test_thing_created_before_the_cloud_runs_is_pointed_at_its_port(own_cloud, device):
    own_cloud.thing("early")
    config = own_cloud.state.thing("early") / "config.json"
    assert json.loads(config.read_text())["port"] == 8883
    about = own_cloud.start()
    assert json.loads(config.read_text())["port"] == about["mqtt_port"]
    path, _ = device(own_cloud, "early").ask("jobs/get")
    assert path == "jobs/get/accepted"
