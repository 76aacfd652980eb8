"""HTTP: any answer, in any pieces; bodies as they were sent, and errors with names."""

from doubles import Clock, pattern, raised, run

from sluice import log
from sluice.address import allowed, entry, split
from sluice.errors import Fail, Retry
from sluice.loading import plug_in
from sluice.net import http
from sluice.net.http import HTTP
from sluice.net.redirect import resolved

HEAP = "1m"
URL = "http://files:8080/bucket/app.bin?X-Amz-Signature=0a1b"
HOSTS = ("*:*", "http://files", "http://files:*", "http://others", "http://h")
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
    """Servers: each connection gives the next answer; `dialled` is what was asked for.

    A TLS context is the tuple of the files that it was made of.
    """

    def __init__(self, *answers, piece=700, silent=False, hosts=HOSTS, trust=("ca",)):
        self.answers, self.piece, self.silent = list(answers), piece, silent
        self.dialled, self.sockets = [], []
        self.clock, self.link = Clock(), Link()
        self.http = HTTP(self.link, self.clock, hosts, trust)
        http.plug_in = self.plugged

    def plugged(self, path, name):
        if name == "of_files" and self.http._trust[0] != "/no/such.pem":
            return lambda *names: names
        return self.dial if name == "dial" else plug_in(path, name)

    async def dial(self, server, port, context, clock):
        self.dialled.append((server, port, context))
        self.sockets.append(Socket(self.answers.pop(0), self.piece, self.silent))
        return self.sockets[-1], self.sockets[-1]

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
    assert world.dialled == [("files", 443, ("ca",))]


def test_address_that_is_none_is_refused():
    for url, why in (
        ("", "scheme"), ("app.bin", "scheme"), ("ftp://files/a", "scheme"),
        ("HTTP://files/a", "scheme"), ("files://http://h/a", "scheme"), ("http:/h/a", "scheme"),
        ("http:///a", "host"), ("http://", "host"), ("http://.h/a", "host"),
        ("http://h./a", "host"), ("http://a..b/a", "host"), ("http://h%41/a", "host"),
        ("http://h,g/a", "host"), ("http://%s/a" % ("h" * 254), "host"), ("http://:80/a", "host"),
        ("http://h:x/a", "port"), ("http://h:/a", "port"), ("http://h:0/a", "port"),
        ("http://h:00000/a", "port"), ("http://h:65536/a", "port"), ("http://h:70000/a", "port"),
        ("http://h:123456/a", "port"), ("http://h:-1/a", "port"), ("http://h:+1/a", "port"),
        ("http://h:8_0/a", "port"), ("http://h:8.0/a", "port"), ("http://h:0x50/a", "port"),
        ("http://u@h/a", "user name"), ("http://u:p@h/a", "user name"), ("http://h?/a", "no path"),
        ("http://[::1]/a", "IPv6 is not supported"), ("http://[::1]:80/", "IPv6 is not supported"),
        ("http://::1/a", "IPv6 is not supported"), ("http://h:1:2/a", "IPv6 is not supported"),
        ("http://h h/a", "a character"), ("http://h/a b", "a character"),
        ("http://h/a\r\nX: y", "a character"), ("http://h/a\0", "a character"),
        ("http://h/a#b", "a character"), ("http://h#b", "a character"),
        ("http://\u20ac/", "a character"), ("http://h\r\n/a", "a character"),
        ("http://h\\@g/a", "a character"), ("http://h/" + "a" * 2_048, "too long"),
    ):  # fmt: skip
        assert str(raised(Fail, split, url)) == "not an address of a file: " + why, url
    assert split("http://h") == (("http", "h", 80, "h"), 8)
    assert split("https://h:1/a?b=c://d") == (("https", "h", 1, "h:1"), 11)
    assert split("http://h:65535/a@b:c")[0][2] == 65_535
    assert split("https://h/" + "a" * 2_038)[1] == 9


