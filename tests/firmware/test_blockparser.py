"""The block parser: any JSON a server may write, in any pieces, and nothing else."""

import gc
from binascii import b2a_base64

from doubles import pattern

from sluice.transfer.json_block import BlockParser

SMALL = b"\xfb\xef\xbe\xff\xff\xffhello\x00\x01"  # its base64 has ++++, //// and ==

BESIDE = 254  # bytes that a message may have beside its payload


class Receiver:
    """Takes what it is given; notes what it knew when it was asked."""

    def __init__(self, wants=True):
        self.wants = wants
        self.data = bytearray()
        self.asked = []

    def wanted(self, parser):
        self.asked.append((parser.token, parser.file, parser.index, parser.length))
        return self.wants

    def take(self, data):
        self.data.extend(data)


def base64(data):
    return b2a_base64(data)[:-1]


def message(data, index=3, file=1, token="tok", length=None):
    """The message as AWS writes it."""
    size = len(data) if length is None else length
    return b'{"c":"%s","f":%d,"l":%d,"i":%d,"p":"%s"}' % (
        token.encode(), file, size, index, base64(data),
    )  # fmt: skip


def parse(text, piece=1024, wants=True):
    """(parser, receiver) after the message came in pieces of that size."""
    receiver = Receiver(wants)
    parser = BlockParser(receiver)
    feed(parser, text, piece)
    return parser, receiver


def feed(parser, text, piece):
    """Bring the message as the link does: each piece alone in a buffer, amid what was there."""
    for at in range(0, len(text), piece):
        part = text[at : at + piece]
        buf = bytearray(b'AA""' + part + b'"AAAA"')
        parser.feed(buf, 4, 4 + len(part))


def told(parser):
    return parser.token, parser.file, parser.index, parser.length


def assert_block(text, data=SMALL, piece=1024):
    parser, receiver = parse(text, piece)
    assert parser.whole, text
    assert bytes(receiver.data) == bytes(data), text
    assert told(parser) == (b"tok", 1, 3, len(data)), text


def assert_refused(text):
    """Refused in one piece and byte by byte alike."""
    for piece in (1024, 1):
        assert not parse(text, piece)[0].whole, text


def permutations(items):
    if len(items) < 2:
        return [items]
    found = []
    for place, item in enumerate(items):
        for rest in permutations(items[:place] + items[place + 1 :]):
            found.append([item] + rest)
    return found


def test_block_any_order_of_keys_is_whole():
    members = [
        b'"c":"tok"',
        b'"f":1',
        b'"l":%d' % len(SMALL),
        b'"i":3',
        b'"p":"%s"' % base64(SMALL),
    ]
    for order in permutations(members):
        assert_block(b"{" + b",".join(order) + b"}")


def test_block_fields_before_the_payload_are_known_when_it_begins():
    receiver = parse(b'{"c":"tok","i":3,"p":"AAAA","f":1,"l":3}')[1]
    assert receiver.asked == [(b"tok", None, 3, None)]


def test_block_any_white_space_is_passed_over():
    for space in (b" ", b"\t", b"\n", b"\r\n", b" \r\n\t "):
        words = [b"{", b'"c"', b":", b'"tok"', b",", b'"f"', b":", b"1", b",", b'"l"', b":"]
        words += [b"%d" % len(SMALL), b",", b'"i"', b":", b"3", b",", b'"p"', b":"]
        words += [b'"%s"' % base64(SMALL), b"}"]
        assert_block(space + space.join(words) + space)


def test_block_every_split_in_two_gives_the_same():
    text = message(SMALL)
    for cut in range(1, len(text)):
        receiver = Receiver()
        parser = BlockParser(receiver)
        feed(parser, text[:cut], 1_000)
        assert not parser.whole, cut
        feed(parser, text[cut:], 1_000)
        assert parser.whole and bytes(receiver.data) == SMALL, cut


def test_block_every_size_of_pieces_gives_the_same():
    text = b'{ "x": {"y": ["}", "\\"", {}]}, ' + message(SMALL)[1:]
    for piece in range(1, len(text) + 1):
        assert_block(text, piece=piece)


