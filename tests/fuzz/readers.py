"""What another reader, on the host, finds in an input: it and the device must not disagree.

A reader is a function (input, verdict of the device or None where it refused) that gives what is
wrong with that verdict, or None. Where the two may differ, it has no opinion.
"""

import base64
import hashlib
import http.client
import io
import json
import re
import struct
from binascii import crc32
from collections.abc import Callable

import containers
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sluice.cloud.streams import cbor
from sluice.errors import SluiceError
from sluice.image import smaller as container

Reader = Callable[[bytes, str | None], str | None]

TEXT = 254  # bytes of a JSON block beside its payload that the device has room for


def block_json(data: bytes, said: str | None) -> str | None:
    """As json.loads; MicroPython's forgives more, so only what both read is compared."""
    found = strict(data)
    if found is None or any(isinstance(found.get(key), float) for key in "fil"):
        return None
    if any("\ud7ff" < one < "\ue000" or one > "\uffff" for one in str(found.get("c"))):
        return None  # MicroPython makes two characters of what is escaped in two halves
    payload = found.get("p")
    keys = re.findall(rb'"(?:p|\\u0070)"\s*:', data)
    try:
        decoded = base64.b64decode(payload, validate=True) if isinstance(payload, str) else None
    except ValueError:
        decoded = None
    right = decoded is not None and found.get("l") == len(decoded)
    if said != "no":
        return (
            None if right and len(keys) > 1 or said == told(found, decoded) else "read otherwise"
        )
    beside = len(data) - sum(map(len, re.findall(rb'"(?:p|\\u0070)"\s*:\s*("[^"]*")', data)))
    fits = beside < TEXT and len(keys) == 1 and isinstance(found.get("c"), str | None)
    return "refused, though it is right" if right and fits and canonical(payload) else None


def strict(data: bytes) -> dict | None:
    """The object, where Python's json reads one."""
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def canonical(text: str) -> bool:
    """The one base64 of what it stands for."""
    return base64.b64encode(base64.b64decode(text)).decode() == text


def told(found: dict, data: bytes | None) -> str:
    """The verdict for a message that is whole."""
    token = found.get("c")
    words = [token.encode().hex() or "-" if isinstance(token, str) else "-"]
    for key in "fil":
        value = found.get(key)
        right = type(value) is int and value >= 0
        words.append(str(value if right or value is None else -1))
    return " ".join([*words, (data or b"").hex()])


def block_cbor(data: bytes, said: str | None) -> str | None:
    """As the local cloud's reader, which reads fewer things: only what both read is compared."""
    found = cbor_object(data)
    payload = found.get("p") if found else None
    if not isinstance(payload, bytes) or any(
        data.count(b"\x61" + bytes([c])) > 1 for c in b"cfilp"
    ):
        return None
    if said == "no":
        return None
    token = found.get("c")
    if not isinstance(token, str | None) or token and len(token.encode()) > 64:
        return None
    return None if said == told(found, payload) else "read otherwise"