def permitted(url, *hosts):
    return allowed(split(url)[0], hosts)


def test_hosts_that_are_not_listed_are_any_by_https_and_none_by_http():
    for url in ("https://h/a", "https://h:8443/a", "https://10.0.0.5/a"):
        assert permitted(url), url
    assert not permitted("http://h/a") and not permitted("http://h:443/a")


def test_hosts_that_are_listed_are_those_and_no_others():
    for host, good, bad in (
        ("h", "https://h/a https://H:443/a", "https://h:444/a http://h/a https://hh/a https://h.b/a"),
        ("Files.Example.com", "https://files.example.COM/a", "https://example.com/a"),
        ("h:8443", "https://h:8443/a", "https://h/a http://h:8443/a"),
        ("h:*", "https://h/a https://h:1/a", "http://h/a https://g/a"),
        ("https://h", "https://h/a", "http://h/a"),
        ("http://h", "http://h/a http://h:80/a", "https://h/a http://h:8080/a"),
        ("http://10.0.0.5:8080", "http://10.0.0.5:8080/a", "http://10.0.0.5/a http://10.0.0.51:8080/a"),
        ("http://h:*", "http://h/a http://h:8080/a", "https://h/a"),
        ("*.e.com", "https://a.e.com/a https://a.b.E.com/a",
         "https://e.com/a https://ae.com/a https://a.e.com.f/a https://a.e.com:1/a http://a.e.com/a"),
        ("http://*.e.com:*", "http://a.e.com:9/a", "https://a.e.com/a http://e.com:9/a"),
        ("*", "https://h/a", "https://h:1/a http://h/a"),
        ("*:*", "https://h/a https://h:1/a", "http://h/a"),
    ):  # fmt: skip
        for url in good.split():
            assert permitted(url, host) and permitted(url, "x", host), (host, url)
        for url in bad.split():
            assert not permitted(url, host), (host, url)


def test_hosts_entry_that_is_none_is_refused():
    for text in (
        "", "http://*", "http://*:*", "ftp://h", "HTTP://h", "h/", "h/a", "https://h/a", "*h",
        "**", "a.*.b", "*.", "*.*.b", "h:0", "h:65536", "h:", "h:*:*", "h:1:*", ":*", ":1",
        "[::1]", "::1", "u@h", "h ", " h", "h,g", "h#", "h?", "h.", ".h", "\u20ac", "any.*",
        "*any", "http://",
    ):  # fmt: skip
        assert isinstance(raised(Fail, entry, text), Fail), text


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
    world = World(answer(), trust=("/no/such.pem",))
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
    for wrong in (b"x\r\n", b"\r\n\r\n", b"-5\r\nhello\r\n", b"5\r\nhelloX\r\n0\r\n\r\n",
                  b"0x5\r\nhello\r\n", b"+5\r\nhello\r\n", b"5_0\r\n",
                  b"1" * 17 + b"\r\n"):  # fmt: skip
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


def test_head_counts_the_same_however_it_is_cut():
    fields = ["X-%d: %s" % (number, "a" * 80) for number in range(80)]  # some 7 KiB
    for piece in (1, 7, 512):
        world = World(answer(206, BODY, *fields), piece=piece)
        assert world.fetch() == (206, BODY), piece


def test_head_with_a_wrong_length_is_refused():
    for length in ("-1", "x", "", "1e3", "5, 6", "5,", "+5", "1234567890123"):
        said = answer(200, BODY, "Content-Length: " + length, length=False)
        assert World(said).fault(Retry) == "bad Content-Length", length
    assert World(answer(200, BODY, "Content-Length: 5")).fault(Retry) == "bad Content-Length"


