"""The CBOR block parser: any CBOR a server may write, in any pieces, and nothing else."""

import gc
from binascii import unhexlify

from doubles import pattern, raised
from test_blockparser import Counter, Receiver, feed, permutations, told

from sluice.transfer.cbor_block import BlockParser

HEAP = "2m"  # for messages made whole, here; the parser takes none of it
SMALL = b"\xff\x00\xbf\x5fhello\x41"  # bytes that would mean something elsewhere
NESTED = b"\x82\x01\xa2\x01\xbf\x61x\x9f\xff\xff\x61p\x42no"  # [1, {1: {x: []}, p: h'..'}]
# fmt: off
STRANGERS = (  # values under a key that we do not know, each one item
    b"\x00", b"\x17", b"\x18\xff", b"\x1b" + b"\xff" * 8, b"\x20", b"\x39\x01\x00", b"\xf4",
    b"\xf5", b"\xf6", b"\xf7", b"\xf8\xff", b"\xf9\x3e\x00", b"\xfa" + b"\0" * 4,
    b"\xfb" + b"\0" * 8, b"\x40", b"\x60", b"\x43abc", b"\x63abc", b"\x78\x50" + b"x" * 80,
    b"\x59\x01\x00" + b"y" * 256, b"\x80", b"\xa0", b"\x9f\xff", b"\xbf\xff",
    b"\x5f\x42\xff\xff\x40\xff", b"\x7f\x61p\xff", NESTED, b"\x98\x02\x00\x00",
    b"\xbf\x61p\x44AAAA\xff",
)
# fmt: on


def head(kind, number):
    """The head of an item, as short as it can be."""
    kind <<= 5
    if number < 24:
        return bytes((kind | number,))
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes((kind | extra,)) + number.to_bytes(size, "big")
    raise ValueError(number)


def text(value):
    return head(3, len(value)) + value.encode()


def members(data, index=3, file=1, token="tok", length=None):
    """The message's members as AWS orders them."""
    size = len(data) if length is None else length
    return [
        text("c") + text(token),
        text("f") + head(0, file),
        text("l") + head(0, size),
        text("i") + head(0, index),
        text("p") + head(2, len(data)) + bytes(data),
    ]


def endless(parts):
    return b"\xbf" + b"".join(parts) + b"\xff"


def message(data, **changes):
    return endless(members(data, **changes))


def parse(data, piece=1024, wants=True):
    receiver = Receiver(wants)
    parser = BlockParser(receiver)
    feed(parser, data, piece)
    return parser, receiver


def assert_block(raw, data=SMALL, piece=1024):
    parser, receiver = parse(raw, piece)
    assert parser.whole, raw
    assert bytes(receiver.data) == bytes(data), raw
    assert told(parser) == (b"tok", 1, 3, len(data)), raw
    assert len(receiver.asked) == 1


def assert_refused(raw):
    for piece in (1024, 1, 7):
        assert not parse(raw, piece)[0].whole, raw


def test_cbor_any_order_of_keys_and_either_kind_of_map_is_whole():
    for order in permutations(members(SMALL)):
        assert_block(endless(order))
        assert_block(b"\xa5" + b"".join(order))


def test_cbor_message_as_a_minimal_writer_makes_it_is_whole():
    raw = unhexlify("bf616363746f6b616601616c0a616903617045" + "00" * 5 + "ff")
    parser, receiver = parse(raw)
    assert not parser.whole and parser.length == 10 and parser.decoded == 5
    assert parse(raw.replace(b"\x6c\x0a", b"\x6c\x05"))[0].whole


def test_cbor_fields_before_the_payload_are_known_when_it_begins():
    parts = members(b"abc")
    receiver = parse(endless([parts[0], parts[3], parts[4], parts[1], parts[2]]))[1]
    assert receiver.asked == [(b"tok", None, 3, None)]


def test_cbor_every_split_in_two_gives_the_same():
    raw = endless([text("x") + NESTED] + members(SMALL))
    for cut in range(1, len(raw)):
        receiver = Receiver()
        parser = BlockParser(receiver)
        feed(parser, raw[:cut], 1_000)
        assert not parser.whole, cut
        feed(parser, raw[cut:], 1_000)
        assert parser.whole and bytes(receiver.data) == SMALL, cut


def test_cbor_every_size_of_pieces_gives_the_same():
    raw = endless(members(pattern(700))[::-1])
    for piece in range(1, 130):
        assert_block(raw, pattern(700), piece)


