"""`sluice cloud run`: the parts of the cloud put together, started, watched and ended."""

import json
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

from host_tools.cloud.faults import Faults
from host_tools.cloud.http.faults import HTTPFaults
from host_tools.cloud.http.rest import REST
from host_tools.cloud.http.server import Handler, WebServer
from host_tools.cloud.jobs.api import JobCalls
from host_tools.cloud.jobs.events_api import EventCalls
from host_tools.cloud.jobs.executions import Executions
from host_tools.cloud.jobs.executions_api import ExecutionCalls
from host_tools.cloud.jobs.ota_updates import UpdateCalls
from host_tools.cloud.jobs.over_https import DeviceCalls
from host_tools.cloud.jobs.over_mqtt import Jobs
from host_tools.cloud.jobs.rollout import Rollouts
from host_tools.cloud.jobs.templates_api import TemplateCalls
from host_tools.cloud.mqtt.broker import Broker, is_ours, port_is_free
from host_tools.cloud.mqtt.publish import PublishCalls
from host_tools.cloud.mqtt.service import Service, of_things
from host_tools.cloud.names import ACCOUNT, REGION
from host_tools.cloud.product.platform import Products
from host_tools.cloud.s3 import presigned
from host_tools.cloud.s3.boards import ForBoards, board_key
from host_tools.cloud.s3.bucket import Bucket
from host_tools.cloud.s3.face import S3
from host_tools.cloud.shadow.api import ShadowCalls
from host_tools.cloud.shadow.over_mqtt import Shadows
from host_tools.cloud.state import State, write_atomically
from host_tools.cloud.store import open_store
from host_tools.cloud.streams.api import StreamCalls
from host_tools.cloud.streams.over_mqtt import Streams
from host_tools.cloud.tags import TagCalls
from host_tools.cloud.things.api import ThingCalls
from host_tools.cloud.things.ca import Authority
from host_tools.cloud.things.groups import Groups
from host_tools.cloud.things.groups_api import GroupCalls
from host_tools.cloud.things.policies_api import PolicyCalls
from host_tools.cloud.things.things import Things
from host_tools.errors import SluiceError
from host_tools.fleet.folder import LOCAL_HOSTS
from host_tools.signing import load_key, new_key, sign_base64

MQTT_PORT = 8883
HTTP_PORT = 8080
TICK_S = 0.1  # how often timers, the broker and other processes' changes are looked at
DEATHS, DEATHS_S = 5, 60  # of the broker, in such a time: it cannot be kept up
LOG = logging.getLogger("sluice.cloud")


@contextmanager
def opened(state: State) -> Iterator[Things]:
    """The store and the authority of a state folder, with its signing key; made at first use."""
    with open_store(state.database) as store:
        with store.transaction():  # also keeps other processes from making keys meanwhile
            authority = Authority(state)
            if not state.signer_key.exists():
                new_key(state.signer_key)
        yield Things(store, authority)


