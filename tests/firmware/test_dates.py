"""From when on a certificate is valid, read from its DER; and what that does to the clock."""

from doubles import raised, run

from sluice.errors import Retry
from sluice.net.dates import begins, connect
from sluice.net.refusals import Expired, NotYetValid, Untrusted

HEAP = "256k"


def element(tag, data):
    if len(data) < 128:
        return bytes((tag, len(data))) + data
    size = b"" if len(data) < 256 else bytes((len(data) >> 8,))
    size += bytes((len(data) & 255,))
    return bytes((tag, 0x80 | len(size))) + size + data


def certificate(begin, tag=0x17, version=b"\xa0\x03\x02\x01\x02", issuer=b"i" * 200):
    """One in DER, as far as it matters."""
    dates = element(tag, begin) + element(0x17, b"490101000000Z")
    inner = version + element(2, b"1") + element(0x30, b"algorithm") + element(0x30, issuer)
    inner += element(0x30, dates) + element(0x30, b"subject" * 50)
    return element(0x30, element(0x30, inner) + element(0x30, b"") + element(3, b"signature"))


TIMES = (
    (b"260901000000Z", 1_788_220_800), (b"20260901000000Z", 1_788_220_800),
    (b"000229235959Z", 951_868_799), (b"700101000000Z", 0), (b"491231235959Z", 2_524_607_999),
    (b"20500101000000Z", 2_524_608_000), (b"21000301000000Z", 4_107_542_400),
    (b"991231235959Z", 946_684_799),
)  # fmt: skip


def test_day_of_a_certificate_is_found():
    for text, unix_s in TIMES:
        tag = 0x17 if len(text) == 13 else 0x18
        for more in ({}, {"version": b""}, {"issuer": b"i"}, {"issuer": b"i" * 127}):
            assert begins(memoryview(certificate(text, tag, **more))) == unix_s, text


def test_day_of_what_is_no_certificate_is_none():
    whole = certificate(b"260901000000Z")
    for size in range(len(whole)):
        assert begins(whole[:size]) in (0, 1_788_220_800), size
    for size in range(240):
        assert begins(whole[:size]) == 0, size
    for text in (b"260901000000", b"2609010000Z", b"26x901000000Z", b"261301000000Z",
                 b"260001000000Z", b"260901000000+0100", b""):  # fmt: skip
        assert begins(certificate(text)) == 0, text
    assert begins(certificate(b"260901000000Z", 0x0C)) == 0
    assert begins(b"\x30\x84\xff\xff\xff\xff" + whole) == 0


class Context:
    """A TLS context."""

    verify_callback = None


class Link:
    """Connects after so many errors, showing these certificates each time."""

    def __init__(self, context, *errors):
        self.context, self.errors = context, list(errors)
        self.tries = 0

    async def connect(self):
        self.tries += 1
        if self.context.verify_callback:
            for depth, one in enumerate(SHOWN):
                assert self.context.verify_callback(memoryview(one), depth) == 0
        if self.errors:
            raise self.errors.pop(0)


class Clock:
    def __init__(self, takes=True):
        self.takes, self.said = takes, []

    def vouched(self, unix_s):
        self.said.append(unix_s)
        return self.takes


SHOWN = [certificate(text) for text in (b"250101000000Z", b"260901000000Z", b"260101000000Z")]


def test_clock_behind_is_set_to_the_latest_first_day_and_the_session_opened_at_once():
    context, clock = Context(), Clock()
    link = Link(context, NotYetValid("x"))
    run(connect(link, context, clock))
    assert clock.said == [1_788_220_800] and link.tries == 2 and context.verify_callback is None


def test_clock_is_not_set_by_a_certificate_of_which_more_is_wrong():
    for error in (Untrusted("x"), Expired("x"), Retry("tls")):
        context, clock = Context(), Clock()
        link = Link(context, error)
        assert raised(Retry, connect, link, context, clock) is error
        assert not clock.said and link.tries == 1 and context.verify_callback is None


def test_clock_that_does_not_take_the_day_ends_the_attempt():
    context, clock = Context(), Clock(False)
    link = Link(context, NotYetValid("x"))
    raised(NotYetValid, connect, link, context, clock)
    assert link.tries == 1 and context.verify_callback is None


def test_micropython_that_shows_no_certificates_connects_all_the_same():
    link = Link(Context(), NotYetValid("x"))
    raised(NotYetValid, connect, link, object(), Clock())
    assert link.tries == 1