def test_cbor_every_width_of_a_number_is_understood():
    for width in (1, 2, 4, 8):
        extra = {1: 24, 2: 25, 4: 26, 8: 27}[width]

        def wide(kind, number, extra=extra, width=width):
            return bytes((kind << 5 | extra,)) + number.to_bytes(width, "big")

        parts = [text("f") + wide(0, 1), text("i") + wide(0, 3), text("l") + wide(0, len(SMALL))]
        parts += [text("c") + wide(3, 3) + b"tok", wide(3, 1) + b"p" + wide(2, len(SMALL)) + SMALL]
        assert_block(endless(parts))
        assert_block(wide(5, 5) + b"".join(parts), piece=1)


def test_cbor_payload_in_chunks_is_one_payload():
    parts = members(SMALL)
    for sizes in ((10,), (3, 7), (0, 1, 0, 9, 0), (1,) * 10):
        chunks, at = [], 0
        for size in sizes:
            chunks.append(head(2, size) + SMALL[at : at + size])
            at += size
        payload = text("p") + b"\x5f" + b"".join(chunks) + b"\xff"
        for piece in (1024, 1):
            assert_block(endless(parts[:4] + [payload]), piece=piece)
            assert_block(b"\xa5" + payload + b"".join(parts[:4]), piece=piece)


def test_cbor_members_of_no_use_are_passed_over():
    for stranger in STRANGERS:
        for key in (text("x"), text("pp"), text(""), text("y" * 90), b"\x05", b"\x41p", b"\xf6"):
            parts = members(SMALL)
            for place in (0, 3, 5):
                some = parts[:place] + [key + stranger] + parts[place:]
                assert_block(endless(some))
                assert_block(b"\xa6" + b"".join(some), piece=1)


def test_cbor_values_of_a_wrong_kind_are_none_of_ours():
    for letter, place in (("f", 1), ("l", 2), ("i", 3)):
        for wrong in STRANGERS[4:]:
            parts = members(SMALL)
            parts[place] = text(letter) + wrong
            parser = parse(endless(parts))[0]
            right = (1, len(SMALL), 3)[place - 1]
            assert told(parser)[(None, 1, 3, 2)[place]] != right, (letter, wrong)
    for wrong in STRANGERS:
        parts = [text("c") + wrong] + members(SMALL)[1:]
        assert parse(endless(parts))[0].token != b"tok", wrong


def test_cbor_payload_that_is_no_byte_string_is_refused():
    for wrong in STRANGERS:
        if wrong[0] >> 5 != 2:
            assert_refused(endless(members(SMALL)[:4] + [text("p") + wrong]))


def test_cbor_payload_twice_is_refused():
    parts = members(SMALL)
    assert_refused(endless(parts + [parts[4]]))
    assert_refused(endless(parts + [text("p") + b"\x5f\x41a\xff"]))
    assert len(parse(endless(parts + [parts[4]]))[1].asked) == 1


def test_cbor_payload_of_another_length_than_said_is_refused():
    for length in (0, 9, 11, 266):
        assert_refused(message(SMALL, length=length))
    assert_refused(endless(members(SMALL)[:2] + members(SMALL)[3:]))


def test_cbor_message_cut_off_anywhere_is_refused():
    for raw in (message(SMALL), b"\xa5" + b"".join(members(SMALL)[::-1])):
        for size in range(len(raw)):
            assert_refused(raw[:size])


def test_cbor_message_with_something_behind_it_is_refused():
    for more in (b"\x00", b"\xff", b" ", message(SMALL)):
        assert_refused(message(SMALL) + more)
        assert_refused(b"\xa5" + b"".join(members(SMALL)) + more)


def test_cbor_that_is_no_map_or_broken_is_refused():
    good = b"".join(members(SMALL))
    for raw in (b"", b"\x00", b"\x80", b"\x85" + good, b"\x9f" + good + b"\xff", b"\xff" + good,
                b"\xa4" + good, b"\xa6" + good, b"\xa6" + good + b"\x61x", b"\xbf" + good,
                b"\xa5" + good[:-1], b"\xa0", b"\xbf\xff", b"\xc0\xbf" + good + b"\xff",
                b"\xbb" + b"\xff" * 8 + good, b"\xb9\x01\x00" + good, b"\xbc" + good,
                b"{" + good + b"}"):  # fmt: skip
        assert_refused(raw)
    for member in (b"\x61x", b"\x61x\x1c", b"\x61x\x1f", b"\x61x\xc1\x00", b"\x61x\xdf",
                   b"\x80\x00", b"\x7f\x41x\xff\x00", b"\x61x\x5f\x61y\xff",
                   b"\x7f\x7f\x61x\xff\xff\x00", b"\x7f\x61x\xff",
                   b"\x61x\x5f\x5f\xff\xff",
                   b"\x61x\xbf\x00\xff", b"\x61x\x82\xff\x00", b"\x61x\x5f\x00\xff"):  # fmt: skip
        assert_refused(b"\xbf" + good + member + b"\xff")


