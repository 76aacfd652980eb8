"""HTTP: any answer, in any pieces; bodies as they were sent, and errors with names."""

from doubles import Clock, pattern, raised, run

from net import http
from net.address import split
from net.http import HTTP
from ota import log
from ota.errors import Fail, Retry
from ota.loading import plug_in

HEAP = "1m"
URL = "http://files:8080/bucket/app.bin?X-Amz-Signature=0a1b"
BODY = bytes(pattern(3_000))
PATIENCE_MS = 15_000


class Socket:
    """A connection: gives `answer` in pieces of so many bytes, None before each, then its end."""

    def __init__(self, answer, piece, silent):
        self.answer, self.piece, self.silent = answer, piece, silent
        self.asked = b""
        self.quiet = True
        self.closed = False

    def write(self, data):
        taken = bytes(data[:50])
        self.asked += taken
        return len(taken)

    def readinto(self, buf):
        if isinstance(self.answer, Exception):
            raise self.answer
        self.quiet = not self.quiet
        if not self.quiet or (self.silent and not self.answer):
            return None
        part = self.answer[: min(self.piece, len(buf))]
        self.answer = self.answer[len(part) :]
        buf[: len(part)] = part
        return len(part)

    def close(self):
        self.closed = True


class Link:
    """Counts how often it is turned."""

    turns = 0
    lost = None

    def turn(self):
        self.turns += 1
        if self.lost:
            raise self.lost


class World:
    """Servers: each connection gives the next answer; `dialled` is what was asked for."""

    def __init__(self, *answers, piece=700, silent=False):
        self.answers, self.piece, self.silent = list(answers), piece, silent
        self.dialled, self.sockets = [], []
        self.clock, self.link = Clock(), Link()
        self.http = HTTP(self.link, self.clock, "context", "")
        http.plug_in = self.plugged

    def plugged(self, path, name):
        return self.dial if path == "net.tcp" else plug_in(path, name)

    async def dial(self, server, port, context, clock):
        self.dialled.append((server, port, context))
        self.sockets.append(Socket(self.answers.pop(0), self.piece, self.silent))
        return self.sockets[-1]

    async def fetched(self, url=URL, span=None):
        """(status, body)"""
        status, body = await self.http.get(url, span), b""
        while True:
            data = await self.http.read()
            if not data:
                return status, body
            body += bytes(data)

    def fetch(self, *words):
        return run(self.fetched(*words))

    def fault(self, kind, *words):
        """The text of the error; the connection is gone with it."""
        error = raised(kind, self.fetched, *words)
        assert all(sock.closed for sock in self.sockets)
        return str(error)


def answer(status=200, body=BODY, *fields, length=True):
    lines = ["HTTP/1.1 %d Whatever" % status] + list(fields)
    if length:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines + ["", ""]).encode() + body


def chunked(*chunks, last=b"0\r\n\r\n"):
    parts = b"".join([b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks])
    return answer(200, parts + last, "Transfer-Encoding: chunked", length=False)


# -- asking --------------------------------------------------------------------------------------


def test_request_says_host_and_span_and_nothing_of_a_scheme():
    world = World(answer(206, BODY, "Content-Range: bytes 0-2999/9000"))
    assert world.fetch(URL, "bytes=0-2999") == (206, BODY)
    assert world.http.span == b"bytes 0-2999/9000" and world.http.size == 3_000
    lines = world.sockets[0].asked.decode().split("\r\n")
    assert lines[0] == "GET /bucket/app.bin?X-Amz-Signature=0a1b HTTP/1.1"
    assert "Host: files:8080" in lines and "Range: bytes=0-2999" in lines
    assert lines[-2:] == ["", ""]
    assert world.dialled == [("files", 8_080, None)]


def test_address_of_https_is_dialled_with_tls_at_its_port():
    world = World(answer())
    world.fetch("https://files/app.bin")
    assert world.dialled == [("files", 443, "context")]


def test_address_that_is_none_is_refused():
    for url in (
        "", "app.bin", "ftp://files/a", "http:///a", "http://", "http://h:x/a", "http://h:/a",
        "http://u@h/a", "http://h?/a", "http://h h/a", "http://h/a b", "http://h/a\r\nX: y",
        "http://h:123456/a", "http://h/a#b", "http://h#b", "http://\u20ac/", "http://h\r\n/a",
        "http://[::1]/a", "http://h/" + "a" * 2_048,
    ):  # fmt: skip
        assert str(raised(Fail, split, url)) == "not an address of a file", url
    assert split("http://h") == (("http", "h", 80, "h"), 8)
    assert split("https://h:1/a?b=c://d") == (("https", "h", 1, "h:1"), 11)