class Cloud:
    """Everything that runs. Use it from the main thread (see `broker`)."""

    def __init__(
        self, state: State, things: Things, faults: Faults, listen: str | None = None
    ) -> None:
        self.state = state
        self.store = things.store
        self.things = things
        self.faults = faults
        self.listen = listen
        self.broker = Broker(state, things, things.authority, listen)
        self.service = Service(state, self.broker, things, things.authority, faults)
        self.bucket = Bucket(self.store, state.objects)
        self._key = board_key(self.store) if listen else presigned.PUBLIC
        now = self.store.clock(time.time)
        expander = presigned.Expander(self._for_boards, now, self._signature, self._key)
        self.executions = Executions(self.store, now, expander.document)
        self.rollouts = Rollouts(self.executions)
        self.jobs = Jobs(self.executions)
        self.streams = Streams(self.store, self.bucket)
        self.shadows = Shadows(self.store, now)
        self.products = Products(self.store, now, expander.text)
        self.web: WebServer | None = None
        self.boards: WebServer | None = None  # the same bucket, for who is on the network
        self._deaths: deque[float] = deque(maxlen=DEATHS)  # times
        self._version = None

    def start(self, port: int | None, http_port: int | None) -> None:
        """Start all parts; afterwards cloud.json is there."""
        self.bucket.sweep()
        self.broker.start(self._port("mqtt_port", port, MQTT_PORT))
        self.service.start(
            {
                "$aws/things/+/jobs/#": of_things(self.jobs.handle),
                "$aws/things/+/streams/#": of_things(self.streams.handle),
                "$aws/things/+/shadow/#": of_things(self.shadows.handle),
                "thing/product/+/services_reply": self.products.handle,
                "thing/product/+/events": self.products.handle,
            }
        )
        self.web = self._serve(self._port("http_port", http_port, HTTP_PORT))
        if self.listen:
            s3 = HTTPFaults(self.faults, S3(self.bucket, key=self._key))
            handlers = {"s3": ForBoards(s3, self._key)}
            self.boards = serving(self.web.server_port, handlers, self.listen)
        self._announce()

    def _port(self, name: str, chosen: int | None, default: int) -> int:
        """The port asked for, else that of the last run or the usual one if free, else 0."""
        if chosen is not None:
            if chosen and not port_is_free(chosen):
                raise SluiceError(f"port {chosen} is in use")
            return chosen
        usual = int(self.store.setting(name) or default)
        return usual if port_is_free(usual) else 0

    def _serve(self, port: int) -> WebServer:
        streams = StreamCalls(self.store, self.bucket)
        jobs = JobCalls(self.executions, self.bucket, self.service.publish)
        executions = ExecutionCalls(self.executions, self.service.publish)
        updates = UpdateCalls(self.store, self.bucket, streams, jobs, time.time, self._signature)
        things = ThingCalls(self.things, self.broker.refresh, self._endpoint)
        policies = PolicyCalls(self.things, time.time)
        groups = GroupCalls(Groups(self.store), self.things, time.time)
        templates, tags = TemplateCalls(self.executions, self.bucket), TagCalls(self.store)
        events = EventCalls(self.store, time.time)
        control = {}
        for calls in (things, policies, groups, streams, jobs, executions, updates):
            control |= calls.operations()
        for calls in (templates, tags, events):
            control |= calls.operations()
        device = DeviceCalls(self.jobs, self.service.publish)
        shadows = ShadowCalls(self.shadows, self.service.publish)
        publishing = PublishCalls(self.service.forward)
        services = (
            REST("iot", control),
            REST("iot-jobs-data", device.operations()),
            REST("iot-data", shadows.operations() | publishing.operations()),
        )
        handlers = {service.signing_name: service for service in services}
        return serving(port, {"s3": HTTPFaults(self.faults, S3(self.bucket)), **handlers})

    def _announce(self) -> None:
        self.store.remember("mqtt_port", str(self.broker.port))
        self.store.remember("http_port", str(self.web.server_port))
        point_at(self.state, self.broker.port)
        about = {
            "endpoint": "localhost",
            "mqtt_port": self.broker.port,
            "http_endpoint": self.endpoint,
            "ca": str(self.state.root_ca.resolve()),
            "region": REGION,
            "account": ACCOUNT,
        }
        write_atomically(self.state.ready, json.dumps(about, indent=2) + "\n")

    @property
    def endpoint(self) -> str:
        """What boto3 gets as endpoint_url."""
        return self.web.endpoint

    def _for_boards(self) -> str:
        return (self.boards or self.web).endpoint

    def _endpoint(self, kind: str) -> str:
        return "localhost" if kind.startswith("iot:Data") else f"127.0.0.1:{self.web.server_port}"

    def _signature(self, bucket: str, key: str, version: str | None) -> str | None:
        """The signature of an object by the cloud's own signing key, base64 of DER."""
        found = self.bucket.find(bucket, key, version)
        if found is None or found.size == 0:
            return None
        return sign_base64(found.file, load_key(self.state.signer_key))

    def tick(self) -> None:
        """What has to be looked at now and then; SluiceError when the broker cannot be kept up."""
        version = self.store.row("PRAGMA data_version")[0]
        if version != self._version:  # another process wrote: a thing was created
            self._version = version
            self.broker.refresh()
        self.service.publish(self.executions.expire())
        self.service.publish(self.rollouts.due())
        self.service.publish(self.products.due())
        try:
            if self.faults.refresh():
                LOG.warning("the faults are others now")
        except SluiceError as error:
            LOG.error("%s", error)
        if not self.broker.alive:
            if keeps_dying(self._deaths, time.monotonic()):
                raise SluiceError(f"mosquitto keeps dying: {self.broker.complaint()}")
            LOG.warning("mosquitto has died: %s; starting it again", self.broker.complaint())
            self.broker.start(self.broker.port)
            LOG.warning("mosquitto: it is up again")

    def stop(self) -> None:
        """End all parts, in the order in which nobody misses the others."""
        self.state.ready.unlink(missing_ok=True)
        for web in (self.boards, self.web):
            if web is not None:
                web.shutdown()
                web.server_close()
        self.service.stop()
        self.broker.stop()


def keeps_dying(deaths: deque[float], now_s: float) -> bool:
    """Note that the broker has died; whether that was once too often in a short time."""
    often = len(deaths) == DEATHS and now_s - deaths[0] < DEATHS_S
    deaths.append(now_s)
    return often


def serving(port: int, handlers: dict[str, Handler], address: str = "127.0.0.1") -> WebServer:
    """A web server that serves. SluiceError when the port is not to be had there."""
    try:
        web = WebServer(port, handlers, address)
    except OSError as error:
        where = f"port {port} of {address}"
        raise SluiceError(f"cannot listen on {where}: {error.strerror}") from None
    threading.Thread(target=web.serve_forever, args=(TICK_S,), daemon=True).start()
    return web


def point_at(state: State, port: int) -> None:
    """Correct the port in the configurations of things that were created for another; those that
    were created before there was a list of hosts get theirs."""
    for file in state.root.glob("things/*/config.json"):
        try:
            config = json.loads(file.read_text())
        except ValueError:
            config = None
        if not isinstance(config, dict):
            raise SluiceError(f"{file} is not a JSON object")
        here = {"download_hosts": list(LOCAL_HOSTS)} | config | {"port": port}
        if config.get("endpoint") == "localhost" and config != here:
            config = here
            mode = S_IMODE(file.stat().st_mode)  # there may be the Wi-Fi's password in it
            write_atomically(file, json.dumps(config, indent=2) + "\n", mode)


def run(
    root: Path,
    port: int | None,
    http_port: int | None,
    faults: Path | None,
    listen: str | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    if listen and not is_ours(listen):
        raise SluiceError(f"{listen} is no address of this machine to listen at")
    state = State(root)
    lock = state.lock()
    if lock is None:
        raise SluiceError(f"a cloud runs in {root} already")
    ended: list[int] = []  # no Event: setting one within its own wait waits for ever
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: ended.append(number))
    state.ready.unlink(missing_ok=True)
    with lock, opened(state) as things:
        cloud = Cloud(state, things, Faults(faults), listen)
        try:
            cloud.start(port, http_port)
            where = f"mqtts://localhost:{cloud.broker.port} and {cloud.endpoint}"
            print(f"cloud ready at {where}, state in {root}", flush=True)
            while not ended:
                cloud.tick()
                time.sleep(TICK_S)
        finally:
            cloud.stop()
