"""Topic filters, and the sink that gathers a payload."""

from sluice.net.packets import Whole, matches


def test_filter_without_wildcards_is_its_topic_alone():
    assert matches("a/b", b"a/b")
    for topic in (b"a", b"a/b/c", b"a/bc", b"/a/b", b"a/b/", b"A/b"):
        assert not matches("a/b", topic), topic


def test_filter_plus_is_one_level():
    for topic in (b"a/x/c", b"a//c"):
        assert matches("a/+/c", topic)
    for topic in (b"a/c", b"a/x/y/c", b"a/x", b"a/x/c/"):
        assert not matches("a/+/c", topic), topic
    assert matches("+", b"a") and not matches("+", b"a/b") and matches("+/+", b"/a")


def test_filter_hash_is_all_below_and_the_level_above():
    for topic in (b"a", b"a/", b"a/b", b"a/b/c"):
        assert matches("a/#", topic), topic
    assert matches("#", b"a/b") and not matches("a/#", b"ab") and not matches("a/#", b"b/a")


def test_filter_that_begins_with_a_wildcard_passes_over_dollar_topics():
    for pattern in ("#", "+/things/#", "+/things/t"):
        assert not matches(pattern, b"$aws/things/t"), pattern
        assert matches(pattern, b"aws/things/t"), pattern
    assert matches("$aws/#", b"$aws/things/t") and matches("$aws/+/t", b"$aws/things/t")


def test_filter_of_the_jobs_answers_tells_them_apart():
    topic = b"$aws/things/t/jobs/$next/get/accepted"
    assert matches("$aws/things/t/jobs/+/get/+", topic)
    assert not matches("$aws/things/t/jobs/start-next/+", topic)
    assert not matches("$aws/things/t/jobs/+/get/+", b"$aws/things/t/jobs/get/accepted")
    assert not matches("$aws/things/other/jobs/+/get/+", topic)


def gather(limit, payload, piece):
    """What the handler was called with, for a payload in pieces of that size."""
    calls = []
    sink = Whole(lambda topic, data: calls.append((topic, data)), limit)
    for _ in range(2):
        assert sink.begin(b"t", len(payload))
        buf = bytearray(b"##") + payload + b"##"
        for at in range(2, 2 + len(payload), piece):
            sink.feed(buf, at, min(at + piece, 2 + len(payload)))
        sink.end()
    return calls


def test_payload_in_any_pieces_is_handed_over_whole_each_time():
    for piece in (1, 3, 100):
        for payload in (b"", b"x", b"0123456789"):
            assert gather(10, payload, piece) == [(b"t", payload)] * 2


def test_payload_over_the_limit_is_none():
    assert gather(9, b"0123456789", 4) == [(b"t", None)] * 2
