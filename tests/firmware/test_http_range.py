"""The HTTP source: only what is missing is asked for, and only what was asked for is taken."""

from doubles import SECTOR, Flash, Sources, pattern, raised, run

from sluice import log
from sluice.errors import Fail, Gone, Retry
from sluice.job import File
from sluice.transfer.http_range import HTTPRange
from sluice.transfer.image import Image

HEAP = "4m"
URL = "http://files/app.bin?X-Amz-Date=%d"
SPAN = 65_536
SIZE = 3 * SPAN + 1_234


class Files:
    """A file server as sluice.net.http shows it; `faults` are what the next answers are instead.

    A fault is (status, Content-Range, body) or an error that the body ends in; None for no fault.
    """

    def __init__(self, data, *faults, says_size=True):
        self.data, self.faults, self.says_size = bytes(data), list(faults), says_size
        self.spans = []
        self.closed = self.rest_s = 0
        self.fault, self.page = None, False

    async def get(self, url, span=None):
        if span is None:
            self.spans.append(None)
            self.error, self.body, self.size = None, self.data, len(self.data)
            return 200
        first, last = [int(word) for word in span[6:].split("-")]
        self.spans.append((first, last))
        self.error = None
        self.span = b"bytes %d-%d/%d" % (first, last, len(self.data))
        self.status, self.body = 206, self.data[first : last + 1]
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            self.error, self.body = fault, self.body[: SPAN + 20_000]
        elif fault:
            self.status, self.span, self.body = fault[:3]
        self.fault = fault[3] if isinstance(fault, tuple) and fault[3:] else None
        self.size = len(self.body) if self.says_size and not self.error else None
        return self.status

    async def read(self):
        if not self.body and self.error:
            raise self.error
        piece, self.body = self.body[:512], self.body[512:]
        return memoryview(piece)

    async def readinto(self, room):
        if not self.body and self.error:
            raise self.error
        size = min(len(room), len(self.body), 512)
        room[:size], self.body = self.body[:size], self.body[size:]
        return size

    def close(self):
        self.closed += 1


async def watch():
    pass