def test_cbor_nesting_is_bounded():
    for depth in (1, 2, 3, 4):
        for opening, closing in ((b"\x81", b""), (b"\x9f", b"\xff")):
            stranger = text("x") + opening * depth + b"\x00" + closing * depth
            assert_block(endless([stranger] + members(SMALL)))
    for depth in (5, 6, 200, 5_000):
        assert_refused(endless([text("x") + b"\x81" * depth + b"\x00"] + members(SMALL)))
        assert_refused(endless([text("x") + b"\x9f" * depth + b"\x00"] + members(SMALL)))


def test_cbor_items_are_bounded_but_for_a_payload_in_large_chunks():
    stranger = text("z") + b"\x98\x20" + b"\x00" * 32
    assert_block(endless([stranger] + members(SMALL)))
    assert_refused(endless([stranger, stranger] + members(SMALL)))
    for size, taken in ((1, False), (16, False), (64, True), (256, True)):
        data = pattern(4_096)
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        payload = b"\x5f" + b"".join(head(2, len(p)) + bytes(p) for p in pieces) + b"\xff"
        raw = endless(members(data)[:4] + [text("p") + payload])
        assert parse(raw, 512)[0].whole == taken, size


def test_cbor_small_message_of_many_items_is_refused():
    assert BlockParser.loads(b"\x98\xc8" + b"\x00" * 200) == [0] * 200
    for raw in (b"\x99\x01\x00" + b"\x00" * 256, b"\x9f" + b"\x00" * 300 + b"\xff",
                b"\x9f" + b"\x80" * 300 + b"\xff", b"\x5f" + b"\x40" * 300 + b"\xff"):  # fmt: skip
        raised(ValueError, BlockParser.loads, raw)


def test_cbor_token_of_the_longest_length_is_told():
    token = "x" * 64
    assert parse(message(SMALL, token=token))[0].token == token.encode()
    parser = parse(message(SMALL, token=token + "x"))[0]
    assert parser.token != token.encode() and parser.token != token.encode() + b"x"


def test_cbor_keys_and_token_in_chunks_are_what_the_chunks_make():
    def chunks(value, size):
        parts = [text(value[at : at + size]) for at in range(0, len(value), size)]
        return b"\x7f" + b"".join(parts) + text("") + b"\xff"

    token = "sluice-0123abcd"
    for size in (1, 2, 7, 64):
        for rest in (members(SMALL)[1:], members(SMALL)[:0:-1]):
            raw = endless([chunks("c", 1) + chunks(token, size)] + rest)
            for piece in (1024, 1, 7):
                parser = parse(raw, piece)[0]
                assert parser.whole and parser.token == token.encode(), raw
    for word in "cfilp":
        raw = message(SMALL).replace(text(word), chunks(word, 1))
        for piece in (1024, 1):
            assert_block(raw, piece=piece)
    assert_block(endless([chunks("z" * 300, 60) + chunks("z" * 300, 60)] + members(SMALL)))
    for length in (64, 65, 300):
        parser = parse(endless([text("c") + chunks("x" * length, 60)] + members(SMALL)[1:]))[0]
        assert parser.whole and parser.token == (b"x" * 64 if length == 64 else b"")


def test_cbor_payload_that_is_not_wanted_is_passed_over():
    parser, receiver = parse(message(SMALL), wants=False)
    assert not parser.whole and not receiver.data and parser.index == 3


def test_cbor_parser_is_good_for_the_next_message_after_any():
    bad = (b"\xff", b"\xbf\x61", message(SMALL)[:-3], b"\xbf\x61p\x5f\x41", message(SMALL) + b"x")
    receiver = Receiver()
    parser = BlockParser(receiver)
    for raw in bad:
        feed(parser, raw, 1024)
        parser.reset()
        receiver.data = bytearray()
        feed(parser, message(SMALL), 1024)
        assert parser.whole and bytes(receiver.data) == SMALL, raw
        parser.reset()


