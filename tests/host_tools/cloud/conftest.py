"""A cloud without broker and clock for protocol tests, and the real one for the rest."""

import json
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import paho.mqtt.client as mqtt
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from patience import FUSE_S
from typed import sluice

from host_tools.cloud.http.sigv4 import Key
from host_tools.cloud.jobs.api import JobCalls
from host_tools.cloud.jobs.events_api import EventCalls
from host_tools.cloud.jobs.executions import Executions
from host_tools.cloud.jobs.executions_api import ExecutionCalls
from host_tools.cloud.jobs.ota_updates import UpdateCalls
from host_tools.cloud.jobs.over_mqtt import Jobs
from host_tools.cloud.jobs.rollout import Rollouts
from host_tools.cloud.jobs.templates_api import TemplateCalls
from host_tools.cloud.message import Message
from host_tools.cloud.names import arn
from host_tools.cloud.s3.bucket import Bucket
from host_tools.cloud.s3.presigned import Expander
from host_tools.cloud.shadow.over_mqtt import Shadows
from host_tools.cloud.state import State
from host_tools.cloud.store import Store
from host_tools.cloud.streams.api import StreamCalls
from host_tools.cloud.streams.over_mqtt import Streams
from host_tools.cloud.tags import TagCalls
from host_tools.cloud.things.groups import Groups
from host_tools.cloud.things.things import Things

KEY = Key("SLUICETESTS", "a secret that is none")  # of clouds without a state folder


class Signer(S3SigV4Auth):
    """botocore's signer for S3, of the payload that it is told."""

    def __init__(self, payload: str, key: Key) -> None:
        super().__init__(Credentials(*key), "s3", "us-east-1")
        self._payload = payload

    def payload(self, request: AWSRequest) -> str:
        return self._payload


def signed(method: str, url: str, payload: str, key: Key = KEY, **headers: str) -> dict[str, str]:
    """The headers of a request to S3, signed now."""
    request = AWSRequest(method, url, headers=headers)
    Signer(payload, key).add_auth(request)
    return dict(request.headers.items()) | {"Host": urlsplit(url).netloc}


class World:
    """The cloud's parts over a store, with a clock that only moves when told to."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.state = State(folder)
        self.store = Store(self.state.database)
        self.bucket = Bucket(self.store, self.state.objects)
        self.endpoint = "http://127.0.0.1:1234"  # of the bucket, in presigned URLs
        expander = Expander(lambda: self.endpoint, lambda: self.now, lambda *where: None, KEY)
        self.executions = Executions(self.store, lambda: self.now, expander.document)
        self.jobs = Jobs(self.executions)
        self.streams = Streams(self.store, self.bucket)
        self.shadows = Shadows(self.store, lambda: self.now)
        self.sent: list[Message] = []
        self.job_calls = JobCalls(self.executions, self.bucket, self.sent.extend)
        self.execution_calls = ExecutionCalls(self.executions, self.sent.extend)
        self.template_calls = TemplateCalls(self.executions, self.bucket)
        self.tag_calls = TagCalls(self.store)
        self.event_calls = EventCalls(self.store, lambda: self.now)
        self.rollouts = Rollouts(self.executions)
        self.groups = Groups(self.store)
        self.stream_calls = StreamCalls(self.store, self.bucket, lambda: self.now)
        self.updates = UpdateCalls(
            self.store,
            self.bucket,
            self.stream_calls,
            self.job_calls,
            lambda: self.now,
            lambda bucket, key, version: f"signature of {bucket}/{key}@{version}",
        )
        self.things = Things(self.store, None)
        self.things.create("pump")

    def job(self, name: str, document: Any = None, thing: str = "pump", **more: Any) -> None:
        """Create a job for a thing."""
        given = {"jobId": name, "targets": [arn("thing", thing)]}
        given["document"] = json.dumps(document or {"operation": "echo"})
        self.job_calls.create(given | more)

    def ask(self, path: str, request: Any = None, thing: str = "pump") -> list[tuple[str, Any]]:
        """Publish on `$aws/things/<thing>/<path>`; returns the answers as (path, decoded)."""
        payload = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
        service, *levels = path.split("/")
        handle = {
            "jobs": self.jobs.handle,
            "streams": self.streams.handle,
            "shadow": self.shadows.handle,
        }[service]
        return [self.read(message, thing) for message in handle(thing, levels, payload)]

    def read(self, message: Message, thing: str = "pump") -> tuple[str, Any]:
        """A message as (path, decoded JSON)."""
        return message.topic.removeprefix(f"$aws/things/{thing}/"), json.loads(message.payload)

    def notices(self) -> list[tuple[str, Any]]:
        """What the control plane's calls have published since the last look."""
        sent, self.sent[:] = [self.read(message) for message in self.sent], []
        return sent

    def meanwhile(self, happens: Callable[[], object]) -> None:
        """Have something happen just before the next transaction, as another thread may."""
        begin = self.store.transaction

        @contextmanager
        def late() -> Iterator[None]:
            del self.store.transaction
            happens()
            with begin():
                yield

        self.store.transaction = late

    def put(self, data: bytes, key: str = "image.bin", bucket: str = "images") -> str:
        """Store an object in a versioned bucket; returns its version."""
        self.bucket.create(bucket)
        self.bucket.set_versioning(bucket, "Enabled")
        return self.bucket.publish(bucket, key, self.bucket.write([data]), {})

    def stream(self, data: bytes, name: str = "flow", file: int = 0) -> None:
        """Make a stream of one file."""
        version = self.put(data)
        where = {"bucket": "images", "key": "image.bin", "version": version}
        files = [{"fileId": file, "s3Location": where}]
        self.stream_calls.create({"streamId": name, "files": files, "roleArn": "r" * 20})
        self.job(f"with-{name}", {"operation": "fetch", "stream": name})
        self.sent.clear()


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture
def command():
    """`sluice …` as a function."""
    return sluice


