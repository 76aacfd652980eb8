"""The broker's side of a download, as MQTT packets in a file."""

import base64
import json
import random
from collections.abc import Iterator

from sluice.cloud.streams import cbor

THING, STREAM, TOKEN = "bench", "AFR_OTA-bench", "sluice-00000000"
BUFFER = 2_048  # bytes that the device reads at a time, at most
JSON, CBOR, HTTP = "json", "cbor", "http"  # ways that an image comes
ESCAPED = "escaped"  # JSON, with every character of a payload written as \u and four digits
MIXED = "mixed"  # the same of every second character: escapes to take out of what needs none

Case = tuple[int, str]  # bytes of a block, and the way that it comes


def content(size: int, seed: int) -> bytes:
    """An image's bytes, the same every time."""
    return random.Random(seed).randbytes(size)


def blocks(size: int, case: Case) -> Iterator[bytes]:
    """All blocks of a file in packets, in their order."""
    block, form = case
    topic = f"$aws/things/{THING}/streams/{STREAM}/data/{'cbor' if form == CBOR else 'json'}"
    noise = random.Random(block)
    for index in range(size // block):
        data: bytes | str = noise.randbytes(block)
        if form != CBOR:
            data = base64.b64encode(data).decode()
        message = {"c": TOKEN, "f": 0, "i": index, "l": block, "p": data}
        yield publish(topic, message, {ESCAPED: 1, MIXED: 2}.get(form, 0))


def description(size: int, form: str) -> bytes:
    """What a stream says of its file, so long that a read of the device's buffer ends with it."""
    topic = f"$aws/things/{THING}/streams/{STREAM}/description/"
    topic += "cbor" if form == CBOR else "json"
    about = {"c": TOKEN, "s": 1, "r": [{"f": 0, "z": size}]}
    lengths = (publish(topic, about | {"d": "-" * count}) for count in range(2 * BUFFER))
    return next(packet for packet in lengths if len(packet) % BUFFER == 0)


def publish(topic: str, message: dict, every: int = 0) -> bytes:
    """One MQTT packet at QoS 0; `every` such character of a payload escaped, as JSON may be."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    if topic.endswith("cbor"):
        body += cbor.dumps(message)
    else:
        text = json.dumps(message, separators=(",", ":"))
        if every:
            plain = message["p"]
            written = (c if at % every else f"\\u{ord(c):04x}" for at, c in enumerate(plain))
            text = text.replace(plain, "".join(written))
        body += text.encode()
    left, length = len(body), bytearray()
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return b"\x30" + bytes([*length, left]) + body
