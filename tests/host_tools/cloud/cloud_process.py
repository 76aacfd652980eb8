"""The real cloud as a process, and a thing on its broker."""

import json
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import paho.mqtt.client as mqtt
from botocore.config import Config
from patience import FUSE_S
from typed import sluice

from sluice.cloud.state import State


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
            [sys.executable, "-m", "sluice.cli", "cloud", "run"]
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