def made(files, size=SIZE, check=None, written=None, refused=None, block=SECTOR):
    """(source, image, flash)"""
    file = File(size, "http_range")
    file.url = URL % 1
    flash = Flash(-(-size // SECTOR))
    image = Image(flash, size, block, check, written)
    sources = refused or Sources()
    sources.http = lambda: files
    return HTTPRange(sources, file, block), image, flash


def fetch(files, **words):
    source, image, flash = made(files, **words)
    run(source.fetch(image, watch))
    assert image.missing() == -1 and bytes(flash.data[: image.size]) == files.data[: image.size]
    run(source.close())
    assert files.closed == 1
    return flash


def failure(kind, files, **words):
    """(the error's text, image, flash)"""
    source, image, flash = made(files, **words)
    log.level("E")
    try:
        return str(raised(kind, source.fetch, image, watch)), image, flash
    finally:
        log.level("I")


# -- the straight way ----------------------------------------------------------------------------


def part(data):
    """An answer with the first 64 KiB of the file, whatever was asked for."""
    return 206, b"bytes 0-65535/%d" % SIZE, bytes(data[:SPAN])


def test_file_arrives_in_one_range():
    files = Files(pattern(SIZE))
    flash = fetch(files)
    assert files.spans == [(0, SIZE - 1)]
    assert flash.erases == [1] * len(flash.erases)


def test_file_of_any_size_arrives():
    for size in (1, SECTOR - 1, SECTOR, SECTOR + 1, SPAN, SPAN + 1):
        fetch(Files(pattern(size)), size=size)


def test_file_without_a_length_arrives():
    fetch(Files(pattern(SIZE), says_size=False))


def test_file_arrives_where_blocks_of_the_other_source_are_small():
    fetch(Files(pattern(SIZE)), block=256)


def test_only_what_is_missing_is_asked_for():
    data = pattern(SIZE)
    written = bytearray(7)
    for sector in (1, 3, 20):
        written[sector >> 3] |= 1 << (sector & 7)
    files = Files(data)
    source, image, flash = made(files, written=written)
    run(source.fetch(image, watch))
    assert files.spans == [
        (0, SECTOR - 1), (2 * SECTOR, 3 * SECTOR - 1), (4 * SECTOR, 20 * SECTOR - 1),
        (21 * SECTOR, SIZE - 1),
    ]  # fmt: skip
    assert [flash.erases[sector] for sector in (0, 1, 2, 3, 4, 20, 21)] == [1, 0, 1, 0, 1, 0, 1]


def test_server_without_ranges_may_send_all_from_the_beginning():
    data = pattern(SIZE)
    files = Files(data, (200, None, bytes(data)))
    fetch(files)
    assert len(files.spans) == 1


def test_job_is_looked_at_every_few_kib():
    files, seen = Files(pattern(SIZE)), []
    source, image, _ = made(files)

    async def look():
        seen.append(image.received)

    run(source.fetch(image, look))
    assert len(seen) >= SIZE // (8 * 512) and seen[-1] == SIZE


def test_job_that_was_withdrawn_ends_the_download():
    files = Files(pattern(SIZE))
    source, image, flash = made(files)

    async def look():
        raise Gone("CANCELED")

    raised(Gone, source.fetch, image, look)
    assert len(files.spans) == 1 and not image.received


def test_image_is_judged_by_its_head_before_a_span_of_it_counts():
    def check(head):
        raise Fail("not an app image")

    said, image, flash = failure(Fail, Files(pattern(SIZE)), check=check)
    assert said == "not an app image" and not image.received


# -- what is not taken ---------------------------------------------------------------------------


def refused_answer(*fault):
    said, image, flash = failure(Fail, Files(pattern(SIZE), fault))
    assert not max(flash.erases) and not image.received, "something was written"
    return said


def passing(*fault, said):
    """An answer that may be a captive portal's: asked for again four times, and then final."""
    refused = Sources()
    for kind in (Retry, Retry, Retry, Retry, Fail):
        text, image, flash = failure(kind, Files(pattern(SIZE), fault), refused=refused)
        assert text == said and not max(flash.erases) and not image.received, text
    assert refused.times == 0
    for _ in range(3):  # one that ends leaves nothing behind
        failure(Retry, Files(pattern(SIZE), fault), refused=refused)
    fetch(Files(pattern(SIZE)), refused=refused)
    assert refused.times == 0


def test_range_that_was_not_asked_for_is_refused():
    body = bytes(pattern(SPAN))
    for span in (b"bytes 1-65536/%d", b"bytes 0-197842/%d", b"bytes 0-999999/%d", b"0-65535/%d",
                 b"bytes -1-65535/%d", b"bytes 0-x/%d", b"bytes 0-/%d", b"bytes */%d",
                 b"bytes 0-65535", b"bytes 0-65535/", b"bytes 0-65535/x",
                 b"bytes 65535-0/%d", b"lines 0-65535/%d", b"bytes 0-1-2/%d", b""):  # fmt: skip
        span = span % SIZE if b"%" in span else span
        assert refused_answer(206, span, body) == "wrong Content-Range", span
    assert refused_answer(206, None, body) == "wrong Content-Range"
    short = b"bytes 0-4094/%d" % SIZE  # not even a sector
    assert refused_answer(206, short, body[:4_095]) == "wrong Content-Range"


def test_range_may_be_of_a_length_that_the_server_does_not_know():
    data = pattern(SIZE)
    for span in (b"bytes 0-65535/*", b"bytes  0-65535/%d" % SIZE, b"bytes 00-65535/0%d" % SIZE):
        fetch(Files(data, (206, span, bytes(data[:SPAN]))))


def test_range_may_be_the_first_part_of_what_was_asked():
    data = pattern(SIZE)
    for size in (SECTOR, 5 * SECTOR, 5 * SECTOR + 17, SPAN - 1):
        files = Files(data, (206, b"bytes 0-%d/%d" % (size - 1, SIZE), bytes(data[:size])))
        source, image, flash = made(files)
        run(source.fetch(image, watch))
        assert bytes(flash.data[:SIZE]) == files.data
        assert files.spans[1][0] == size - size % SECTOR, (
            "a sector that came in part is asked again"
        )


def test_answer_of_another_size_may_pass():
    right = b"bytes 0-65535/%d" % SIZE
    passing(206, right, b"short", said="file size is not the server's 5")
    passing(200, None, b"<html/>", said="file size is not the server's 7")
    other = b"bytes 0-65535/%d" % (SIZE + 1)
    assert refused_answer(206, other, bytes(pattern(SPAN))) == "file size is not the server's"


def test_answer_that_says_itself_that_it_is_no_use_may_pass():
    why = ("content coding of the file server",)
    for status in (200, 206, 302):
        passing(status, b"bytes 0-65535/%d" % SIZE, bytes(pattern(SPAN)), why, said=why[0])
    assert refused_answer(404, None, b"", why) == "http 404"


def test_page_of_no_length_may_pass_where_an_image_is_wanted():
    def check(head):
        raise Fail("not an app image")

    for repeats, why in ((1_000, "cut off"), (12_000, "not an app image")):
        refused = Sources()
        for kind in (Retry, Retry, Retry, Retry, Fail):
            files = Files(pattern(SIZE), (200, None, b"<html>" * repeats), says_size=False)
            files.page = True
            said, image, flash = failure(kind, files, check=check, refused=refused)
            assert said == "file server sent a page: " + why and not image.received, said


def test_server_that_names_a_time_is_left_alone_for_it():
    files = Files(pattern(SIZE), (503, None, b""))
    files.rest_s = 7
    source, image, _ = made(files)
    waits, looks = [], []

    class Link:
        async def wait(self, condition, ms):
            assert not condition()
            waits.append(ms)

    async def look():
        looks.append(len(waits))

    source._link = Link()
    raised(Retry, source.fetch, image, look)
    assert waits == [1_000] * 7 and looks == list(range(1, 8))
    files.faults.append(Retry("cut off"))
    raised(Retry, source.fetch, image, look)
    assert len(waits) == 7, "once"


def test_size_is_told_by_a_range_or_by_the_whole():
    files = Files(pattern(SIZE))
    assert run(made(files)[0].measure()) == SIZE and files.spans == [(0, 0)]
    files = Files(pattern(SIZE), (206, b"bytes 0-0/*", b"x"))
    assert run(made(files)[0].measure()) == SIZE and files.spans == [(0, 0), None]
    for span in (b"bytes 0-0/x", b"bytes 0-0", None):
        files = Files(pattern(SIZE), (206, span, b"x"))
        assert str(raised(Fail, made(files)[0].measure)) == "file server does not tell the size"


def test_body_longer_than_its_range_is_refused_where_no_length_is_said():
    right = b"bytes 0-65535/%d" % SIZE
    files = Files(pattern(SIZE), (206, right, bytes(pattern(SPAN + 1))), says_size=False)
    assert failure(Fail, files)[0] == "file is longer than the job says"
    files = Files(pattern(SIZE), (200, None, bytes(pattern(SIZE + 1))), says_size=False)
    assert failure(Fail, files)[0] == "file is longer than the job says"


def test_body_shorter_than_its_range_does_not_count_where_no_length_is_said():
    right = b"bytes 0-65535/%d" % SIZE
    files = Files(pattern(SIZE), (206, right, bytes(pattern(SPAN - 1))), says_size=False)
    said, image, _ = failure(Retry, files)
    assert said == "cut off" and not image.received


def test_whole_file_is_refused_where_a_later_part_was_asked_for():
    data = pattern(SIZE)
    files = Files(data, part(data), (200, None, bytes(data)))
    said, image, flash = failure(Fail, files)
    assert said == "file server gives no ranges" and image.received == SPAN
    assert max(flash.erases[16:]) == 0


def test_range_past_the_end_is_refused():
    assert refused_answer(416, None, b"<Error/>") == "file is shorter than the job says"


def test_error_bodies_never_reach_flash():
    for status in (204, 303, 404, 410, 412):
        assert refused_answer(status, None, bytes(pattern(SPAN))) == "http %d" % status
    for status in (403, 408, 425, 429, 500, 503):
        said, _, flash = failure(Retry, Files(pattern(SIZE), (status, None, b"<Error/>")))
        assert said.endswith("http %d" % status) and not max(flash.erases)


# -- going on ------------------------------------------------------------------------------------


def test_download_cut_off_goes_on_where_it_was():
    files = Files(pattern(SIZE), Retry("cut off"))
    source, image, flash = made(files)
    assert str(raised(Retry, source.fetch, image, watch)) == "cut off"
    assert image.received == SPAN, "a span cut off does not count"
    run(source.fetch(image, watch))
    assert files.spans == [(0, SIZE - 1), (SPAN, SIZE - 1)]
    assert bytes(flash.data[:SIZE]) == files.data


def test_address_that_is_over_is_asked_for_again_four_times():
    refused = Sources()
    for status in (403, 400, 401, 403):
        said, _, _ = failure(Retry, Files(pattern(SIZE), (status, None, b"")), refused=refused)
        assert said == "address of the file refused: http %d" % status
    said, _, _ = failure(Fail, Files(pattern(SIZE), (403, None, b"")), refused=refused)
    assert said == "address of the file refused: http 403"
    assert refused.times == 0


def test_refusals_are_counted_anew_after_a_span_that_came():
    refused, data = Sources(), pattern(SIZE)
    for last in (part(data), Retry("cut off")):
        for _ in range(12):
            failure(Retry, Files(data, (403, None, b"")), refused=refused)
            if refused.times == 4:
                failure(Retry, Files(data, last, (403, None, b"")), refused=refused)
                assert refused.times == isinstance(last, tuple)


def test_refusals_are_those_of_one_file_whatever_its_query():
    refused = Sources(name="http://files/other.bin", times=4)
    failure(Retry, Files(pattern(SIZE), (403, None, b"")), refused=refused)
    assert (refused.name, refused.times) == ("http://files/app.bin", 1)
