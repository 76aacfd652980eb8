"""Inputs for the parsers: right ones of every shape, and the same spoilt.

A maker is a function of a random.Random that gives bytes. Most of what it gives is nearly right:
what is wrong from the first byte on is refused at the first byte, which shows little.
"""

import base64
import datetime
import functools
import json
import struct
from binascii import crc32
from collections.abc import Callable
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sluice.cloud.streams import cbor

Maker = Callable[[Random], bytes]

TOKEN = "sluice-0123abcd"
SPACES = ("", "", "", " ", "\t", "\r\n", "  \n")
STRANGE = ("1", "-2.5e3", "true", "null", '""', '"p"', "[]", '{"p":"AAAA","i":[{}]}', '"\\""',
           '"\\u0070"', '{"\\u0070":"QUJD"}', "1e400", "-0", "[[[[[[]]]]]]")  # fmt: skip
JSON_PARTS = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"=", b" ", b"\n", b"0", b"-",
              b"\\u0041", b"QUJD", b"\x00", b"\xff", b"\xef\xbb\xbf", b"null", b"1e999",
              b"\\ud800", b"9" * 40, b"[" * 30, b'""', b'"p":', b"\\/")  # fmt: skip
CBOR_PARTS = tuple(bytes((first,)) for first in (
    0x00, 0x18, 0x19, 0x1A, 0x1B, 0x1F, 0x20, 0x40, 0x41, 0x58, 0x5B, 0x5F, 0x60, 0x61, 0x7F, 0x80,
    0x9F, 0xA1, 0xBF, 0xC1, 0xDF, 0xF6, 0xF7, 0xF9, 0xFB, 0xFF)) + (
    b"\x9f" * 9, b"\xbf\x61x" * 9, b"\x1b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8,
    b"\x7f\x61c\xff", b"\x5f\x41a\x41b\xff", b"\xd9\xd9\xf7")  # fmt: skip
LINE_PARTS = (b"\r\n", b"\n", b"\r", b":", b" ", b"0", b"\r\n\r\n", b"\x00", b"\xff", b"-1", b";",
              b"chunked", b"99999999999999999999", b"HTTP/1.1 200 OK\r\n", b"0x10", b"+5",
              b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"/",
              b"\xc2\xb2")  # fmt: skip
BYTES = tuple(bytes((byte,)) for byte in (0, 1, 0x1F, 0x20, 0x7F, 0x80, 0x81, 0x82, 0x83, 0xFF))


def spoilt(chance: Random, data: bytes, parts: tuple[bytes, ...]) -> bytes:
    """The same with some bytes changed, taken out, doubled, put in or cut off."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        at = chance.randrange(len(found) + 1)
        what = chance.randrange(9)
        if what == 0 and at < len(found):
            found[at] = chance.randrange(256)
        elif what == 1 and at < len(found):
            found[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            del found[at : at + chance.randint(1, 6)]
        elif what == 3:
            found[at:at] = found[at : at + chance.randint(1, 12)]
        elif what == 4 and not chance.randrange(3):
            del found[at:]
        elif what == 5 and at < len(found):
            found[at : at + 1] = chance.choice(parts)
        elif what == 6 and not chance.randrange(20):
            found[at:at] = chance.choice(parts) * chance.choice((2, 9, 60, 300))
        else:
            found[at:at] = chance.choice(parts)
    return bytes(found)


def mostly(maker: Maker, parts: tuple[bytes, ...], right: int = 3) -> Maker:
    """One in `right` as it is made, the others spoilt."""

    def make(chance: Random) -> bytes:
        data = maker(chance)
        return data if not chance.randrange(right) else spoilt(chance, data, parts)

    return make


# -- JSON ----------------------------------------------------------------------------------------


def string(text: str, chance: Random, odds: int = 12) -> str:
    """A JSON string of the text, with escapes here and there."""
    escapes = {"/": "\\/", '"': '\\"', "\\": "\\\\"}
    found = []
    for letter in text:
        what = chance.randrange(odds)
        if what == 0:
            found.append(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter)
        else:
            found.append(escapes.get(letter, letter) if what < 4 else letter)
    return '"' + "".join(found) + '"'


def block_json(chance: Random) -> bytes:
    """A stream's message, as some server might write it."""
    data = chance.randbytes(chance.choice((1, 2, 3, 30, 60, 191, 192, 193, 400)))
    odds = chance.choice((1, 2, 12, 12, 1000))
    values = {"c": string(TOKEN, chance), "f": "7", "i": str(chance.randrange(9_999))}
    values |= {"l": str(len(data)), "p": string(base64.b64encode(data).decode(), chance, odds)}
    members = [(string(key, chance), value) for key, value in values.items()]
    members += [(f'"z{n}"', chance.choice(STRANGE)) for n in range(chance.choice((0, 0, 1, 2)))]
    chance.shuffle(members)
    pad = lambda: chance.choice(SPACES)  # noqa: E731
    body = ",".join(f"{pad()}{key}{pad()}:{pad()}{value}{pad()}" for key, value in members)
    return f"{pad()}{{{body}}}{pad()}".encode()