class RunningCloud:
    """`sluice cloud run` as a process."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.state = State(folder)
        self._options = options
        self.process: subprocess.Popen | None = None

    def start(self, *options: object) -> dict[str, Any]:
        """Start it and wait until it is ready; returns what cloud.json says."""
        options = options or self._options
        self.state.ready.unlink(missing_ok=True)  # of a cloud that was killed
        self._log = (self.state.root.parent / "cloud.log").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host_tools.cli", "cloud", "run"]
            + ["--state", str(self.state.root), *map(str, options)],
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + FUSE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.state.ready.exists() and self.state.alive:
                return json.loads(self.state.ready.read_text())
            time.sleep(0.05)
        raise AssertionError(f"the cloud did not start: {self.log()}")

    def log(self) -> str:
        """What it has printed so far."""
        self._log.seek(0)
        return self._log.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)  # none to one that has ended
        code = self.process.wait(FUSE_S)
        self.process = None
        self._log.close()
        return code

    def thing(self, name: str) -> str:
        """Create a thing with the command, once."""
        if not self.state.thing(name).exists():
            done = sluice("thing", "create", name, "--state", self.state.root)
            assert done.returncode == 0, done.stderr
        return name

    def client(self, service: str):
        """A boto3 client by endpoint_url alone, with the cloud's own key."""
        about = json.loads(self.state.ready.read_text())
        return boto3.client(
            service,
            endpoint_url=about["http_endpoint"],
            region_name=about["region"],
            aws_access_key_id=about["access_key"],
            aws_secret_access_key=about["secret_key"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=FUSE_S),
        )


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory):
    """One cloud for all tests that only add to it; each uses things of its own name."""
    made = RunningCloud(tmp_path_factory.mktemp("cloud") / "state", "--port=0", "--http-port=0")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_cloud(tmp_path: Path):
    """A cloud that the test may kill; it is not started yet."""
    made = RunningCloud(tmp_path / "state", "--port=0", "--http-port=0")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def listening_cloud(tmp_path_factory: pytest.TempPathFactory):
    """A cloud that listens at one address more, which nobody ends."""
    words = ("--port=0", "--http-port=0", "--listen=127.0.0.2")
    made = RunningCloud(tmp_path_factory.mktemp("listening") / "state", *words)
    made.start()
    yield made
    made.stop()


