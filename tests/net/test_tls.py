"""TLS by net/connect.py, against Python's own TLS server: every ending has its name."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority, Credentials
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from patience import FUSE_S

pytestmark = pytest.mark.differs  # releases bring other versions of mbedTLS
ARCHES = ("i386", "amd64")
HOST = "cloud.test"

CLIENT = """
import select, socket, sys, time
from sluice.net import connect as tls
from sluice.net.refusals import named

port, name, deadline_ms = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def load(file):
    with open(file, "rb") as handle:
        return handle.read()

def talk():
    context = tls.context(load("ca"), load("certificate"), load("key"))
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    sock = tls.wrap(context, sock, name)
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    end = time.ticks_add(time.ticks_ms(), deadline_ms)
    heard = b""
    written = None
    while heard != b"hello":
        if time.ticks_diff(end, time.ticks_ms()) <= 0:
            return "silence"
        poll.poll(20)
        if not written:
            written = sock.write(b"hello")
            if written:
                poll.modify(sock, select.POLLIN)
        else:
            more = sock.read(5 - len(heard))
            if more == b"":
                return "closed"
            heard += more or b""
    return heard.decode()

try:
    print(talk())
except tls.BadCredentials as error:
    print("BadCredentials", error.values[0])
    print(error.values[1])
except (OSError, ValueError, MemoryError) as error:
    known = named(error)
    print(type(known).__name__, known)
"""


@contextlib.contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a free port that hands its one connection to `handle`; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(FUSE_S)

        def run() -> None:
            with contextlib.suppress(OSError):  # a handshake that fails is what we are here for
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(FUSE_S)
                    handle(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(FUSE_S)
            assert not thread.is_alive()


def echo(folder: Path, own: Credentials, client_ca: bytes | None, tls13: bool = True):
    """A TLS server that sends five bytes back; with `client_ca` it wants a certificate of it."""
    (folder / "server.pem").write_bytes(own.certificate + own.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    if not tls13:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca.decode())

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, True, do_handshake_on_connect=False) as secure:
            try:
                secure.do_handshake()
                secure.sendall(secure.recv(5))
                secure.recv(1)  # until the client has gone
            except ssl.SSLError:
                while socket.socket.recv(secure, 4096):  # a close now could overtake the alert
                    pass

    return handle


class Rig:
    """One authority, a thing's credentials, and the client on one port of MicroPython."""

    def __init__(self, micropython, folder: Path, arch: str) -> None:
        self._micropython, self._folder, self._arch = micropython, folder, arch
        self.authority = Authority()
        self.thing = self.authority.issue("thing-1")
        self.ca = self.authority.ca

    def server(self, own: Credentials | None = None, client_ca: bytes | None = None, **more):
        own = own or self.authority.issue(HOST)
        return echo(self._folder, own, client_ca or self.authority.ca, **more)

    def talk(self, handle, name: str = HOST, deadline_ms: int = 1000 * FUSE_S) -> str:
        """What the client says in the end of its talk with a server."""
        with serving(handle) as port:
            return self.client(port, name, deadline_ms)

    def client(self, port: int = 0, name: str = HOST, deadline_ms: int = 1000 * FUSE_S) -> str:
        """What the client says in the end."""
        (self._folder / "ca").write_bytes(self.ca)
        (self._folder / "certificate").write_bytes(self.thing.certificate)
        (self._folder / "key").write_bytes(self.thing.key)
        arguments = (str(port), name, str(deadline_ms))
        done = self._micropython(CLIENT, *arguments, arch=self._arch)
        self.cause = done.stdout.partition("\n")[2].strip()  # of bad credentials
        return done.stdout.partition("\n")[0]


@pytest.fixture(params=ARCHES)
def rig(request, micropython, tmp_path) -> Rig:
    return Rig(micropython, tmp_path, request.param)


@pytest.mark.parametrize("tls13", (True, False))
def test_tls_good_certificates_on_both_sides_connect(rig, tls13):
    assert rig.talk(rig.server(tls13=tls13)) == "hello"


def test_tls_der_files_connect(rig):
    rig.ca = x509.load_pem_x509_certificate(rig.ca).public_bytes(Encoding.DER)
    certificate = x509.load_pem_x509_certificate(rig.thing.certificate)
    key = load_pem_private_key(rig.thing.key, None)
    rig.thing = Credentials(
        certificate.public_bytes(Encoding.DER),
        key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    )
    assert rig.talk(rig.server()) == "hello"


def test_tls_one_of_several_cas_connects(rig):
    rig.ca = Authority("another CA").ca + rig.ca
    assert rig.talk(rig.server()) == "hello"