def test_head_may_say_a_length_twice_and_beside_chunks():
    size = str(len(BODY))
    for fields in (["Content-Length: " + size], ["content-LENGTH : " + size], []):
        assert World(answer(200, BODY, *fields)).fetch() == (200, BODY)
    said = answer(200, BODY, "Content-Length: %s, %s" % (size, size), length=False)
    assert World(said).fetch() == (200, BODY)
    body = b"3\r\nabc\r\n0\r\n\r\n"
    world = World(answer(200, body, "Transfer-Encoding: chunked"))
    assert world.fetch() == (200, b"abc") and world.http.size is None


def test_head_field_may_go_on_in_the_next_line():
    fields = ("X: a", "CONTENT-RANGE:\r\n  Bytes\r\n\t0-2999/9000", "Y:")
    for piece in (1, 700):
        world = World(answer(206, BODY, *fields), piece=piece)
        assert world.fetch() == (206, BODY)
        assert world.http.span.split() == [b"bytes", b"0-2999/9000"]


def test_head_of_an_answer_that_is_no_use_says_why():
    for field, fault in (
        ("Transfer-Encoding: gzip, chunked", "transfer coding of the file server"),
        ("Content-Encoding: gzip", "content coding of the file server"),
        ("Content-Type: multipart/byteranges; boundary=b", "file server sends several ranges"),
    ):
        world = World(answer(206, BODY, field))
        run(world.http.get(URL))
        assert world.http.fault == (fault,)
    for field in (
        "Content-Encoding: identity",
        "Transfer-Encoding: identity",
        "Content-Type: a/b",
    ):
        world = World(answer(206, BODY, field))
        assert world.fetch() == (206, BODY) and world.http.fault is None


def test_head_says_how_long_the_server_wants_to_be_left():
    for said, rest_s in (
        ("7", 7),
        ("99999", 120),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("-1", 0),
    ):
        world = World(answer(503, b"", "Retry-After: " + said))
        world.fetch()
        assert world.http.rest_s == rest_s, said


# -- redirects -----------------------------------------------------------------------------------


def redirect(location, status=307):
    return answer(status, b"<Error/>", "Location: " + location)


def unfollowed(world, *words):
    """The fault of a redirect that is not followed, after one connection."""
    assert run(world.http.get(*(words or (URL,)))) in (301, 302, 303, 307, 308)
    assert all(sock.closed for sock in world.sockets)
    return " ".join(world.http.fault)


def test_redirect_is_followed():
    for status in (301, 302, 303, 307, 308):
        for where in (
            "/b?c",
            "http://files:8080/b?c",
            "HTTP://FILES:99/b?c",
            "//files/b?c",
            "../b?c",
        ):
            world = World(redirect(where, status), answer())
            assert world.fetch() == (200, BODY)
            assert world.sockets[1].asked.startswith(b"GET /b?c HTTP/1.1\r\n"), where
            assert world.sockets[0].closed