class Device:
    """A thing on the broker: what it gets goes into a queue."""

    patience_s: float = FUSE_S

    def __init__(self, files: Path, client_id: str = "") -> None:
        config = json.loads((files / "config.json").read_text())
        self.thing = config["thing"]
        self.topic = f"$aws/things/{self.thing}"
        self._got: queue.Queue = queue.Queue()
        self._connected: queue.Queue = queue.Queue()
        self._granted: queue.Queue = queue.Queue()
        self.lost: queue.Queue = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id or self.thing
        )
        self.client.tls_set(
            str(files / config["ca"]),
            str(files / config["certificate"]),
            str(files / config["private_key"]),
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda *a: self._connected.put(a[3])
        self.client.on_subscribe = lambda *a: self._granted.put(a[3])
        self.client.on_disconnect = lambda *a: self.lost.put(a[3])
        self.client.on_message = lambda client, userdata, message: self._got.put(message)
        self.client.connect("localhost", config["port"])
        self.client.loop_start()
        assert not self._connected.get(timeout=FUSE_S).is_failure

    def subscribe(self, *topics: str) -> list:
        """Subscribe at QoS 1; returns the reason codes."""
        self.client.subscribe([(topic, 1) for topic in topics])
        return self._granted.get(timeout=FUSE_S)

    def listen(self) -> "Device":
        """Subscribe to all answers and notices of jobs and streams."""
        answers = (
            "jobs/notify", "jobs/notify-next", "jobs/+/accepted", "jobs/+/rejected",
            "jobs/+/+/accepted", "jobs/+/+/rejected", "streams/+/description/+",
            "streams/+/data/+", "streams/+/rejected/+",
        )  # fmt: skip
        codes = self.subscribe(*(f"{self.topic}/{path}" for path in answers))
        assert not any(code.is_failure for code in codes), codes
        return self

    def publish(self, path: str, request: Any = None) -> None:
        """Publish below the thing's own topic, JSON or bytes."""
        payload = request if isinstance(request, bytes) else json.dumps(request or {})
        self.client.publish(f"{self.topic}/{path}", payload, 1)

    def message(self) -> mqtt.MQTTMessage:
        """The next message; queue.Empty after `patience_s`."""
        return self._got.get(timeout=self.patience_s)

    def next(self) -> tuple[str, Any]:
        """The next message as (path, decoded JSON)."""
        message = self.message()
        return message.topic.removeprefix(f"{self.topic}/"), json.loads(message.payload)

    def ask(self, path: str, request: Any = None) -> tuple[str, Any]:
        """Publish and take the next message."""
        self.publish(path, request)
        return self.next()

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device():
    """A function: (cloud, thing) → a connected Device that listens; closed at the end."""
    made: list[Device] = []

    def connect(cloud: RunningCloud, thing: str, listen: bool = True, **more: str) -> Device:
        made.append(Device(cloud.state.thing(cloud.thing(thing)), **more))
        return made[-1].listen() if listen else made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def connection(cloud, request):
    """A connection of AWS's device SDK as a thing of the test's own name, and that name."""
    from awsiot import mqtt_connection_builder  # slow: for the tests that need it

    name = "sdk-" + request.node.name.rsplit("_", 1)[-1]
    files = cloud.state.thing(cloud.thing(name))
    config = json.loads((files / "config.json").read_text())
    made = mqtt_connection_builder.mtls_from_path(
        endpoint=config["endpoint"],
        port=config["port"],
        ca_filepath=str(files / config["ca"]),
        cert_filepath=str(files / config["certificate"]),
        pri_key_filepath=str(files / config["private_key"]),
        client_id=name,
        clean_session=True,
        keep_alive_secs=30,
    )
    assert made.connect().result(FUSE_S) == {"session_present": False}
    yield made, name
    made.disconnect().result(FUSE_S)