def any_value(chance: Random, depth: int = 0) -> object:
    """A value of JSON that nobody expects."""
    what = chance.randrange(13 if depth < 3 else 9)
    if what < 9:
        return (None, True, -1, 0, 2**31, 10**19, "", "x" * chance.choice((1, 65, 300, 1_100)),
                1.5)[what]  # fmt: skip
    if what == 9:
        return chance.choice(("a\x1b[2J", "\n", "../x", "ü" * 40, "/sluice/x", "\x00", "1" * 70))
    if what < 12:
        return [any_value(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 12)))]
    return {chance.choice(("a", "state", "x" * 30, "")): any_value(chance, depth + 1)}


def strange_at(chance: Random, value: object) -> object:
    """The value with something strange in the place of one of its parts, or none of it there."""
    if isinstance(value, dict) and value and chance.randrange(5):
        key = chance.choice(list(value))
        rest = dict(value)
        if not chance.randrange(6):
            del rest[key]
        else:
            rest[key] = strange_at(chance, value[key])
        return rest
    if isinstance(value, list) and value and chance.randrange(4):
        at = chance.randrange(len(value))
        return value[:at] + [strange_at(chance, value[at])] + value[at + 1 :]
    return any_value(chance)


def of_json(model: Callable[[Random], object]) -> Maker:
    """Documents like the model's: right, with strange members, or with spoilt text."""

    def make(chance: Random) -> bytes:
        value = model(chance)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            value = strange_at(chance, value)
        data = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()
        return spoilt(chance, data, JSON_PARTS) if not chance.randrange(5) else data

    return make


SIGNATURE = base64.b64encode(encode_dss_signature(2**255 - 19, 2**254 + 7)).decode()
URL = "https://files.example.com/app.bin?X-Amz-Signature=0123"


def afr_ota(chance: Random) -> dict:
    file = {"filepath": "/app.bin", "filesize": 123_456, "fileid": 0, "certfile": "signer.pem"}
    file |= {"sig-sha256-ecdsa": SIGNATURE, "update_data_url": URL}
    more = {"filepath": "www/a.txt", "filesize": 99, "fileid": 1, "fileType": 7}
    files = [file] + [more | {"sig-sha256-rsa": "QUJD"}] * chance.choice((0, 0, 1))
    protocols = chance.choice((["MQTT"], ["HTTP"], ["MQTT", "HTTP"]))
    return {"afr_ota": {"protocols": protocols, "streamname": "AFR_OTA-1", "files": files}}


def operation(chance: Random) -> dict:
    file = {"url": URL, "path": "www/a.txt", "size": 100, "sha256": "0" * 64, "signature": "QUJD"}
    return chance.choice((
        {"operation": "echo", "text": "hello"},
        {"operation": "reboot"},
        {"operation": "rollback", "sha256": "0" * 64},
        {"operation": "download", **file},
        {"operation": "install", "files": [file], "packages": [], "autoStart": True},
        {"operation": "install", "workingDirectory": "/www", "packageName": "p",
         "packageVersion": "1.0", "files": [{"fileName": "a", "fileURL": URL, "fileSize": 3,
         "checksum": {"inline": {"value": "0" * 64}, "hashAlgorithm": "SHA-256"}}]},
    ))  # fmt: skip


