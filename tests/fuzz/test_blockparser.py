"""Messages of a stream, right and mutated, judged by Python's json and base64 on the host.

The parser leaves all but the payload to MicroPython's json, which forgives what Python's does not
(commas, a missing bracket). But a message that it calls whole and that Python can read says the
same to Python; and whatever it counts, the payload decodes to just the bytes that were handed
on. What it says must not depend on the pieces the message came in.
"""

import base64
import json
import random
import re
from pathlib import Path

import pytest
from parsing import Device

ROUNDS = 3_000
TOKEN = "sluice-0123abcd"
SPACES = ["", "", "", " ", "\t", "\r\n", "  \n"]
STRANGERS = ["1", "-2.5e3", "true", "null", '""', '"p"', "[]", '{"p":"AAAA","i":[{}]}', '"\\""']


def string(text: str, chance: random.Random) -> str:
    """A JSON string of the text, with escapes here and there."""
    escapes = {"/": "\\/", '"': '\\"', "\\": "\\\\"}
    found = []
    for c in text:
        what = chance.randrange(12)
        found.append(f"\\u{ord(c):04x}" if what == 0 else escapes.get(c, c) if what < 4 else c)
    return '"' + "".join(found) + '"'


def message(chance: random.Random, data: bytes, index: int, strange: bool) -> bytes:
    """A message for these bytes, as some server might write it."""
    values = {"c": string(TOKEN, chance), "f": "7", "i": str(index), "l": str(len(data))}
    values["p"] = string(base64.b64encode(data).decode(), chance)
    members = [
        (string(key, chance) if key != "p" else '"p"', value) for key, value in values.items()
    ]
    if strange:
        members += [(f'"z{n}"', chance.choice(STRANGERS)) for n in range(chance.randrange(3))]
    chance.shuffle(members)
    pad = lambda: chance.choice(SPACES)  # noqa: E731
    body = ",".join(f"{pad()}{key}{pad()}:{pad()}{value}{pad()}" for key, value in members)
    return f"{pad()}{{{body}}}{pad()}".encode()


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The same with a few bytes changed, taken out, doubled or cut off."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(data))
        what = chance.randrange(8)
        if what == 0:
            data[at] = chance.randrange(256)
        elif what == 1:
            data[at] = chance.choice(b'"\\{}[],:= \n0Au=')
        elif what == 2:
            del data[at : at + chance.randint(1, 6)]
        elif what == 3:
            data[at:at] = data[at : at + chance.randint(1, 12)]
        elif what == 4:
            data[at:at] = bytes([chance.choice(b'"\\{}[],:=\x00\xff')])
        elif what == 5:
            data = data[: at + 1]
        else:
            data[at:at] = chance.choice([b" ", b"\n", b"0", b"\\u0041", b"QUJD"])
        if not data:
            break
    return bytes(data)


def fields(text: bytes) -> dict | None:
    """What Python's json reads in the message; None when it reads no object."""
    plain = re.sub(rb"(:\s*)0+([0-9])", rb"\1\2", text)  # MicroPython takes 007 for 7
    try:
        found = json.loads(plain.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def payloads(text: bytes) -> set[bytes]:
    """What the texts under the key "p" decode to, however broken the rest is."""
    found = set()
    for match in re.findall(rb'"p"[:\s]*"([^"]*)"', text):
        plain = re.sub(rb"\\u00(..)", lambda m: bytes.fromhex(m[1].decode()), match)
        try:
            found.add(base64.b64decode(plain.replace(b"\\/", b"/"), validate=True))
        except ValueError:
            continue
    return found


@pytest.fixture
def device(micropython, tmp_path: Path) -> Device:
    """The parser, in a buffer that was used before."""
    return Device(micropython, tmp_path, "ota.blockparser", (b'"', b'"AAAA'))


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_blocks_as_any_server_may_write_them_are_whole(device, arch):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    blocks = [
        (chance.randbytes(chance.randint(1, 400)), chance.randrange(9_999)) for _ in range(800)
    ]
    messages = [message(chance, data, index, True) for data, index in blocks]
    for (data, index), text, said in zip(
        blocks, messages, device.judges(messages, arch, seed), strict=True
    ):
        assert said == (True, TOKEN.encode(), 7, index, len(data), data), (seed, text)


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_blocks_mutated_that_count_say_the_same_to_json(device, arch):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    messages = []
    for _ in range(ROUNDS):
        data = chance.randbytes(chance.randint(1, 60))
        messages.append(mutated(chance, message(chance, data, chance.randrange(99), False)))
    counted = refused = 0
    for text, said in zip(messages, device.judges(messages, arch, seed), strict=True):
        whole, token, file, index, length, data = said
        if not whole or token != TOKEN.encode() or file != 7 or index is None or index < 0:
            refused += 1
            continue
        counted += 1
        assert data in payloads(text) and len(data) == length, (seed, text)
        found = fields(text)
        if found is not None:
            read = tuple(found.get(key) for key in "cfil")
            assert read == (TOKEN, 7, index, length), (seed, text)
    assert counted > ROUNDS // 60 and refused > ROUNDS // 3, (seed, counted, refused)