def test_redirect_leads_where_rfc_3986_says():
    base = "http://a/b/c/d;p?q"  # its section 5.4, without users and fragments
    for reference, where in (
        ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"), ("//g", "http://g"), ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"), (";x", "http://a/b/c/;x"), ("g;x", "http://a/b/c/g;x"),
        ("", "http://a/b/c/d;p"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"),
        ("..", "http://a/b/"), ("../", "http://a/b/"), ("../g", "http://a/b/g"),
        ("../..", "http://a/"), ("../../", "http://a/"), ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"), ("/./g", "http://a/g"), ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."), ("..g", "http://a/b/c/..g"), ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"), ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"), ("HtTpS://G:1/x/../y?z", "https://G:1/y?z"),
        ("//g/x/../y", "http://g/y"), ("//g:8/?a=/..", "http://g:8/?a=/.."),
        ("http://g?y", "http://g/?y"), ("g?u=http://x/y", "http://a/b/c/g?u=http://x/y"),
    ):  # fmt: skip
        assert resolved(reference, base) == where, reference
    assert resolved("g", "http://a") == resolved("/g", "http://a") == "http://a/g"
    assert resolved("?y", "http://a") == "http://a/?y"


def test_redirect_to_another_host_is_followed_where_that_is_allowed():
    world = World(redirect("https://regional/b"), answer())
    assert world.fetch("https://files/a") == (200, BODY)
    assert [row[:2] for row in world.dialled] == [("files", 443), ("regional", 443)]
    for hosts, where, origin in (
        (("files",), "https://evil/b", "https://evil"),
        (("files", "*.good"), "https://good.evil/b", "https://good.evil"),
        ((), "http://files/b", "http://files"),
        (("files",), "//files:8443/b?secret", "https://files:8443"),
    ):
        world = World(redirect(where), answer(), hosts=hosts)
        assert unfollowed(world, "https://files/a") == "not in download_hosts: " + origin
        assert len(world.dialled) == 1


def test_redirect_to_http_is_followed_only_where_that_is_listed():
    world = World(redirect("http://files/b"), answer(), hosts=("files", "http://files"))
    assert world.fetch("https://files/a") == (200, BODY)
    world = World(redirect("https://files/b"), answer(), hosts=("http://files",))
    assert unfollowed(world, "http://files/a") == "not in download_hosts: https://files"


def test_redirect_to_no_address_is_not_followed():
    for where, why in (
        ("", "redirected to nowhere"), ("ftp://files/b", "not an address of a file: scheme"),
        ("mailto:b", "not an address of a file: scheme"),
        ("http://files@evil/b", "not an address of a file: user name"),
        ("http://files:70000/b", "not an address of a file: port"),
        ("http://[::1]/b", "not an address of a file: IPv6 is not supported"),
        ("/b\x01", "not an address of a file: a character"),
    ):  # fmt: skip
        assert unfollowed(World(redirect(where))) == why, where
    raw = answer(307, b"", "Location: /")
    world = World(raw.replace(b": /", b": /\xff\xfe"))
    assert unfollowed(world) == "redirected to what is no address"
    assert unfollowed(World(answer(302, b""))) == "redirected to nowhere"


def test_redirects_are_followed_three_times():
    assert World(*([redirect("/a")] * 3 + [answer()])).fetch() == (200, BODY)
    world = World(*([redirect("/a")] * 5))
    assert unfollowed(world) == "too many redirects" and len(world.dialled) == 4


def test_redirect_is_remembered_until_it_is_refused():
    world = World(redirect("https://there/b"), answer(), answer(403, b""), answer(200, b"anew"))
    assert world.fetch() == (200, BODY)
    world.sockets[1].answer = answer(200, b"more")
    assert world.fetch() == (200, b"more") and len(world.dialled) == 2
    world.sockets[1].closed, world.sockets[1].answer = False, answer(403, b"over")
    world.answers.pop(0)
    assert world.fetch() == (200, b"anew")
    assert [row[0] for row in world.dialled] == ["files", "there", "files"]


def test_certificate_of_ours_is_for_the_host_of_the_job_alone():
    mine = ("ca", "certificate", "key")
    world = World(redirect("https://other/b"), redirect("https://files/c"), answer(), trust=mine)
    assert world.fetch("https://files/a") == (200, BODY)
    assert [row[2] for row in world.dialled] == [mine, ("ca",), mine]
    world = World(redirect("https://files:8443/b"), answer(), trust=mine)
    world.fetch("https://files/a")
    assert world.dialled[1][2] == ("ca",)
    world = World(redirect("https://other/b"), answer())
    world.fetch("https://files/a")
    assert [row[2] for row in world.dialled] == [("ca",), ("ca",)]


def test_address_that_is_not_allowed_is_not_dialled():
    for url, hosts in (("http://files/a?b", ()), ("https://files/a", ("other",))):
        world = World(answer(), hosts=hosts)
        origin = url.partition("/a")[0]
        assert world.fault(Fail, url) == "not in download_hosts: " + origin
        assert not world.dialled


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