def location(chance: Random) -> dict:
    place = {"protocol": "https:", "host": "files.example.com", "path": "app.bin"}
    place = chance.choice((place, {"url": URL}))
    return {"operation": "app_fw_update", "fwversion": "1.2.3", "size": 9_999, "location": place,
            "signature": SIGNATURE, "rollback": True}  # fmt: skip


def steps(chance: Random) -> dict:
    given = {"handler": "download-file.sh", "args": [URL, "www/a"], "path": "default"}
    action = {"name": "n", "type": "runHandler", "input": given, "runAsUser": "u"}
    return {"version": "1.0", "steps": [{"action": action}]}


def devices(chance: Random) -> dict:
    entry = {"sn": "SN1", "product_version": "1.0.1", "file_url": URL, "md5": "0" * 32}
    entry |= {"file_size": 99, "file_name": "a", "firmware_upgrade_type": chance.choice((2, 3))}
    return {"devices": [entry], "gateway": "SN1", "known": {"SN2": "echo"}}


def a_document(chance: Random) -> dict:
    return chance.choice((afr_ota, operation, location, steps, devices))(chance)


def jobs_answer(chance: Random) -> dict:
    execution = {"jobId": "job-1", "status": chance.choice(("QUEUED", "IN_PROGRESS")),
                 "queuedAt": 1_700_000_000, "lastUpdatedAt": 1_700_000_001, "versionNumber": 1,
                 "executionNumber": 1, "statusDetails": {"self_test": "active"},
                 "jobDocument": a_document(chance)}  # fmt: skip
    return {"clientToken": chance.choice(("sluice-1", "progress")), "timestamp": 1_700_000_000,
            "execution": execution, "executionState": {"status": "QUEUED", "versionNumber": 2},
            "code": "VersionMismatch"}  # fmt: skip


def update_answer(chance: Random) -> dict:
    status = chance.choice(("QUEUED", "IN_PROGRESS", "FAILED", "REJECTED", "SUCCEEDED"))
    code = chance.choice(("VersionMismatch", "InvalidStateTransition", "InternalError", "x"))
    state = {"status": status, "versionNumber": 2, "statusDetails": {}}
    return {"clientToken": "sluice-1", "code": code, "message": "m", "executionState": state}


def shadow(chance: Random) -> dict:
    wanted = {
        "log": "D",
        "report_s": 7,
        "poll_s": 60,
        "block": 1024,
        "window": 65_536,
        "trial_s": 9,
    }
    return {"state": {"desired": {"settings": wanted}, "reported": {}}, "version": 4}


def an_order(chance: Random) -> dict:
    entries = [devices(chance)["devices"][0]]
    if chance.randrange(2):
        entries.append(entries[0] | {"sn": "SN2"})
    return {"tid": "t", "bid": "b", "timestamp": 1, "gateway": "SN1", "method": "ota_create",
            "data": {"devices": entries, "result": 0}}  # fmt: skip


def kept_order(chance: Random) -> dict:
    end = chance.choice((None, "ok", "failed"))
    return {"bid": "b", "tid": "t", "until": 1_700_003_600, "sns": ["SN1"], "types": [3],
            "ends": [end], "whys": [""], "judged": chance.choice((0, 1)), "accepted": False,
            "begun": -1, "percent": 0, "applied": False, "status": None, "result": 0,
            "told": False}  # fmt: skip


def configured(chance: Random) -> dict:
    return {"thing": "pump", "endpoint": "e.example.com", "ca": "/ca.pem", "port": 8883,
            "certificate": "/c.pem", "private_key": "/k.pem", "signers": ["/s.pem"],
            "wifi": {"ssid": "s", "password": "p"}, "ntp": ["pool.ntp.org"], "block": 4096,
            "window": 262_144, "stream_format": "json", "dialect": "aws_jobs", "shadow": "classic",
            "devices": {"SN2": "echo"}, "product_id": "SN1", "log": "I", "keepalive_s": 60,
            "download_hosts": ["files.example.com"], "watchdog_s": 30, "app": {"x": 1},
            "allow_unsigned": False, "report_version": "v"}  # fmt: skip