@pytest.mark.parametrize("tls13", (True, False))
def test_tls_server_of_another_ca_is_untrusted(rig, tls13):
    foreign = Authority("another CA").issue(HOST)
    assert rig.talk(rig.server(foreign, tls13=tls13)) == "Untrusted untrusted server"


def test_tls_server_of_a_ca_of_the_same_name_is_untrusted(rig):
    assert rig.talk(rig.server(Authority().issue(HOST))) == "Untrusted untrusted server"


@pytest.mark.parametrize("tls13", (True, False))
def test_tls_server_with_another_name_is_a_wrong_name(rig, tls13):
    other = rig.authority.issue("other.test")
    assert rig.talk(rig.server(other, tls13=tls13)) == "WrongName wrong server name"


def test_tls_expired_server_is_expired(rig):
    old = rig.authority.issue(HOST, -20, -10)
    assert rig.talk(rig.server(old)) == "Expired certificate expired"


def test_tls_server_from_the_future_is_not_yet_valid(rig):
    young = rig.authority.issue(HOST, 10, 20)
    assert rig.talk(rig.server(young)) == "NotYetValid certificate not yet valid"


def test_tls_foreign_expired_server_is_untrusted_first(rig):
    foreign = Authority("another CA").issue("other.test", -20, -10)
    assert rig.talk(rig.server(foreign)) == "Untrusted untrusted server"


@pytest.mark.parametrize("tls13", (True, False))
def test_tls_server_that_wants_another_client_ca_refuses(rig, tls13):
    server = rig.server(client_ca=Authority("another CA").ca, tls13=tls13)
    assert rig.talk(server).startswith("Refused refused by the server")


def test_tls_key_of_another_certificate_is_refused(rig):
    rig.thing = Credentials(rig.thing.certificate, rig.authority.issue("thing-2").key)
    assert rig.talk(rig.server()).startswith("Refused refused by the server")


def test_tls_peer_that_closes_in_the_handshake_is_a_retry(rig):
    assert rig.talk(lambda connection: connection.recv(1)).startswith("Retry tls")
    assert rig.talk(lambda connection: None).startswith("Retry tls")


def test_tls_peer_that_speaks_no_tls_is_a_retry(rig):
    def handle(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert rig.talk(handle).startswith("Retry tls")


def test_tls_silent_peer_leaves_the_deadline_to_the_caller(rig):
    assert rig.talk(
        lambda connection: connection.recv(65536) and connection.recv(1), HOST, 300
    ) == ("silence")


def test_tls_unusable_file_is_named(rig):
    good_ca, good = rig.ca, rig.thing
    for junk in (b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\n", bytes(100)):
        rig.ca, rig.thing = junk, good
        assert rig.client() == "BadCredentials ca", junk
        rig.ca, rig.thing = good_ca, Credentials(junk, good.key)
        assert rig.client() == "BadCredentials certificate", junk
        rig.ca, rig.thing = good_ca, Credentials(good.certificate, junk)
        assert rig.client() == "BadCredentials private_key", junk
    rig.thing = Credentials(good.key, good.key)
    assert rig.client() == "BadCredentials certificate"
    rig.thing = Credentials(good.certificate, good.certificate)
    assert rig.client() == "BadCredentials private_key"


DER_ONLY = """
from sluice.net import connect as tls

class Builds:  # in place of a MicroPython whose mbedTLS has no PEM parser
    PROTOCOL_TLS_CLIENT, CERT_REQUIRED = 0, 2

    class SSLContext:
        def __init__(self, protocol):
            pass

        def load_verify_locations(self, ca):
            if ca[:1] != b"0":
                raise ValueError("invalid cert")

        def load_cert_chain(self, certificate, key):
            self.load_verify_locations(certificate)
            if key[:1] != b"0":
                raise ValueError("invalid key")

tls.tls = Builds
pem, der = b"-----BEGIN X-----\\nMA==\\n-----END X-----\\n", b"0\\x00"
for files in ((pem, der, der), (der, pem, der), (der, der, pem), (b"junk", der, der)):
    try:
        tls.context(*files)
    except tls.BadCredentials as error:
        print(*error.values)
tls.context(der, der, der)
"""


def test_tls_build_without_a_pem_parser_is_told_to_want_der(micropython):
    wants = "is PEM that is broken, or this MicroPython reads DER only"
    names = ("ca", "certificate", "private_key")
    told = [f"{name} {wants}" for name in names] + ["ca invalid cert"]
    assert micropython(DER_ONLY).stdout.splitlines() == told


def test_tls_pem_that_is_cut_in_its_middle_is_told_to_be_broken(rig):
    lines = rig.ca.splitlines(keepends=True)
    rig.ca = b"".join(lines[:2] + lines[3:])
    assert rig.client() == "BadCredentials ca"
    assert rig.cause == "is PEM that is broken, or this MicroPython reads DER only"