def cbor_object(data: bytes) -> dict | None:
    try:
        found = cbor.loads(data)
    except (ValueError, RecursionError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def packets(data: bytes, said: str | None) -> str | None:
    """As a reader that has the whole stream at once (OASIS MQTT 3.1.1, sections 2 and 3)."""
    return None if said == " ".join(events(data)) else f"read otherwise: {' '.join(events(data))}"


def events(data: bytes) -> list[str]:
    seen, at = [], 0
    while at < len(data):
        kind, size, width = data[at], 0, 0
        while True:
            width += 1
            if at + width >= len(data):
                return seen
            size |= (data[at + width] & 0x7F) << 7 * (width - 1)
            if not data[at + width] & 0x80:
                break
            if width == 4:
                return [*seen, "refused"]
        body = data[at + 1 + width : at + 1 + width + size]
        at += 1 + width + size
        event = publication(kind, body, size) if kind >> 4 == 3 else answer(kind, body, size)
        if event is None:
            return seen  # cut off
        seen += event
        if event[-1:] == ["refused"]:
            return seen
    return seen


def answer(kind: int, body: bytes, size: int) -> list[str] | None:
    if kind not in b"\x20\x40\x90\xb0\xd0" or size > 280:
        return ["refused"]
    if len(body) < size:
        return None
    if size < 2 and kind != 0xD0 or kind == 0x90 and size < 3:
        return ["refused"]
    return [f"{kind}/{0 if kind == 0xD0 else body[0] << 8 | body[1]}"]


def publication(kind: int, body: bytes, size: int) -> list[str] | None:
    qos = kind & 6
    if qos > 2 or size < 2:
        return ["refused"]
    if len(body) < 2:
        return None
    length = body[0] << 8 | body[1]
    start = 2 + length + (2 if qos else 0)
    if not 0 < length <= 256 or start > size:
        return ["refused"]
    if len(body) < size:
        return None
    topic, payload = body[2 : 2 + length], body[start:]
    found = []
    if topic != b"nobody":
        known = f"{crc32(payload):08x}" if len(payload) <= 4_000 else "-"
        found.append(f"{crc32(topic):08x}:{known}")
    if qos:
        found.append(f"48/{body[start - 2] << 8 | body[start - 1]}")
    return found


class _Socket(io.BytesIO):
    def makefile(self, *_: object) -> io.BytesIO:
        return self


def http_answer(data: bytes, said: str | None) -> str | None:
    """As Python's http.client; what is compared is a body that both read to its end."""
    if not said or said.startswith("refused"):
        return None
    if not plain(data) or not framed(data):
        return None
    try:
        answer = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type]
        answer.begin()
        body = answer.read()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if answer.status < 200 or answer.status in (204, 304):
        return None
    read = f"{answer.status} {len(body)} {crc32(body):08x}"
    return None if said == read else f"is {said}, and http.client read {read}"


def plain(data: bytes) -> bool:
    """Whether every reader reads the head alike: on what is wrong in it, they may differ."""
    head = re.match(rb"(?s)(?:HTTP/1.1 100 .*?\r?\n\r?\n)*(.*?)\r?\n\r?\n", data)
    lines = head[1].split(b"\n")[1:] if head else [b"?"]
    if not all(re.fullmatch(rb"[\w-]+:( ?[!-~])*\r?", line) for line in lines):
        return False
    names = [line.partition(b":")[0].lower() for line in lines]
    framing = [name for name in names if name in (b"content-length", b"transfer-encoding")]
    return len(framing) == 1 and not re.search(rb"(?m)^[^\r\n]*\r[^\n]", head[0] if head else b"")


def framed(data: bytes) -> bool:
    """Whether each chunk of a chunked body ends with CRLF. Else two readers may differ."""
    head, _, rest = re.split(rb"(\r?\n\r?\n)", data, maxsplit=1)
    if b"transfer-encoding" not in head.lower():
        return True
    while True:
        line, _, rest = rest.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return False
        if size <= 0:
            return size == 0
        if rest[size : size + 2] != b"\r\n":
            return False
        rest = rest[size + 2 :]


def sntp(data: bytes, said: str | None) -> str | None:
    """RFC 4330, section 5."""
    found: int | None = None
    if len(data) >= 48 and data[24:32] == b"NONCE678":
        leap, number, mode, stratum = data[0] >> 6, data[0] >> 3 & 7, data[0] & 7, data[1]
        seconds, part = struct.unpack(">II", data[40:48])
        if mode == 4 and 1 <= number <= 4 and stratum <= 15:
            if stratum == 0:
                found = 0
            elif leap != 3 and (seconds or part):
                era = 0 if seconds >> 31 else 1 << 32
                found = seconds + era - 2_208_988_800 + (part >> 31)
    return None if said == str(found) else f"is {found}"