def changed(chance: Random) -> dict:
    return {"log": "D", "report_s": 7, "poll_s": 60, "block": 1024, "window": 65_536}


def noted(chance: Random) -> dict:
    phase = chance.choice(("idle", "downloading", "activated", "operating", "rebooting", "owing"))
    return {"seq": chance.choice((1, 7, 2**29)), "phase": phase, "job": "job-1", "number": 1,
            "stamp": 1_700_000_000, "image": "9-00", "written": "ff01", "next": "ota_1",
            "slot": "ota_1", "version": "1.0.0", "step": chance.choice(("failed", "succeeded")),
            "reason": "why", "starts": ["1.0-00", 2], "runs": 1, "files": None,
            "home": "ota_0"}  # fmt: skip


def noted_files(chance: Random) -> dict:
    phase = chance.choice(("idle", "downloading", "activated"))
    return noted(chance) | {"phase": phase, "file": 1, "size": 9, "paths": ["/www/a", "/b"],
                            "folders": ["/www"], "slot": None, "boots": None}  # fmt: skip


def waiting(chance: Random) -> dict:
    rows = [{"jobId": "job-1", "executionNumber": 1, "queuedAt": 9}] * chance.randrange(4)
    found = {"clientToken": "sluice-pending", "queuedJobs": rows, "inProgressJobs": rows[:1]}
    return found | {"timestamp": 1_700_000_000}


def proven(chance: Random) -> dict:
    return {"signature": SIGNATURE, "algorithm": "sha256-ecdsa", "signed": 123_456,
            "signer": chance.choice((None, "signer.pem"))}  # fmt: skip


def a_way(chance: Random) -> bytes:
    """The head of a kept way and its three credentials, of the sizes that it tells."""
    wifi = ["password", "p", "ssid", "s"] if chance.randrange(2) else []
    sizes = [chance.choice((0, 9, 700)) for _ in range(3)]
    way = ["pump", "e.example.com", 8883, wifi, ["pool.ntp.org"], sizes]
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        way = strange_at(chance, way)
    return json.dumps(way).encode() + b"\n" + b"x" * sum(sizes)


def record(model: Callable[[Random], object]) -> Maker:
    """A journal's record: mostly with a CRC that is right, whatever it holds."""
    body_of = of_json(model)

    def make(chance: Random) -> bytes:
        body = body_of(chance)
        data = b"%08x" % crc32(body) + body
        return spoilt(chance, data, JSON_PARTS) if not chance.randrange(8) else data

    return make


def described(chance: Random) -> dict:
    files = [{"f": 0, "z": chance.choice((4096, 60))}, {"f": 1, "z": 9}][: chance.randint(0, 2)]
    told = {"c": "sluice-1", "s": 3, "d": "text", "r": files}
    refusal = {"c": "sluice-1", "o": "ResourceNotFound", "m": "why"}
    other = {"clientToken": "sluice-1", "code": "InternalError", "message": "why"}
    return chance.choice((told, refusal, other))


def stream_answer(chance: Random) -> bytes:
    if chance.randrange(2):
        return of_json(described)(chance)
    value = described(chance)
    if chance.randrange(2):
        value = strange_at(chance, value)
    data = cbor_item(chance, value)
    return spoilt(chance, data, CBOR_PARTS) if chance.randrange(2) else data


# -- CBOR ----------------------------------------------------------------------------------------


def cbor_head(chance: Random, kind: int, number: int) -> bytes:
    """The head of an item, as long as chance has it."""
    fitting = [extra for extra in range(24, 28) if number < 1 << (8 << extra - 24)]
    if number < 24 and chance.randrange(3):
        return bytes((kind << 5 | number,))
    if not fitting:
        return bytes((kind << 5 | 27,)) + b"\xff" * 8
    extra = chance.choice(fitting)
    return bytes((kind << 5 | extra,)) + number.to_bytes(1 << extra - 24, "big")