def test_cbor_all_sizes_arrive_byte_for_byte():
    for size in (1, 23, 24, 60, 255, 256, 4_096, 65_535, 65_536, 126_976):
        data = pattern(size)
        for piece in (512, 511):
            parser, receiver = parse(message(data, index=99), piece)
            assert parser.whole and receiver.data == data and parser.index == 99


def test_cbor_payload_of_131072_bytes_takes_no_memory():
    parser = BlockParser(Counter())
    start = b"\xbf" + b"".join(members(b"", length=131_072)[:4]) + text("p") + head(2, 131_072)
    opening, piece, tail = bytearray(start), bytearray(512), bytearray(b"\xff")
    gc.collect()
    before = gc.mem_alloc()
    parser.feed(opening, 0, len(opening))
    for _ in range(256):
        parser.feed(piece, 0, 512)
    parser.feed(tail, 0, 1)
    gc.collect()
    assert parser.whole and parser.decoded == 131_072
    assert gc.mem_alloc() - before < 200, gc.mem_alloc() - before


def test_cbor_request_is_what_the_standard_says():
    raw = BlockParser.dumps({"c": "rdy"})
    assert raw == b"\xa1\x61c\x63rdy"
    for number, wanted in ((0, "00"), (23, "17"), (24, "1818"), (255, "18ff"), (256, "1a00000100"),
                           (131_072, "1a00020000")):  # fmt: skip
        assert BlockParser.dumps({"o": number}) == b"\xa1\x61o" + unhexlify(wanted)
    long = BlockParser.dumps({"c": "x" * 64})
    assert long == b"\xa1\x61c\x78\x40" + b"x" * 64
    assert BlockParser.dumps({"a": 1, "b": "c"})[0] == 0xA2


def test_cbor_small_message_is_read():
    wanted = {"c": "t", "s": 1, "d": "", "r": [{"f": 0, "z": 10_000}]}
    assert BlockParser.loads(bytearray(unhexlify(
        "bf61636174617301616460617281bf616600617a192710ffff"))) == wanted  # fmt: skip
    assert BlockParser.loads(bytearray(unhexlify(
        "a461636174617301616460 6172 9fa2616600617a1a00002710ff".replace(" ", "")
    ))) == wanted  # fmt: skip
    # fmt: off
    for raw, value in (  # examples of RFC 8949, appendix A
        ("1bffffffffffffffff", (1 << 64) - 1), ("3903e7", -1000), ("20", -1), ("f4", False),
        ("f5", True), ("f6", None), ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"), ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}), ("62c3bc", "ü"),
    ):
        assert BlockParser.loads(unhexlify(raw)) == value, raw
    # fmt: on


def test_cbor_small_message_that_is_broken_raises_value_error():
    for raw in ("", "18", "1c", "41", "61ff", "8101ff", "ff", "0000", "bf61", "bf6161ff", "c000",
                "82ff00", "5f6161ff", "a18000", "1f", "5b00ffffffff", "81" * 9 + "00", "9f" * 9,
                "bb" + "ff" * 8, "9bffffffffffffffff00"):  # fmt: skip
        try:
            value = BlockParser.loads(bytearray(unhexlify(raw)))
            raise AssertionError((raw, value))
        except ValueError:
            pass


def test_cbor_message_like_the_one_before_is_told_from_one_that_is_not():
    data = pattern(40)
    receiver = Receiver()
    parser = BlockParser(receiver)
    for index in (0, 1, 22, 23, 24, 25, 255, 256, 257, 65_535, 65_536, 65_537, 3):
        parts = members(data, index=index)
        other = b"\xa5" + b"".join(parts)
        late = endless(parts[:3] + parts[4:] + parts[3:4])
        twice = endless(parts[:4] + [text("i") + head(0, 9)] + parts[4:])
        wrong = message(data, index=index).replace(text("f") + head(0, 1), text("f") + head(1, 1))
        for raw, told_index, file in (
            (message(data, index=index), index, 1), (message(data, index=index ^ 1), index ^ 1, 1),
            (other, index, 1), (late, index, 1), (twice, 9, 1), (wrong, index, -1),
            (message(data, index=index), index, 1),
        ):  # fmt: skip
            parser.reset()
            receiver.data = bytearray()
            feed(parser, raw, 4_096)
            assert parser.whole and bytes(receiver.data) == bytes(data), (index, raw)
            assert told(parser) == (b"tok", file, told_index, 40), (index, raw)
            parser.reset()
            feed(parser, raw[:-1], 4_096)
            assert not parser.whole