def signer(data: bytes, said: str | None) -> str | None:
    """As OpenSSL: whatever is taken as a key, it must take for the same one."""
    if said is None:
        return None
    for load in (x509.load_pem_x509_certificate, x509.load_der_x509_certificate):
        try:
            return same_key(load(data).public_key(), said)
        except Exception:  # noqa: BLE001 - of its many kinds
            continue
    try:
        return same_key(load_der_public_key(data), said)
    except Exception:  # noqa: BLE001 - the device does not look at the rest of a certificate
        return None


def same_key(key: object, said: str) -> str | None:
    numbers = key.public_numbers() if isinstance(key, ec.EllipticCurvePublicKey) else None
    if numbers:
        known = f"ecdsa {numbers.x:x} {numbers.y:x}"
    elif isinstance(key, rsa.RSAPublicKey):
        known = f"rsa {key.public_numbers().n:x} {key.public_numbers().e:x}"
    else:
        return "taken, though it is of another kind"
    return None if said == known else "another key"


def signature(data: bytes, said: str | None) -> str | None:
    """One encoding only: RFC 4648, section 3.5."""
    try:
        found = base64.b64decode(data, validate=True)
        right = 1 <= len(found) <= 512 and base64.b64encode(found) == data
    except ValueError:
        right = False
    return None if said == (found.hex() if right else None) else "read otherwise"


def ecdsa(data: bytes, said: str | None) -> str | None:
    """Strict DER: what is taken encodes to the same bytes."""
    r, s = (int(number, 16) for number in (said or "0 0").split())
    if r or s:
        return None if encode_dss_signature(r, s) == data else "not the one encoding"
    try:
        r, s = decode_dss_signature(data)
    except ValueError:
        return None
    strict = (r or s) and len(data) <= 72 and encode_dss_signature(r, s) == data
    return "refused, though it is right" if strict else None


def otadata(data: bytes, said: str | None) -> str | None:
    """ESP-IDF, bootloader_common.c."""
    best = (0, 0)
    for at in (0, 32):
        sequence, state, crc = struct.unpack("<I20xII", data[at : at + 32].ljust(32, b"\0"))
        good = crc == crc32(struct.pack("<I", sequence), 0xFFFF_FFFF)
        if good and state not in (3, 4) and sequence > best[0]:
            best = (sequence, state)
    return None if len(data) < 64 or said == f"{best[0]} {best[1]}" else f"is {best}"


def seal(data: bytes, said: str | None) -> str | None:
    """sluice.image.seal, read from its end."""
    known = "none"
    if len(data) > 12 and data[-8:] == b"sluicesg":
        length, kind, zero = struct.unpack("<HBB", data[-12:-8])
        signed = len(data) - 12 - length
        if 0 < length <= 512 and kind in (1, 2) and not zero and signed > 0:
            name = data[signed:-12].hex()
            known = f"{signed} {name} {('ecdsa', 'rsa')[kind - 1]}"
    return None if said == known else "read otherwise"


def app_image(data: bytes, said: str | None) -> str | None:
    """What is taken is an app image, for chip 9."""
    if said is None:
        return None
    right = data[0] == 0xE9 and data[12:14] == b"\x09\0" and len(data) >= 80
    return None if right and data[32:36] == struct.pack("<I", 0xABCD_5432) else "taken"


def staged_image(data: bytes, said: str | None) -> str | None:
    """What is taken has a header whose CRC is right."""
    if said is None:
        return None
    crc = crc32(data[:60]) ^ 0xFFFF_FFFF
    return None if struct.unpack("<I", data[60:64]) == (crc,) else "taken"


def smaller(data: bytes, said: str | None) -> str | None:
    """As the host's reader. What that takes the device takes; not the other way round, because the
    device leaves some of the rules to the digest of the image."""
    size, base, made = int.from_bytes(data[1:4]), int.from_bytes(data[4:7]), data[7:]
    try:
        stated = container.read(made)
        image = container.applied(made, containers.SOURCE)
    except SluiceError:
        return None
    if stated.image_size != size or (stated.source_size or 0) != base:
        return None if said is None else "taken, though the job says another size"
    right = hashlib.sha256(image).hexdigest()
    return None if said == right else "refused, or read otherwise"