def test_block_escaped_keys_and_values_are_understood():
    assert_block(message(SMALL).replace(b'"f"', b'"\\u0066"').replace(b'"i"', b'"\\u0069"'))
    assert_block(message(SMALL).replace(b'"tok"', b'"\\u0074o\\u006B"'))


def test_block_escaped_payload_is_understood():
    text = base64(SMALL)
    assert b"/" in text and b"+" in text
    escaped = text.replace(b"/", b"\\/").replace(b"+", b"\\u002b").replace(b"=", b"\\u003D")
    everything = b"".join(b"\\u%04x" % byte for byte in text)
    for payload in (escaped, everything):
        for piece in range(1, 60):
            assert_block(message(SMALL).replace(text, payload), piece=piece)


def test_block_escaped_quote_in_payload_does_not_end_it():
    assert_refused(b'{"c":"tok","f":1,"l":3,"i":3,"p":"AA\\"AA"}')
    assert_refused(b'{"c":"tok","f":1,"l":3,"i":3,"p":"AAAA\\""}')


def test_block_keys_with_escapes_are_taken_as_json_takes_them():
    for keys in ("p", "c", "f", "i", "l", "cfilp"):
        text = message(SMALL)
        for key in keys:
            text = text.replace(b'"%s":' % key.encode(), b'"\\u%04x":' % ord(key))
        for piece in (1024, 1, 7):
            assert_block(text, piece=piece)
    decoy = message(SMALL)[:-1] + b',"z":"\\u0070"}'
    assert_block(decoy)
    assert_block(b'{"z":{"\\u0070":"AAAA"},' + message(SMALL)[1:])
    assert_refused(message(SMALL).replace(b'"p"', b'"\\u0050"'))


def test_block_with_a_byte_order_mark_is_refused():
    assert_refused(b"\xef\xbb\xbf" + message(SMALL))
    assert_refused(b"\xff\xfe" + message(SMALL))


def test_block_payload_all_escaped_arrives_whatever_the_pieces():
    for size in (1, 2, 3, 190, 191, 192, 193, 1_000):
        data = pattern(size)
        plain = b2a_base64(data)[:-1]
        for form in (b"\\u%04x", b"%c\\u%04x"):
            if form[:1] == b"%":
                wide = b"".join(form % (plain[n], plain[n + 1]) for n in range(0, len(plain), 2))
            else:
                wide = b"".join(form % byte for byte in plain)
            text = message(data).replace(plain, wide)
            for piece in (1024, 512, 1, 7):
                assert_block(text, data, piece)
            assert_refused(message(data).replace(plain, wide[:-6]))
            assert_refused(message(data).replace(plain, wide + wide))


def test_block_bad_escapes_in_the_payload_are_refused():
    for bad in (b"\\x", b"\\u12", b"\\u00g0", b"\\u-001", b"\\U0041", b"\\"):
        for text in (b'"p":"%s', b'"p":"AAAA%s', b'"p":"AA%s'):
            assert_refused(message(SMALL).replace(b'"p":"', text % bad))


def test_block_bad_escapes_in_the_token_make_it_no_token_of_ours():
    for bad in (b"\\x", b"\\u12", b"\\u00g0", b"\\"):
        for piece in (1024, 1):
            parser = parse(message(SMALL).replace(b'"tok"', b'"tok%s"' % bad), piece)[0]
            assert not parser.whole or parser.token != b"tok", bad


def test_block_all_sizes_arrive_byte_for_byte():
    for size in (1, 2, 3, 60, 256, 512, 1_024, 2_048, 4_096, 4_095, 16_384, 20_000):
        data = pattern(size)
        for piece in (1_024, 1_023, 500):
            assert_block(message(data), data, piece)


def test_block_of_131072_bytes_takes_no_more_memory_than_one_of_256():
    def used(blocks, size):
        """Bytes allocated per byte of the payload's pieces, and the most alive at once."""
        parser = BlockParser(Counter())
        head = bytearray(b'{"c":"tok","f":1,"l":%6d,"i":3,"p":"' % (size * blocks))
        piece, tail = bytearray(base64(pattern(size))), bytearray(b'"}')
        gc.collect()
        before = gc.mem_alloc()
        parser.feed(head, 0, len(head))
        for _ in range(blocks):
            parser.feed(piece, 0, len(piece))
        parser.feed(tail, 0, len(tail))
        gc.collect()
        assert parser.whole and parser.decoded == size * blocks
        return gc.mem_alloc() - before

    small, large = used(1, 768), used(171, 768)
    assert large <= small, (small, large)


