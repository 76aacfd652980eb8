"""`sluice cloud run`: the parts of the cloud put together, started, watched and ended."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.cloud.announce import announce, exposed, point_at, ready, unheard
from sluice.cloud.faults import Faults
from sluice.cloud.http.page import Page
from sluice.cloud.http.rest import REST
from sluice.cloud.http.server import Handler, WebServer
from sluice.cloud.http.signed import Signed, own_key
from sluice.cloud.http_faults import HTTPFaults
from sluice.cloud.index.api import IndexCalls
from sluice.cloud.jobs.api import JobCalls
from sluice.cloud.jobs.events_api import EventCalls
from sluice.cloud.jobs.executions import Executions
from sluice.cloud.jobs.executions_api import ExecutionCalls
from sluice.cloud.jobs.ota_updates import UpdateCalls
from sluice.cloud.jobs.over_https import DeviceCalls
from sluice.cloud.jobs.over_mqtt import Jobs
from sluice.cloud.jobs.rollout import Rollouts
from sluice.cloud.jobs.templates_api import TemplateCalls
from sluice.cloud.mqtt.broker import Broker, check_address, port_is_free
from sluice.cloud.mqtt.client import own, start, unguessable
from sluice.cloud.mqtt.control import Control
from sluice.cloud.mqtt.presence import Presence
from sluice.cloud.mqtt.publish import PublishCalls
from sluice.cloud.mqtt.service import Service, of_things
from sluice.cloud.names import HTTP_PORT, MQTT_PORT
from sluice.cloud.product.platform import Products
from sluice.cloud.s3 import presigned
from sluice.cloud.s3.boards import ForBoards
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.face import S3
from sluice.cloud.shadow.api import ShadowCalls
from sluice.cloud.shadow.over_mqtt import Shadows
from sluice.cloud.state import State
from sluice.cloud.store import open_store
from sluice.cloud.streams.api import StreamCalls
from sluice.cloud.streams.over_mqtt import Streams
from sluice.cloud.tags import TagCalls
from sluice.cloud.things.api import ThingCalls
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.certificates_api import CertificateCalls
from sluice.cloud.things.groups import Groups
from sluice.cloud.things.groups_api import GroupCalls
from sluice.cloud.things.policies_api import PolicyCalls
from sluice.cloud.things.rights import Access
from sluice.cloud.things.things import SERVICE, Things
from sluice.errors import SluiceError
from sluice.signing import load_key, new_key, sign_base64
from sluice.terminal import on_end

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
        things = Things(store, authority)
        things.adopt()
        yield things


class Cloud:
    """Everything that runs. Use it from the main thread (see `broker`)."""

    def __init__(
        self,
        state: State,
        things: Things,
        faults: Faults,
        listen: str | None = None,
        page: Page | None = None,
    ) -> None:
        self.state = state
        self.store = things.store
        self.things = things
        self.faults = faults
        self.listen = listen
        self.page = page
        self.control = Control(Access(self.store), state.security)
        self.broker = Broker(state, self.control, things.authority, listen)
        self.service = Service(self.broker, things, faults)
        self.presence = Presence(self.store, self.control, self.broker.log, self.service.end)
        self.bucket = Bucket(self.store, state.objects)
        self.key = own_key(self.store)
        now = self.store.clock(time.time)
        expander = presigned.Expander(self._for_boards, now, self._signature, self.key)
        self.executions = Executions(self.store, now, expander.document)
        self.rollouts = Rollouts(self.executions)
        self.jobs = Jobs(self.executions)
        self.streams = Streams(self.store, self.bucket)
        self.shadows = Shadows(self.store, now)
        self.products = Products(self.store, now, expander.text)
        self.web: WebServer | None = None
        self.missed: list[int] = []  # ports that were in use
        self.before = ""  # where the last run listened, and this one does not
        self.boards: WebServer | None = None  # the same bucket, for who is on the network
        self._deaths: deque[float] = deque(maxlen=DEATHS)  # times
        self._version = None

    def start(self, port: int | None, http_port: int | None) -> None:
        """Start all parts; afterwards cloud.json is there."""
        self.bucket.sweep()
        self.broker.start(self._port("mqtt_port", port, MQTT_PORT))
        commander = own(self.broker, unguessable(f"{SERVICE}-control"))
        self.control.use(commander)
        start(commander, self.broker)
        self.presence.start()
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
            handlers = {"s3": ForBoards(self._s3())}
            self.boards = serving(self.web.server_port, handlers, self.listen)
        self._announce()

    def _port(self, name: str, chosen: int | None, default: int) -> int:
        """The port asked for, else that of the last run or the usual one if free, else 0."""
        if chosen is not None:
            if chosen and not port_is_free(chosen):
                raise SluiceError(f"port {chosen} is in use")
            return chosen
        usual = int(self.store.setting(name) or default)
        if port_is_free(usual):
            return usual
        self.missed.append(usual)
        return 0

    def _serve(self, port: int) -> WebServer:
        streams = StreamCalls(self.store, self.bucket)
        jobs = JobCalls(self.executions, self.bucket, self.service.publish)
        executions = ExecutionCalls(self.executions, self.service.publish)
        updates = UpdateCalls(self.store, self.bucket, streams, jobs, time.time, self._signature)
        things = ThingCalls(self.things, self.control.refresh, self._endpoint)
        certificates = CertificateCalls(self.things, self.control.refresh)
        policies = PolicyCalls(self.things, time.time, self.control.refresh)
        groups = GroupCalls(Groups(self.store), self.things, time.time, self.control.refresh)
        templates, tags = TemplateCalls(self.executions, self.bucket), TagCalls(self.store)
        events, index = EventCalls(self.store, time.time), IndexCalls(self.store)
        control = {}
        for calls in (things, certificates, policies, groups, streams, jobs, executions, updates):
            control |= calls.operations()
        for calls in (templates, tags, events, index):
            control |= calls.operations()
        device = DeviceCalls(self.jobs, self.service.publish)
        shadows = ShadowCalls(self.shadows, self.service.publish)
        publishing = PublishCalls(self.service.forward)
        services = (
            REST("iot", control),
            REST("iot-jobs-data", device.operations()),
            REST("iot-data", shadows.operations() | publishing.operations()),
        )
        signed = [Signed(service, self.key, time.time) for service in services]
        handlers = {"s3": self._s3(), **{one.signing_name: one for one in signed}}
        return serving(port, handlers, page=self.page)

    def _s3(self) -> Handler:
        return HTTPFaults(self.faults, S3(self.bucket, self.key))

    def _announce(self) -> None:
        self.store.remember("mqtt_port", str(self.broker.port))
        self.store.remember("http_port", str(self.web.server_port))
        self.before = "" if self.listen else self.store.setting("listen") or ""
        self.store.remember("listen", self.listen or "")
        point_at(self.state, self.broker.port)
        announce(self.state, self.key, self.broker.port, self.endpoint)

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
            self.control.refresh()
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
                web.stop()
        self.service.stop()
        self.control.stop()
        self.broker.stop()
        self.presence.stop()


def keeps_dying(deaths: deque[float], now_s: float) -> bool:
    """Note that the broker has died; whether that was once too often in a short time."""
    often = len(deaths) == DEATHS and now_s - deaths[0] < DEATHS_S
    deaths.append(now_s)
    return often


def serving(
    port: int,
    handlers: dict[str, Handler],
    address: str = "127.0.0.1",
    page: Page | None = None,
) -> WebServer:
    """A web server that serves. SluiceError when the port is not to be had there."""
    try:
        web = WebServer(port, handlers, address, page=page)
    except OSError as error:
        where = f"port {port} of {address}"
        raise SluiceError(f"cannot listen on {where}: {error.strerror}") from None
    web.start()
    return web


def run(
    root: Path,
    port: int | None,
    http_port: int | None,
    faults: Path | None,
    listen: str | None = None,
    page: Page | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    if listen:
        check_address(listen)
    state = State(root)
    lock = state.lock()
    if lock is None:
        raise SluiceError(f"a cloud runs in {root} already")
    ended: list[int] = []  # no Event: setting one within its own wait waits for ever
    on_end(lambda: ended.append(1))
    state.ready.unlink(missing_ok=True)
    with lock, opened(state) as things:
        cloud = Cloud(state, things, Faults(faults), listen, page)
        try:
            cloud.start(port, http_port)
            boards = cloud.boards.endpoint if cloud.boards else ""
            where = cloud.broker.port, cloud.endpoint, boards
            said = ready(root, *where, cloud.missed)
            print(said, flush=True)
            LOG.info("%s", said)
            if page:  # not logged: its token is for its owner
                print(f"page {page.address(cloud.endpoint)}", flush=True)
            if boards:
                LOG.warning("%s", exposed(boards, cloud.missed))
            elif cloud.before:
                LOG.warning("%s", unheard(cloud.before))
            while not ended:
                cloud.tick()
                time.sleep(TICK_S)
        finally:
            cloud.stop()
            LOG.info("cloud ended")
