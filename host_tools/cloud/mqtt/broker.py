"""Mosquitto with mutual TLS, as this cloud's broker.

A client's certificate decides who it is: its common name becomes its user name, by which dynamic
security knows what it may (see `control`). Its client id is its own. What differs from AWS,
because it is Mosquitto: an answer reaches whoever subscribed to its topic and nobody else (AWS
pushes Jobs answers to the asker unsubscribed); publishing without the right to is acknowledged and
goes nowhere, where AWS ends the connection.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from errno import EADDRINUSE
from ipaddress import ip_address
from pathlib import Path

from sluice import toolchain
from sluice.cloud.mqtt import security_plugin
from sluice.cloud.mqtt.control import Control
from sluice.cloud.state import OWN, OWNERS, State, owners_file, write_atomically
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.things import SERVICE
from sluice.errors import SluiceError

START_S = 10  # for Mosquitto to accept connections
STOP_S = 5  # before it is killed
PR_SET_PDEATHSIG = 1  # linux/prctl.h: a signal to the child when its parent is gone
# A block of 131,072 bytes is 174,764 in base64; AWS's own limit is 128 KiB a message.
MESSAGE_LIMIT = 196_608
BOARDS = 500  # connections at the address for boards: others of a process's 1,024 files stay free
UNBOUNDED = -1
QOS = 1  # the highest: AWS ends a connection that asks for more, and so does Mosquitto

SETTINGS = """\
user {user}
plugin {plugin}
plugin_opt_config_file {security}
allow_anonymous false
persistence false
message_size_limit {limit}
max_inflight_messages 100
max_queued_messages 10000
set_tcp_nodelay true
log_dest file {home}/mosquitto.log
log_type error
log_type warning
log_type notice
log_type information
connection_messages true
"""
LISTENER = """
listener {port} {address}
max_connections {most}
cafile {root}
certfile {home}/server.crt
keyfile {home}/server.key
require_certificate true
use_identity_as_username true
max_qos {qos}
"""


def _nameable(path: Path) -> bool:
    """Whether a path may stand in Mosquitto's settings, whatever this process's locale is."""
    try:
        return os.fsencode(path).decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


class Broker:
    """One Mosquitto process and the files it reads. Start it from the main thread: it is ended by
    the kernel when the thread that started it ends."""

    def __init__(
        self, state: State, control: Control, authority: Authority, listen: str | None = None
    ) -> None:
        self.state = state
        self._listen = listen
        self.home = state.broker
        if not _nameable(self.home.resolve()):
            raise SluiceError(f"no cloud can run in {ascii(str(state.root))}: name it otherwise")
        self.port = 0
        self._control = control
        control.alive = lambda: self.alive
        self._process: subprocess.Popen | None = None
        self.home.mkdir(OWN, parents=True, exist_ok=True)
        key, certificate = authority.server(listen)
        write_atomically(self.home / "server.key", key, OWNERS)
        write_atomically(self.home / "server.crt", certificate)
        key, certificate = authority.client(SERVICE)
        write_atomically(self.service_key, key, OWNERS)
        write_atomically(self.service_certificate, certificate)

    @property
    def service_key(self) -> Path:
        return self.home / "service.key"

    @property
    def service_certificate(self) -> Path:
        return self.home / "service.crt"

    def start(self, port: int) -> None:
        """Run Mosquitto on that port, 0 for a free one; SluiceError when it does not come up."""
        tries = 1 if port else 3  # someone may take a free port before Mosquitto does
        for _ in range(tries):
            self.port = port or free_port()
            self._spawn()
            if self._accepts():
                return
        self.stop()
        raise SluiceError(f"mosquitto does not start on port {self.port}: {self.complaint()}")

    def _spawn(self) -> None:
        self.stop()
        self._control.write()
        self.log.unlink(missing_ok=True)
        settings = os.fsencode(self._settings())  # it has paths
        write_atomically(self.home / "mosquitto.conf", settings, OWNERS)
        with owners_file(self.home / "mosquitto.err") as errors:
            self._process = subprocess.Popen(
                [toolchain.mosquitto(), "-c", self.home / "mosquitto.conf"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for us; it is stopped after the service
                preexec_fn=die_with_parent(),
            )

    def _settings(self) -> str:
        home, root = self.home.resolve(), self.state.root_ca.resolve()
        user = pwd.getpwuid(os.getuid()).pw_name  # else a root's Mosquitto becomes another
        files = {"home": home, "security": self._control.file.resolve()}
        files["plugin"] = security_plugin.find(toolchain.mosquitto())
        settings = SETTINGS.format(user=user, limit=MESSAGE_LIMIT, **files)
        most = dict.fromkeys(addresses(), UNBOUNDED)
        most |= {self._listen: BOARDS} if self._listen else {}
        for address, number in most.items():
            where = {"port": self.port, "address": address, "qos": QOS, "most": number}
            settings += LISTENER.format(root=root, home=home, **where)
        return settings

    def _accepts(self) -> bool:
        deadline = time.monotonic() + START_S
        while self.alive and time.monotonic() < deadline:
            try:
                socket.create_connection(("localhost", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self.alive
        return False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def complaint(self) -> str:
        """Mosquitto's last words, for the user."""
        for name in ("mosquitto.log", "mosquitto.err"):
            file = self.home / name
            lines = (
                file.read_text(errors="replace", encoding="utf-8").splitlines()
                if file.exists()
                else []
            )
            errors = [line for line in lines if "rror" in line] or lines
            if errors:
                return errors[-1]
        return "it gave no reason"

    @property
    def log(self) -> Path:
        """What Mosquitto says."""
        return self.home / "mosquitto.log"

    def stop(self) -> None:
        """End the process, if there is one, and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def die_with_parent():
    """What a child does before exec so that it never outlives us; None where Linux is not."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def addresses() -> list[str]:
    """What "localhost" means here: 127.0.0.1, and ::1 where the machine has it."""
    found = ["127.0.0.1"]
    if socket.has_ipv6:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            found.append("::1")
    return found


def check_address(address: str) -> None:
    """Return if boards can be served at that IP address; SluiceError otherwise."""
    if not is_ours(address):
        raise SluiceError(f"{address} is no address of this machine to listen at")
    if ip_address(address).is_unspecified or address in addresses():
        text = f"boards cannot ask {address}: name an address of this machine on their network"
        raise SluiceError(text)


def is_ours(address: str) -> bool:
    """Whether this machine has that IP address."""
    try:
        socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        ).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port of localhost that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_is_free(port: int) -> bool:
    """Whether nobody listens on that port of localhost; SluiceError when nobody may."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == EADDRINUSE:
                return False
            raise SluiceError(f"cannot listen on port {port}: {error.strerror}") from None
    return True