def test_address_of_any_length_is_sent_whole():
    for size in (1, 400, 480, 512, 1_024, 2_000):
        path = "/" + "p" * (size - 1)
        world = World(answer())
        assert world.fetch("http://files" + path, "bytes=0-1") == (200, BODY)
        words = "GET %s HTTP/1.1\r\nHost: files\r\nAccept-Encoding: identity" % path
        asked = (words + "\r\nRange: bytes=0-1\r\n\r\n").encode()
        assert world.sockets[0].asked == asked, size
    world = World(answer())
    world.fetch("http://files")
    assert world.sockets[0].asked.startswith(b"GET / HTTP/1.1\r\n")


def test_http_ca_that_cannot_be_read_is_named():
    world = World(answer())
    world.http = HTTP(world.link, world.clock, "context", "/no/such.pem")
    assert world.fault(Fail, "https://files/a") == "cannot read /no/such.pem"


# -- bodies --------------------------------------------------------------------------------------


def test_body_arrives_whole_in_any_pieces():
    for piece in (1, 2, 3, 7, 511, 512, 513):
        for said in (answer(), answer(length=False), chunked(BODY[:1], BODY[1:])):
            assert World(said, piece=piece).fetch() == (200, BODY), piece


def test_body_in_chunks_may_have_extensions_and_trailers():
    said = answer(
        200,
        b"5;a=b\r\nhello\r\n6 \r\n world\r\n00\r\nTrailer: x\r\n\r\n",
        "transfer-encoding: Chunked",
        length=False,
    )
    for piece in (1, 700):
        world = World(said, piece=piece)
        assert world.fetch() == (200, b"hello world")
        assert not world.sockets[0].closed


def test_body_in_wrong_chunks_is_cut_off():
    for wrong in (b"x\r\n", b"\r\n\r\n", b"-5\r\nhello\r\n", b"5\r\nhelloX\r\n0\r\n\r\n"):
        said = answer(200, wrong, "Transfer-Encoding: chunked", length=False)
        assert World(said).fault(Retry) == "bad chunk", wrong


def test_body_that_ends_early_is_cut_off():
    assert World(answer()[:-1]).fault(Retry) == "cut off"
    assert World(chunked(BODY)[:-500]).fault(Retry) == "cut off"


def test_body_of_nothing_ends_at_once():
    assert World(answer(200, b"")).fetch() == (200, b"")


# -- the connection ------------------------------------------------------------------------------


def test_connection_is_kept_and_used_again():
    world = World(answer())
    assert world.fetch() == (200, BODY)
    for more in (answer(206, b"more"), chunked(b"x"), answer(200, b"")):
        world.sockets[0].answer = more
        assert world.fetch()[0] in (200, 206)
    assert len(world.dialled) == 1


def test_connection_is_not_used_again_where_the_server_says_so():
    for field in ("Connection: close", "connection: Close"):
        world = World(answer(200, BODY, field), answer())
        world.fetch()
        assert world.sockets[0].closed
        assert world.fetch() == (200, BODY) and len(world.dialled) == 2


def test_connection_of_http_1_0_is_not_used_again():
    world = World(answer().replace(b"HTTP/1.1", b"HTTP/1.0"), answer())
    assert world.fetch() == world.fetch() and len(world.dialled) == 2


def test_connection_with_bytes_that_nobody_asked_for_is_not_used_again():
    world = World(answer(200, b"abc") + b"HTTP/1.1 200 Smuggled\r\n\r\n", answer())
    assert world.fetch() == (200, b"abc")
    assert world.sockets[0].closed


def test_connection_to_another_host_is_another():
    world = World(answer(), answer())
    world.fetch()
    world.fetch("http://others/a")
    assert [row[0] for row in world.dialled] == ["files", "others"] and world.sockets[0].closed


def test_connection_whose_body_was_left_is_not_used_again():
    world = World(answer(), answer(200, b"second"))
    run(world.http.get(URL))
    assert world.fetch() == (200, b"second") and len(world.dialled) == 2


def test_connection_that_was_closed_meanwhile_is_opened_once_more():
    world = World(answer(), answer(200, b"second"))
    world.fetch()
    assert not world.sockets[0].closed
    assert world.fetch() == (200, b"second") and len(world.dialled) == 2


def test_connection_that_breaks_is_an_error_of_ours():
    assert "104" in World(OSError(104)).fault(Retry)
    world = World(answer())
    run(world.http.get(URL))
    world.sockets[0].answer = OSError(104)
    error = raised(Retry, _rest, world)
    assert "104" in str(error) and world.sockets[0].closed


