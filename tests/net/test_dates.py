"""net/dates.py on MicroPython against a TLS server whose certificates are of the future."""

import pytest
from certificates import Authority
from cryptography import x509
from test_tls import ARCHES, HOST, echo, serving

CLIENT = """
import asyncio, socket, sys
from sluice.net import connect as tls
from sluice.net.dates import connect
from sluice.net.refusals import named
from sluice.errors import Retry

port, name = int(sys.argv[1]), sys.argv[2]

def load(file):
    with open(file, "rb") as handle:
        return handle.read()

context = tls.context(load("ca"))

class Clock:
    def vouched(self, unix_s):
        print("vouched", unix_s)
        return False

class Link:
    async def connect(self):
        sock = socket.socket()
        sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        sock = tls.wrap(context, sock, name)
        try:
            while not sock.write(b"hello"):
                pass
            while not sock.read(5):
                pass
        except (OSError, ValueError) as error:
            raise named(error)

try:
    asyncio.run(connect(Link(), context, Clock()))
    print("linked")
except Retry as error:
    print(type(error).__name__)
print(context.verify_callback)
"""


@pytest.fixture(params=ARCHES)
def said(request, micropython, tmp_path):
    """A function: (authority, the one that is trusted, name in the certificate, days from now
    until it is valid) → what the client says."""

    def run(authority: Authority, trusted: Authority, name: str = HOST, days: int = -1):
        own = authority.issue(name, days)
        start = x509.load_pem_x509_certificate(own.certificate).not_valid_before_utc
        (tmp_path / "ca").write_bytes(trusted.ca)
        with serving(echo(tmp_path, own, None)) as port:
            done = micropython(CLIENT, str(port), HOST, arch=request.param)
        return done.stdout.split(), int(start.timestamp())

    return run


def test_day_is_learned_from_a_certificate_of_our_own_ca(said):
    ours = Authority()
    words, start_s = said(ours, ours, days=40)
    assert words == ["vouched", str(start_s), "NotYetValid", "None"]


def test_day_is_not_learned_from_one_that_our_ca_did_not_sign_or_not_for_this_server(said):
    ours = Authority()
    assert said(Authority(), ours, days=40)[0] == ["Untrusted", "None"]
    assert said(ours, ours, "another.test", days=40)[0] == ["WrongName", "None"]


def test_certificates_that_are_valid_connect(said):
    ours = Authority()
    assert said(ours, ours)[0] == ["linked", "None"]