def cbor_item(chance: Random, value: object) -> bytes:
    """The value as some writer might put it: strings in chunks, containers endless, or not."""
    if value is None or isinstance(value, bool):
        return bytes((0xF6 if value is None else 0xF4 + value,))
    if isinstance(value, int):
        return cbor_head(chance, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes | str):
        kind = 2 if isinstance(value, bytes) else 3
        data = value if isinstance(value, bytes) else value.encode()
        if chance.randrange(4) or not data.isascii() and kind == 3:
            return cbor_head(chance, kind, len(data)) + data
        return bytes((kind << 5 | 31,)) + chunks(chance, kind, data) + b"\xff"
    if isinstance(value, dict):
        items = [cbor_item(chance, part) for pair in value.items() for part in pair]
        kind, count = 5, len(value)
    else:
        items = [cbor_item(chance, part) for part in value]
        kind, count = 4, len(items)
    if chance.randrange(2):
        return bytes((kind << 5 | 31,)) + b"".join(items) + b"\xff"
    return cbor_head(chance, kind, count) + b"".join(items)


def chunks(chance: Random, kind: int, data: bytes) -> bytes:
    pieces = []
    while data or not chance.randrange(3):
        size = chance.randint(0, len(data))
        pieces.append(cbor_head(chance, kind, size) + data[:size])
        data = data[size:]
    return b"".join(pieces)


def block_cbor(chance: Random) -> bytes:
    """A stream's message in CBOR."""
    data = chance.randbytes(chance.choice((0, 1, 3, 60, 255, 256, 400)))
    values = {"c": TOKEN, "f": 7, "i": chance.randrange(99_999), "l": len(data), "p": data}
    parts = [cbor_item(chance, key) + cbor_item(chance, value) for key, value in values.items()]
    strangers = (0, -7, 2**40, "text", "p", b"bytes", [], [1, ["p", b"no"]], {"p": b"no", "i": {}})
    for number in range(chance.choice((0, 0, 1, 2))):
        parts.append(cbor_item(chance, f"z{number}") + cbor.dumps(chance.choice(strangers)))
    chance.shuffle(parts)
    if chance.randrange(2):
        return b"\xbf" + b"".join(parts) + b"\xff"
    return cbor_head(chance, 5, len(parts)) + b"".join(parts)


def small_cbor(chance: Random) -> bytes:
    value = described(chance)
    return cbor_item(chance, strange_at(chance, value) if chance.randrange(2) else value)


# -- packets, HTTP, SNTP -------------------------------------------------------------------------


def packet(kind: int, body: bytes) -> bytes:
    left, length = len(body), bytearray()
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((kind, *length, left)) + body


def one_packet(chance: Random) -> bytes:
    number = chance.randint(1, 65_535).to_bytes(2, "big")
    what = chance.randrange(8)
    if what == 0:
        return packet(0xD0, b"")
    if what < 4:
        return packet((0x40, 0xB0, 0x20)[what - 1], number)
    if what == 4:
        return packet(0x90, number + bytes((chance.choice((0, 1, 0x80)),)))
    topic = chance.choice((b"t", b"nobody", b"a/b" * 60, b"x" * 256, b"x" * 257))
    payload = chance.randbytes(chance.choice((0, 1, 40, 127, 130, 300)))
    payload *= chance.choice((1, 1, 1, 1, 1, 1, 1, 14))
    qos = chance.randrange(2)
    head = len(topic).to_bytes(2, "big") + topic
    return packet(0x30 | qos << 1, head + (number if qos else b"") + payload)


def packets(chance: Random) -> bytes:
    return b"".join(one_packet(chance) for _ in range(chance.randint(1, 5)))