async def _rest(world):
    while await world.http.read():
        pass


# -- heads ---------------------------------------------------------------------------------------


def test_head_that_is_no_http_is_an_error():
    for said in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\r\n\r\n"):
        assert World(said).fault(Retry) == "file server does not speak HTTP", said
    assert World(b"").fault(Retry) == "file server closed the connection"
    assert World(b"HTTP/1.1 200 OK\r\nA: b").fault(Retry) == "file server closed the connection"


def test_head_of_1xx_is_passed_over():
    early = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n"
    assert World(b"HTTP/1.1 100 Continue\r\n\r\n" + early + answer()).fetch() == (200, BODY)


def test_head_longer_than_8_kib_is_refused_and_a_long_line_is_not():
    assert World(answer(200, BODY, "Set-Cookie: " + "c" * 6_000)).fetch() == (200, BODY)
    for fields in (["Set-Cookie: " + "c" * 9_000], ["A: b"] * 2_000):
        assert "too long" in World(answer(200, BODY, *fields)).fault(Fail)


def test_head_with_a_wrong_length_or_coding_is_refused():
    for length in ("-1", "x", "", "1e3"):
        said = answer(200, BODY, "Content-Length: " + length, length=False)
        assert World(said).fault(Retry) == "bad Content-Length", length
    said = answer(200, BODY, "Transfer-Encoding: gzip")
    assert "transfer coding" in World(said).fault(Fail)


# -- redirects -----------------------------------------------------------------------------------


def redirect(location, status=307):
    return answer(status, b"<Error/>", "Location: " + location)


def test_redirect_on_the_same_host_is_followed():
    for status in (301, 302, 307, 308):
        for where in ("/b?c", "http://files:8080/b?c", "http://FILES:99/b?c"):
            world = World(redirect(where, status), answer())
            assert world.fetch() == (200, BODY)
            assert world.sockets[1].asked.startswith(b"GET /b?c HTTP/1.1\r\n")
            assert world.sockets[0].closed


def test_redirect_from_http_to_https_is_followed_and_back_is_not():
    world = World(redirect("https://files/b"), answer())
    assert world.fetch("http://files/a") == (200, BODY)
    assert world.dialled[1] == ("files", 443, "context")
    world = World(redirect("http://files/b"), answer())
    assert world.fault(Fail, "https://files/a") == "redirected to another host"


def test_redirect_to_another_host_is_refused():
    world = World(redirect("http://evil/b"), answer())
    assert world.fault(Fail) == "redirected to another host"
    assert len(world.dialled) == 1
    for where in ("//evil/b", "b", "", "ftp://files/b", "http://files@evil/b", "\xff\xfe"):
        world = World(redirect(where), answer())
        assert world.fault(Fail) == "not an address of a file", where


def test_redirects_are_followed_three_times():
    assert World(*([redirect("/a")] * 3 + [answer()])).fetch() == (200, BODY)
    world = World(*([redirect("/a")] * 5))
    assert world.fault(Fail) == "too many redirects" and len(world.dialled) == 4


# -- waits ---------------------------------------------------------------------------------------


def test_silence_ends_after_15_s_wherever_it_begins():
    said = answer()
    for size in (0, 10, 60, len(said) - 1):
        world = World(said[:size], silent=True)
        begin = world.clock.now
        assert world.fault(Retry) == "file server is silent", size
        assert PATIENCE_MS < world.clock.now - begin < PATIENCE_MS + 2_000


def test_head_that_drips_ends_after_15_s():
    world = World(answer(200, BODY, *["A: b"] * 1_000), piece=1)
    slow = world.clock.sleep_ms

    async def sleep_ms(ms):
        await slow(ms + 100)

    world.clock.sleep_ms = sleep_ms
    assert world.fault(Retry) == "file server is slow"


def test_link_is_turned_while_waiting_and_while_bytes_come():
    world = World(answer(200, BODY * 10), piece=100)
    world.fetch()
    assert world.link.turns > 100
    world = World(answer())
    world.link.lost = Retry("the broker closed the connection")
    assert world.fault(Retry) == "the broker closed the connection"


def test_log_holds_nothing_of_an_address_but_its_host():
    lines = []
    log.to(lines.append)
    log.level("D")
    try:
        World(redirect("/b?X-Amz-Signature=0a1b"), answer()).fetch()
        World(OSError(104)).fault(Retry)
    finally:
        log.level("I")
        log.to(print)
    assert not [line for line in lines if "X-Amz" in line or "0a1b" in line]
