"""CBOR messages of a stream, right and mutated, judged by the local cloud's reader on the host.

A message that the device calls whole and that the reader can read says the same to it. The device
is the stricter of the two on the payload, and does not look at what other members hold. What it
says must not depend on the pieces the message came in.
"""

import random
from pathlib import Path

import pytest
from parsing import Device

from host_tools.cloud import cbor

ROUNDS = 4_000
TOKEN = "sluice-0123abcd"
STRANGERS = (
    0,
    -7,
    2**40,
    "text",
    "p",
    b"bytes",
    [],
    [1, ["p", b"no"]],
    {"p": b"no", "i": {}},
    None,
)
WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
FIRST = bytes((0x00, 0x18, 0x1B, 0x40, 0x41, 0x5F, 0x60, 0x61, 0x7F, 0x80, 0x9F, 0xA1, 0xBF, 0xC1,
               0xF6, 0xFB, 0xFF))  # fmt: skip


def head(chance: random.Random, kind: int, number: int) -> bytes:
    """The head of an item, as long as chance has it."""
    fitting = [extra for extra, width in WIDTHS.items() if number < 1 << 8 * width]
    if number < 24 and chance.randrange(3):
        return bytes((kind << 5 | number,))
    extra = chance.choice(fitting)
    return bytes((kind << 5 | extra,)) + number.to_bytes(WIDTHS[extra], "big")


def item(chance: random.Random, value: object) -> bytes:
    """The value as some writer might put it; byte strings in chunks now and then."""
    if isinstance(value, bytes) and not chance.randrange(4):
        pieces, rest = [], value
        while rest or chance.randrange(2):
            size = chance.randint(0, len(rest))
            pieces.append(head(chance, 2, size) + rest[:size])
            rest = rest[size:]
        return b"\x5f" + b"".join(pieces) + b"\xff"
    if isinstance(value, bytes):
        return head(chance, 2, len(value)) + value
    if isinstance(value, str):
        return head(chance, 3, len(value)) + value.encode()
    return head(chance, 0, value)


def message(chance: random.Random, data: bytes, index: int, strange: bool) -> bytes:
    """A message for these bytes."""
    values = {"c": TOKEN, "f": 7, "i": index, "l": len(data), "p": data}
    parts = [item(chance, key) + item(chance, value) for key, value in values.items()]
    if strange:
        parts += [
            item(chance, f"z{number}") + cbor.dumps(chance.choice(STRANGERS))
            for number in range(chance.randrange(3))
        ]
    chance.shuffle(parts)
    if chance.randrange(2):
        return b"\xbf" + b"".join(parts) + b"\xff"
    return head(chance, 5, len(parts)) + b"".join(parts)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The same with a few bytes changed, taken out, doubled or cut off."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(data))
        what = chance.randrange(7)
        if what == 0:
            data[at] = chance.randrange(256)
        elif what == 1:
            data[at] = chance.choice(FIRST)
        elif what == 2:
            del data[at : at + chance.randint(1, 6)]
        elif what == 3:
            data[at:at] = data[at : at + chance.randint(1, 12)]
        elif what == 4:
            data[at:at] = bytes([chance.choice(FIRST)])
        elif what == 5:
            data = data[: at + 1]
        else:
            data[at] ^= 1 << chance.randrange(8)
        if not data:
            break
    return bytes(data)


@pytest.fixture
def device(micropython, tmp_path: Path) -> Device:
    """The parser, in a buffer that was used before."""
    return Device(micropython, tmp_path, "ota.cborparser", (b"\xff", b"\xff\x00"))


def told(raw: bytes) -> tuple | None:
    """What the host's reader finds; None when it reads no message with all five members."""
    try:
        found = cbor.loads(raw)
    except ValueError:
        return None
    return tuple(found.get(key) for key in "cfilp") if isinstance(found, dict) else None


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_cbor_blocks_as_any_server_may_write_them_are_whole(device, arch):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    blocks = [
        (chance.randbytes(chance.randint(0, 400)), chance.randrange(99_999)) for _ in range(800)
    ]
    messages = [message(chance, data, index, True) for data, index in blocks]
    for (data, index), raw, said in zip(
        blocks, messages, device.judges(messages, arch, seed), strict=True
    ):
        assert told(raw) == (TOKEN, 7, index, len(data), data), (seed, raw)
        assert said == (True, TOKEN.encode(), 7, index, len(data), data), (seed, raw)


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_cbor_blocks_mutated_that_count_say_the_same_to_another_reader(device, arch):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    messages = [
        mutated(chance, message(chance, chance.randbytes(chance.randint(0, 60)), 5, False))
        for _ in range(ROUNDS)
    ]
    counted = refused = 0
    for raw, said in zip(messages, device.judges(messages, arch, seed), strict=True):
        whole, token, file, index, length, data = said
        if not whole or token != TOKEN.encode() or file != 7 or index is None or index < 0:
            refused += 1
            continue
        counted += 1
        found = told(raw)
        assert len(data) == length and data in raw or b"\x5f" in raw, (seed, raw)
        if found is not None:
            assert found == (TOKEN, file, index, length, data), (seed, raw)
    assert counted > ROUNDS // 60 and refused > ROUNDS // 3, (seed, counted, refused)