def http_answer(chance: Random) -> bytes:
    """An answer with a body, as some server might write it."""
    body = chance.randbytes(chance.choice((0, 1, 9, 300)))
    status = chance.choice((b"200 OK", b"206 Partial Content", b"206", b"403 Forbidden", b"503 x"))
    fields = [b"Server: x", b"Content-Type: " + chance.choice((b"text/html", b"a/b"))]
    fields += [b"Content-Range: bytes 0-%d/%d" % (max(len(body), 1) - 1, len(body))]
    fields += [b"ETag: " + b"x" * chance.choice((1, 40, 2_500))] * chance.choice((0, 1, 4))
    how = chance.randrange(3)
    if how == 0:
        fields.append(chance.choice((b"Content-Length: %d", b"content-length:%d ")) % len(body))
    elif how == 1:
        fields.append(b"Transfer-Encoding: " + chance.choice((b"chunked", b"Chunked")))
        body = chunked(chance, body)
    if not chance.randrange(3):
        fields.append(b"Connection: " + chance.choice((b"close", b"keep-alive")))
    chance.shuffle(fields)
    end = chance.choice((b"\r\n", b"\r\n", b"\r\n", b"\n"))
    early = b"HTTP/1.1 100 Continue\r\n\r\n" * chance.choice((0, 0, 0, 1))
    version = chance.choice((b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 "))
    return early + end.join([version + status, *fields, b"", body])


def chunked(chance: Random, body: bytes) -> bytes:
    pieces = []
    while body:
        size = chance.randint(1, len(body))
        form = chance.choice((b"%x\r\n", b"%X;a=b\r\n", b"00%x\r\n"))
        pieces.append(form % size + body[:size] + b"\r\n")
        body = body[size:]
    trailer = chance.choice((b"", b"", b"X: y\r\n"))
    return b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


def sntp(chance: Random) -> bytes:
    first = chance.choice((0x24, 0x1C, 0xE4, 0x23, chance.randrange(256)))
    stamp = chance.choice((0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xE900_0000, 0xFFFF_FFFF))
    head = bytes((first, chance.choice((0, 1, 2, 15, 16, 255)))) + chance.randbytes(22)
    end = struct.pack(">II", stamp, chance.choice((0, 1 << 31, 0xFFFF_FFFF)))
    return head + b"NONCE678" + chance.randbytes(8) + end


# -- keys and signatures -------------------------------------------------------------------------


@functools.cache
def signers() -> list[bytes]:
    """Certificates and public keys, PEM and DER; made once, of keys that are always the same."""
    keys: list = [ec.derive_private_key(number, ec.SECP256R1()) for number in (1, 7, 2**200 + 3)]
    keys += [ec.derive_private_key(5, ec.SECP384R1())]
    keys += [rsa.generate_private_key(public_exponent=65537, key_size=2048)]
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    found = []
    for key in keys:
        public = key.public_key()
        made = (
            x509.CertificateBuilder(subject, subject, public, 5)
            .not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(2021, 1, 1))
            .sign(keys[0], hashes.SHA256())
        )
        for form in (Encoding.DER, Encoding.PEM):
            found.append(made.public_bytes(form))
            found.append(public.public_bytes(form, PublicFormat.SubjectPublicKeyInfo))
    return found


def signer(chance: Random) -> bytes:
    return chance.choice(signers())


def der_signature(chance: Random) -> bytes:
    bits = lambda: chance.choice((0, 1, 7, 8, 127, 128, 255, 256, 264))  # noqa: E731
    return encode_dss_signature(chance.getrandbits(bits()), chance.getrandbits(bits()))


def signature_text(chance: Random) -> bytes:
    return base64.b64encode(chance.randbytes(chance.choice((1, 2, 3, 70, 71, 72, 256, 512, 513))))


def rsa_signature(chance: Random) -> bytes:
    size = chance.choice((256, 256, 256, 255, 257, 512, 0))
    return chance.randbytes(32) + chance.choice((b"\x00", b"\x01", b"\xff", b"")) * size


# -- files and images ----------------------------------------------------------------------------


def floor(chance: Random) -> bytes:
    number = chance.choice((999, 1_000, 1_500, 1_999, 2_000, 10**18, -5))
    return chance.choice((b"%d", b"proven %d", b"proven  %d", b" %d\n", b"0%d", b"+%d")) % number


def app_head(chance: Random) -> bytes:
    head = bytearray(chance.choice((60, 79, 80, 4_096)))
    first = struct.pack("<BBBBI", 0xE9, 3, 2, 0x20, 0x4037_0000) + b"\xee" + bytes(3)
    first += struct.pack("<H", chance.choice((9, 9, 9, 0, 5))) + bytes(18)
    version = chance.choice((b"1.2.3", b"", b"v" * 32, b"a b", b"\xff", b"1.0\x1b[2J"))
    first += struct.pack("<IIQ", 0xABCD_5432, 0, 0) + version.ljust(32, b"\0")
    head[: len(first)] = first[: len(head)]
    return bytes(head)


def staged_head(chance: Random) -> bytes:
    length = chance.choice((0, 1, 4_000, 2**32 - 1))
    attributes = chance.choice((1, 1, 1, 0x101, 0x10001, 0))
    runs = 0x0801_0000
    words = struct.pack("<4s5I", b"\x9f\xff\xff\xa0", attributes, runs + 0x400, length, runs, 0)
    words += struct.pack("<I", 0) + bytes(4) + b"1.2.3".ljust(16, b"\0") + bytes(12)
    if chance.randrange(4):
        words = bytearray(words)
        if not chance.randrange(3):
            words[chance.randrange(60)] ^= 1 << chance.randrange(8)
    crc = crc32(bytes(words[:60])) ^ 0xFFFF_FFFF
    return bytes(words[:60]) + struct.pack("<I", crc) + bytes(4_032)


def otadata(chance: Random) -> bytes:
    records = b""
    for _ in range(2):
        sequence = chance.choice((0, 1, 2, 3, 2**31, 2**32 - 1))
        state = chance.choice((0, 1, 2, 3, 4, 2**32 - 1))
        crc = crc32(struct.pack("<I", sequence), 0xFFFF_FFFF)
        records += struct.pack("<I20sII", sequence, b"\xff" * 20, state, crc)
    return records


def sealed(chance: Random) -> bytes:
    image = bytes(chance.choice((0, 1, 9, 4_000, 4_096, 5_000)))
    name = chance.randbytes(chance.choice((0, 1, 70, 512, 513)))
    foot = struct.pack("<HBB", len(name), chance.choice((1, 1, 2, 0, 3)), 0) + b"sluicesg"
    return image + name + foot


def bundle(chance: Random) -> dict:
    """The sluice.json of one that a board could take."""
    needs = {"agent": "0.1.0", "micropython": "1.23"}
    found = {"kind": "app", "version": "1.3.0", "mpy": 6, "needs": needs}
    return found | ({"board": "SIM_ESP32"} if chance.randrange(2) else {})


def version(chance: Random) -> bytes:
    parts = [str(chance.choice((0, 1, 2, 10, 99, 10**12))) for _ in range(chance.randint(1, 8))]
    tail = chance.choice(("", "-rc1", "+build", "-dev.5", "²"))
    return (chance.choice(("", "v", "vv")) + ".".join(parts) + tail).encode()


def address(chance: Random) -> bytes:
    host = chance.choice(
        ("files.example.com", "10.0.0.5", "a", "-a-", "[::1]", "u@h", "h:", "x..")
    )
    port = chance.choice(("", "", ":443", ":0", ":65535", ":65536", ":99999", ":080", ":²"))
    path = chance.choice(("", "/", "/a/b.bin", "/a?b=c&d=%20", "?q", "/" + "x" * 2_100, "/a#f"))
    scheme = chance.choice(("https", "https", "http", "ftp", "HTTPS", ""))
    return f"{scheme}://{host}{port}{path}".encode()


def where(chance: Random) -> bytes:
    found = chance.choice((b"/b", b"b", b"../x", b"//files.example.com/x", b"?q", b"", b"#f",
                           b"https://files.example.com/z", b"HTTPS://a.example.org:99/z",
                           b"http://files.example.com/z", b"mailto:x", b"https:///x",
                           b"https://files.example.com.evil.org/x", b"/\\evil.org/x",
                           b"https://files.example.com@evil.org/x"))  # fmt: skip
    return found if chance.randrange(3) else found + address(chance)
