"""The HTTP server's limits: whom it hears, how many, how long, and how much it reads."""

import http.client
import socket
import ssl
import threading
from contextlib import closing

import pytest
from patience import FUSE_S

from sluice.cloud.http import connection, server
from sluice.cloud.http.server import HTTPAnswer, HTTPRequest, WebServer
from sluice.cloud.state import State
from sluice.cloud.things.ca import Authority

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Handler:
    """Answers with the length of the body; or refuses, and reads nothing."""

    refuses = False

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        if self.refuses:
            return HTTPAnswer(403, body=b"refused")
        return HTTPAnswer(body=str(len(request.read(1 << 20))).encode())


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def web(handler):
    made = WebServer(0, {"s3": handler})
    made.start()
    yield made
    made.stop()


@pytest.fixture
def dial(web):
    """A function that opens a connection and sends bytes; all are closed at the end."""
    opened: list[socket.socket] = []

    def connect(data: bytes = b"") -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", web.server_port), timeout=FUSE_S))
        opened[-1].sendall(data)
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def answered(line: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    data = b""
    try:
        while piece := line.recv(65_536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def taken(line: socket.socket) -> tuple[int, bytes]:
    """One answer, whose connection stays."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status, answer.read()


def asked(web: WebServer, **headers: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(*web.server_address, timeout=FUSE_S)) as line:
        line.request("GET", "/", headers=headers)
        answer = line.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080",
                                  "images.localhost:8080", "LOCALHOST"])  # fmt: skip
def test_names_of_this_machine_are_heard(web, host):
    assert asked(web, Host=host) == (200, b"0")


@pytest.mark.parametrize(
    "host",
    ["example.com", "localhost.example.com", "192.0.2.7:8080", "127.0.0.1.example.com", "", "[x]",
     "notlocalhost", "localhost@example.com"],
)  # fmt: skip
def test_other_name_that_leads_here_is_refused(web, host):
    status, body = asked(web, Host=host)
    assert (status, b"is no name of this cloud" in body) == (403, True)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:80", 200), ("http://localhost:81", 403), ("http://example.com", 403),
     ("null", 403), ("https://localhost.example.com:80", 403)],
)  # fmt: skip
def test_page_of_another_origin_is_refused(web, origin, status):
    assert asked(web, Host="localhost:80", Origin=origin)[0] == status


def test_answer_is_not_kept_back_for_its_second_part(web):
    """An answer is two writes; the second would wait for 40 ms."""
    assert web._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_address_that_is_listened_at_is_heard_there_alone():
    for address, status in (("127.0.0.3", 403), ("0.0.0.0", 200)):
        web = WebServer(0, {"s3": Handler()}, address)
        web.start()
        assert asked(web, Host="192.0.2.1")[0] == status
        assert asked(web, Host=f"{address}:{web.server_port}")[0] == 200
        web.stop()


def test_connections_are_refused_beyond_their_number_and_taken_again_below_it(
    web, dial, monkeypatch, caplog
):
    monkeypatch.setattr(connection, "CONNECTIONS", 2)
    kept = [dial(GET), dial(GET)]
    assert [taken(line) for line in kept] == [(200, b"0")] * 2
    assert [answered(dial()), answered(dial())] == [b"", b""]
    assert caplog.messages == ["2 connections by HTTP: more are refused"]
    kept[0].close()
    while not answered(dial(GET[:-2] + b"Connection: close\r\n\r\n")):
        pass  # the server has not yet seen that there is room


def test_connections_that_only_wait_have_no_thread(web, dial):
    assert asked(web)[0] == 200
    before = threading.active_count()
    for _ in range(100):
        dial(GET[:-2])
    assert asked(web) == (200, b"0")
    assert threading.active_count() <= before + 1  # one more handler may have begun


@pytest.mark.parametrize("sent", [b"", GET[:9], GET[:-2]])
def test_headers_that_do_not_come_in_time_end_the_connection(web, dial, monkeypatch, sent):
    monkeypatch.setattr(connection, "HEADERS_S", 0.1)
    assert answered(dial(sent)) == b""


def test_headers_of_a_second_request_have_their_deadline_too(web, dial, monkeypatch):
    monkeypatch.setattr(connection, "HEADERS_S", 0.1)
    line = dial(GET)
    assert taken(line) == (200, b"0")
    line.sendall(GET[:-2])
    assert answered(line) == b""
    assert answered(dial(GET + GET[:-2])).count(b"HTTP/1.1 200 ") == 1


def test_body_that_does_not_come_in_time_gets_400_and_ends_the_connection(web, dial, monkeypatch):
    monkeypatch.setattr(server, "BODY_S", 0.1)
    head = GET[:-2] + b"Content-Length: 10\r\n\r\n1234"
    answer = answered(dial(head))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"stands still" in answer


def test_server_stops_though_a_body_stands_still(web, dial, caplog):
    dial(GET[:-2] + b"Content-Length: 10\r\n\r\n1234")
    assert asked(web)[0] == 200  # the other request has been taken by now, or is soon
    web.stop()
    assert caplog.messages == []


def test_answer_that_nobody_takes_ends_its_connection(dial, handler, monkeypatch):
    monkeypatch.setattr(server, "BODY_S", 0.1)
    ended = threading.Event()

    def pieces():
        try:
            for _ in range(10_000):
                yield bytes(65_536)
        finally:
            ended.set()

    web = WebServer(0, {"s3": lambda request: HTTPAnswer(body=pieces(), length=655_360_000)})
    web.start()
    with socket.create_connection(("127.0.0.1", web.server_port)) as line:
        line.sendall(GET)
        assert ended.wait(FUSE_S)
    web.stop()


def test_long_body_of_a_refused_request_is_not_read(web, dial, handler, monkeypatch):
    monkeypatch.setattr(server, "LEFT_S", 0.1)
    handler.refuses = True
    answer = answered(dial(GET[:-2] + b"Content-Length: 100000000\r\n\r\n1234"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"\r\nConnection: close\r\n" in answer


def test_short_body_of_a_refused_request_leaves_the_connection(web, dial, handler):
    handler.refuses = True
    line = dial(GET[:-2] + b"Content-Length: 4\r\n\r\n1234")
    assert taken(line) == (403, b"refused")
    handler.refuses = False
    line.sendall(GET)
    assert taken(line) == (200, b"0")


def test_who_waits_for_word_before_the_body_gets_it_only_if_the_body_is_wanted(web, dial, handler):
    head = GET[:-2] + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    line = dial(head)
    assert line.recv(1000).startswith(b"HTTP/1.1 100 ")
    line.sendall(b"1234")
    assert taken(line) == (200, b"4")
    handler.refuses = True
    assert answered(dial(head)).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET http://localhost/ HTTP/1.1",
        b"GET / HTTP/9",
        b"\x16\x03\x01",
        b"GET /" + b"x" * 20_000,
    ],
)
def test_what_is_no_request_ends_the_connection(web, dial, request_line):
    answer = answered(dial(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    assert not answer or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
    assert asked(web)[0] == 200


def test_request_that_makes_a_handler_fail_is_answered_and_logged(dial, caplog):
    def fails(request: HTTPRequest) -> HTTPAnswer:
        raise ArithmeticError

    web = WebServer(0, {"s3": fails})
    web.start()
    assert asked(web)[0] == 500
    web.stop()
    assert "ArithmeticError" in caplog.text


def test_certificate_of_the_cloud_carries_tls(tmp_path):
    authority = Authority(State(tmp_path / "state"))
    key, certificate = authority.server("127.0.0.2")
    files = tmp_path / "server.crt", tmp_path / "server.key"
    for file, data in zip(files, (certificate, key), strict=True):
        file.write_bytes(data)
    web = WebServer(0, {"s3": Handler()}, "127.0.0.2", files)
    web.start()
    assert web.endpoint == f"https://127.0.0.2:{web.server_port}"
    context = ssl.create_default_context(cafile=State(tmp_path / "state").root_ca)
    line = http.client.HTTPSConnection(
        "127.0.0.2", web.server_port, timeout=FUSE_S, context=context
    )
    with closing(line):
        line.request("GET", "/")
        assert line.getresponse().read() == b"0"
    web.stop()