class Counter:
    def wanted(self, parser):
        return True

    def take(self, data):
        assert len(data) <= 768


def test_block_payload_of_131072_bytes_is_whole_in_a_small_heap():
    test_size = 131_072
    parser = BlockParser(Counter())
    head = bytearray(b'{"p":"')
    parser.feed(head, 0, len(head))
    piece = bytearray(b"QUJD" * 256)
    for _ in range(test_size // 768):
        parser.feed(piece, 0, 1_024)
    rest = bytearray(b"QUJD" * 170 + b'QUI=","c":"tok","f":1,"i":3,"l":131072}\r\n')
    parser.feed(rest, 0, len(rest))
    assert parser.decoded == test_size, parser.decoded
    assert parser.whole


def test_block_junk_in_base64_is_refused_wherever_it_is():
    text = base64(pattern(60))
    for at in (0, 1, 2, 3, 4, 5, 41, 76, 77, 78, 79):
        for junk in (b"*", b" ", b"\n", b"=", b"-", b"_", b"\xff", b"\x00"):
            broken = text[:at] + junk + text[at + 1 :]
            assert_refused(message(pattern(60)).replace(text, broken))
            broken = text[:at] + junk + text[at:]
            assert_refused(message(pattern(60)).replace(text, broken))


def test_block_truncated_base64_is_refused():
    text = base64(SMALL)
    for cut in range(len(text)):
        assert_refused(message(SMALL).replace(text, text[:cut]))


def test_block_base64_after_its_padding_is_refused():
    for text in (
        b"AA==AAAA",
        b"AAA=AAAA",
        b"AA==AA==",
        b"AAA=AAA=",
        b"AAAA====",
        b"A===",
        b"====",
    ):
        for size in range(7):
            assert_refused(b'{"c":"tok","f":1,"l":%d,"i":3,"p":"%s"}' % (size, text))


def test_block_longer_or_shorter_than_it_says_is_refused():
    for length in (0, len(SMALL) - 1, len(SMALL) + 1, 131_072):
        assert_refused(message(SMALL, length=length))


def test_block_length_that_is_no_number_is_refused():
    number = b'"l":%d' % len(SMALL)
    for other in (b'"%d"' % len(SMALL), b"%d.0" % len(SMALL), b"-%d" % len(SMALL), b"1e1", b"null",
                  b"[%d]" % len(SMALL), b"99999999999999999999", b"0" * 90 + b"10"):  # fmt: skip
        assert_refused(message(SMALL).replace(number, b'"l":' + other))


def test_block_unknown_keys_of_every_kind_are_skipped():
    values = [b"1", b"-1.5e+10", b"true", b"false", b"null", b'"text"', b'"p"', b'""', b"[]"]
    values += [b"{}", b'["p","AAAA"]', b'{"p":"AAAA","i":9}', b'{"a":{"b":[{"c":"}"}]}}']
    values += [b'"' + b"long " * 30 + b'"']
    for value in values:
        assert_block(message(SMALL).replace(b"{", b'{"z":%s,' % value))
        assert_block(message(SMALL)[:-1] + b',"z":%s}' % value)
        assert_block(message(SMALL).replace(b"{", b'{"payload":%s,' % value), piece=1)


def test_block_nested_at_any_depth_is_skipped():
    for depth in (1, 9, 90):
        assert_block(message(SMALL).replace(b"{", b'{"z":%s%s,' % (b"[" * depth, b"]" * depth)))
    for depth in (BESIDE, 5_000):
        assert_refused(message(SMALL).replace(b"{", b'{"z":%s%s,' % (b"[" * depth, b"]" * depth)))


def test_block_with_too_much_beside_its_payload_is_refused():
    room = BESIDE - (len(message(SMALL)) - len(base64(SMALL)) + len(b',"z":""'))
    for size, judge in (
        (room - 2, assert_block),
        (room + 1, assert_refused),
        (9_000, assert_refused),
    ):
        judge(message(SMALL).replace(b"{", b'{"z":"%s",' % (b"x" * size)))
        judge(message(SMALL).replace(b"{", b"{" + b" " * (size + 7)))
        judge(message(SMALL)[:-1] + b',"z":"%s"}' % (b"x" * size))


def test_block_with_the_longest_token_and_numbers_has_room_for_white_space():
    text = message(SMALL, index=98_303, file=255, token="t" * 64)
    spaced = text.replace(b",", b" ,\r\n    ").replace(b":", b" : ").replace(b"{", b"{\r\n    ")
    for each in (text, spaced):
        assert parse(each)[0].whole and parse(each, 1)[0].whole


def test_block_payload_twice_is_refused():
    assert_refused(message(SMALL)[:-1] + b',"p":"%s"}' % base64(SMALL))
    assert_refused(message(SMALL)[:-1] + b',"p":null}')
    assert len(parse(message(SMALL)[:-1] + b',"p":"AAAA"}')[1].asked) == 1


def test_block_without_a_payload_is_refused():
    for text in (b"{}", b'{"l":0}', b'{"l":0,"p":null}', b'{"l":0,"p":0}', b'{"l":0,"p":[""]}'):
        assert_refused(text)


def test_block_cut_off_anywhere_is_refused():
    text = message(SMALL)
    for size in range(len(text)):
        assert not parse(text[:size])[0].whole, size


def test_block_that_is_no_object_is_refused():
    body = message(SMALL)
    texts = [b"", b" ", b"[]", b"null", b"0", b'"p"', b"\xef\xbb\xbf" + body, body + body]
    texts += [body + b"}", body + b"x", b"x" + body, body.replace(b":", b"=")]
    for wrong in (b'"p"', b'"p",', b'"p"=', b'p":', b'"p:'):
        texts.append(body.replace(b'"p":', wrong))
    texts += [body.replace(b'"f"', b"f"), body.replace(b"1,", b"1;"), body.replace(b"3", b"truth")]
    for text in texts:
        assert_refused(text)


def test_block_that_is_not_wanted_is_not_decoded():
    escaped = base64(SMALL).replace(b"/", b"\\/")
    for text in (message(SMALL), message(SMALL).replace(base64(SMALL), escaped)):
        for piece in (1, 1024):
            parser, receiver = parse(text, piece, wants=False)
            assert not receiver.data and not parser.decoded and not parser.whole
            assert receiver.asked == [(b"tok", 1, 3, len(SMALL))]


def test_block_bad_after_its_payload_is_refused_after_all():
    parser, receiver = parse(message(SMALL)[:-1] + b',"z":tru}')
    assert bytes(receiver.data) == SMALL and not parser.whole


def test_block_after_a_bad_one_starts_clean():
    parser, receiver = parse(message(SMALL))
    for bad in (
        b'{"c":"x\\',
        b'{"c":"x\\u00',
        b'{"p":"AAA',
        b'{"p":"AA==',
        b"{[[[",
        b"%",
        b'{"i":12',
    ):
        receiver.data = bytearray()
        parser.reset()
        feed(parser, bad, 1024)
        parser.reset()
        assert told(parser) == (None, None, None, None)
        receiver.data = bytearray()
        feed(parser, message(SMALL), 7)
        assert parser.whole and bytes(receiver.data) == SMALL, bad
        assert told(parser) == (b"tok", 1, 3, len(SMALL))


def test_block_token_of_64_characters_is_kept_and_a_longer_one_is_not_ours():
    token = "x" * 64
    assert parse(message(SMALL, token=token))[0].token == token.encode()
    parser = parse(message(SMALL, token="x" * 200))[0]
    assert not parser.whole or parser.token == b"x" * 200


RECORDED = b"""{
  "c" : "ec944cfb-1e3c-49ac-97de-9dc4aaad0039",
  "f" : 0,
  "i" : 0,
  "l" : 60,
  "p" : "ew0KICAgICJvcGVyYXRpb24iOiAiZWNobyIsDQogICAgImFyZ3MiOiBbIkhlbGxvIHdvcmxkISJdDQp9"
}
"""


def test_block_recorded_from_aws_is_whole_with_any_line_ends():
    for text in (RECORDED, RECORDED.replace(b"\n", b"\r\n"), RECORDED.replace(b" ", b"\t")):
        for piece in (1024, 13, 1):
            parser, receiver = parse(text, piece)
            assert parser.whole and len(receiver.data) == 60, piece
            assert receiver.data.startswith(b'{\r\n    "operation": "echo"')
            assert told(parser) == (b"ec944cfb-1e3c-49ac-97de-9dc4aaad0039", 0, 0, 60)


def test_block_like_the_one_before_is_told_from_one_that_is_not():
    data = pattern(40)
    receiver = Receiver()
    parser = BlockParser(receiver)
    for index in (0, 1, 9, 10, 40, 41, 1_000, 123_456_789, 1_234_567_890, 3):
        plain = message(data, index=index)
        own = b'"i":%d,' % index
        cases = (
            (plain, (b"tok", 1, index, 40)),
            (message(data, index=index + 1), (b"tok", 1, index + 1, 40)),
            (plain.replace(own, b'"i":0%d,' % index), (b"tok", 1, index, 40)),  # as json has it
            (plain.replace(own, b'"i":%d0,' % (index + 1)), (b"tok", 1, 10 * index + 10, 40)),
            (plain.replace(own, b'"i":%d.5,' % index), (b"tok", 1, -1, 40)),
            (plain.replace(own, b'"i":,'), None),
            (plain.replace(own, b'"i":-%d,' % (index + 1)), (b"tok", 1, -1, 40)),
            (plain[:-1] + b',"i":7}', (b"tok", 1, 7, 40)),
            (plain[:-1] + b',"z":tru}', None),
            (plain[:-1] + b" }", (b"tok", 1, index, 40)),
            (message(data, index=index, token="tik"), (b"tik", 1, index, 40)),
            (plain, (b"tok", 1, index, 40)),
        )  # fmt: skip
        for raw, wanted in cases:
            for piece in (4_096, 61):
                parser.reset()
                receiver.data = bytearray()
                feed(parser, raw, piece)
                assert parser.whole == (wanted is not None), (index, raw)
                if wanted:
                    assert told(parser) == wanted, (index, raw, told(parser))
                    assert bytes(receiver.data) == bytes(data)


def test_parser_learns_a_few_times_a_download_and_not_at_every_message():
    from sluice.transfer import json_block

    loaded, plug_in = [], json_block.plug_in

    def counted(path, name):
        loaded.append(path)
        return plug_in(path, name)

    json_block.plug_in = counted
    try:
        receiver = Receiver()
        parser = BlockParser(receiver)
        for number in range(40):
            gap = b" " * (number % 7 + 1)  # another text around the payload each time
            text = b'{"c":"t","f":0,' + gap + b'"i":%d,"l":3,"p":"QUJD"}' % number
            parser.reset()
            feed(parser, text, 1_024)
            assert parser.whole and parser.index == number and parser.decoded == 3
        assert loaded.count("sluice.transfer.json_learned") == 4
    finally:
        json_block.plug_in = plug_in


def test_parser_that_has_no_room_to_learn_reads_every_message_in_full():
    from sluice.transfer import json_block

    plug_in = json_block.plug_in

    def full(path, name):
        raise MemoryError

    json_block.plug_in = full
    try:
        parser = BlockParser(Receiver())
        for number in range(5):
            parser.reset()
            feed(parser, b'{"c":"t","f":0,"i":%d,"l":3,"p":"QUJD"}' % number, 1_024)
            assert parser.whole and parser.index == number
    finally:
        json_block.plug_in = plug_in


def test_block_is_read_where_the_heap_has_room_for_part_of_a_buffer_alone():
    from sluice.transfer import base64 as decoder

    data, decode = pattern(4_096), decoder.a2b_base64

    def full(text):
        if len(text) > most:
            raise MemoryError
        return decode(text)

    decoder.a2b_base64 = full
    try:
        for most in (1_040, 1_039, 520, 519, 260):
            for piece in (1_024, 1_027, 700, 261, 7):
                parser, receiver = parse(message(data), piece)
                assert parser.whole, (most, piece)
                assert bytes(receiver.data) == bytes(data), (most, piece)
    finally:
        decoder.a2b_base64 = decode
