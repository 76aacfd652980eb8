"""MQTT-based file delivery: DescribeStream and GetStream, in JSON and in CBOR.

Requests come on `$aws/things/T/streams/S/describe|get/json|cbor`; the answers are `description`,
`rejected`, and one `data` message for each block, at QoS 0. Letters as in the developer guide:
requests c s f l o n b, blocks c f i l p, descriptions c s d r[f z], refusals o m c. Refusals carry
the long names too, as real ones do.

What AWS does not document, and what is done here:
- A JSON bitmap is hexadecimal, with or without 0x, its bytes in the documented order (bit 0 of the
  first byte is block o); agents should prefer o and n.
- JSON blocks up to l = 131,072 are sent, though their message exceeds the 128 KiB of AWS's broker
  from about l = 98,200 on; AWS may not send them.
- A stream answers a thing only while an open execution of the thing names it in its document, or
  if a policy allows the thing to ask for that stream by its own name.
- o + n past the end of the file is refused, as users report; with a bitmap, n only limits.
"""

import base64
import json
from collections.abc import Iterator
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.members import TOKEN_BYTES, is_token, read_json, whole
from sluice.cloud.message import Message, compact
from sluice.cloud.names import STREAM
from sluice.cloud.s3.bucket import Bucket, StoredObject
from sluice.cloud.store import Store
from sluice.cloud.streams import cbor
from sluice.cloud.things.rights import Access, names_stream

Request = dict[str, Any]

BLOCK_SIZES = range(256, 131_073)  # bytes
BLOCKS = range(98_305)  # index and count: 24 MiB in blocks of 256
BITMAP_BYTES = 12_288
ANSWER_BYTES = 131_072  # of file, for one request
FILE_BYTES = 25_165_824
NAMING = """
SELECT document FROM executions JOIN jobs ON jobs.id = job
WHERE thing = ? AND executions.status IN ('QUEUED', 'IN_PROGRESS') AND instr(document, ?)
"""  # a first sieve of the documents that name a stream
ANSWERS = ("description", "data", "rejected")


class StreamError(Exception):
    """A refused request: a code of the service and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Streams:
    """The device's side of streams; what they hold is in the store and the bucket."""

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self._store = store
        self._bucket = bucket
        self._sources: dict[tuple[str, str], Source] = {}  # of (thing, stream)
        self._version: tuple[int, int] | None = None  # of the store that they are of
        self._operations = {"describe": self._describe, "get": self._get}

    def handle(self, thing: str, levels: list[str], payload: bytes) -> list[Message]:
        """Answer a publication; `levels` is what follows "streams" in its topic."""
        if len(levels) != 3 or levels[1] in ANSWERS or levels[2] not in CODECS:
            return []
        stream, name, form = levels
        codec = CODECS[form]
        topic = f"$aws/things/{thing}/streams/{stream}"
        echo: Request = {}
        try:
            operation = self._operations.get(name)
            if operation is None or not STREAM.fullmatch(stream):
                raise StreamError("InvalidTopic", f"no operation of streams: {'/'.join(levels)}")
            request = codec.parse(payload)
            echo = token(request)
            kind, bodies = operation(self._source(thing, stream), request, codec)
            return [
                Message(f"{topic}/{kind}/{form}", codec.write(echo, body), block=body.get("i"))
                for body in bodies
            ]
        except StreamError as error:
            body = refusal(error, echo)
            return [Message(f"{topic}/rejected/{form}", codec.dumps(body))]

    def _source(self, thing: str, stream: str) -> "Source":
        """What a stream has for a thing, looked up once until anything in the store changes."""
        version = self._store.version()
        if version != self._version:
            self._version = version
            self._sources.clear()
        if (thing, stream) not in self._sources:
            row = self._store.row("SELECT * FROM streams WHERE id = ?", stream)
            if not row:
                raise StreamError("ResourceNotFound", f"unknown stream {stream}")
            self._check_right(thing, stream)
            self._sources[thing, stream] = Source(row, self._bucket)
        return self._sources[thing, stream]

    def _check_right(self, thing: str, stream: str) -> None:
        """Refuse who has nothing to do with the stream: no open execution of the thing names it,
        nor does a policy of its own, letter by letter."""
        rows = self._store.rows(NAMING, thing, stream)
        if any(holds(json.loads(row["document"]), stream) for row in rows):
            return
        access = Access(self._store)
        query = "SELECT certificate FROM principals WHERE thing = ?"
        for row in self._store.rows(query, thing):
            if names_stream(access.grants(row["certificate"]), thing, stream):
                return
        text = f"no open job execution of {thing} names the stream {stream}"
        raise StreamError("Unauthorized", text)

    def _describe(self, source: "Source", request: Request, codec: "Codec") -> tuple[str, list]:
        files = [
            {"f": entry["fileId"], "z": source.file(entry["fileId"]).size}
            for entry in source.entries
        ]
        text = source.description
        return "description", [{"s": source.version, "d": text, "r": files}]

    def _get(
        self, source: "Source", request: Request, codec: "Codec"
    ) -> tuple[str, Iterator[Request]]:
        version = number(request, "s")
        file = number(request, "f", required=True)
        size = number(request, "l", required=True)
        if size not in BLOCK_SIZES:
            raise StreamError("BlockSizeOutOfBounds", "block size must be 256 to 131072 bytes")
        if version is not None and version != source.version:
            raise StreamError("VersionMismatch", f"the stream's version is {source.version}")
        stored = source.file(file)
        wanted = blocks(request, size, stored.size, codec)
        return "data", self._blocks(stored, file, size, wanted)

    def _blocks(
        self, stored: StoredObject, file: int, size: int, wanted: list[int]
    ) -> Iterator[Request]:
        for index in wanted:
            data = stored.read(index * size, size)
            yield {"f": file, "i": index, "l": len(data), "p": data}


class Source:
    """A stream as the store has it now, and the objects that its files are."""

    def __init__(self, row: Row, bucket: Bucket) -> None:
        self.version: int = row["version"]
        self.description: str = row["description"] or ""
        self.entries: list[Request] = json.loads(row["files"])
        self._bucket = bucket
        self._found: dict[int, StoredObject] = {}

    def file(self, number: int) -> StoredObject:
        """One of its files; StreamError when it is none, or not any more what it was."""
        if number not in self._found:
            entry = next((one for one in self.entries if one["fileId"] == number), None)
            if entry is None:
                raise StreamError("ResourceNotFound", f"no file {number} in the stream")
            self._found[number] = self._object(entry)
        return self._found[number]

    def _object(self, entry: Request) -> StoredObject:
        where = entry["s3Location"]
        stored = self._bucket.find(where["bucket"], where["key"], where.get("version"))
        if stored is None:
            raise StreamError("ResourceNotFound", "the stream's file is no longer in its bucket")
        if stored.etag != entry["etag"]:
            raise StreamError("ETagMismatch", "the stream's file was replaced since")
        return stored


class Codec:
    """One of the two forms of message."""

    bad = "InvalidRequest"

    def parse(self, payload: bytes) -> Request:
        """The request's members; StreamError for what is no map."""
        if not payload:
            return {}
        try:
            request = self.loads(payload)
        except ValueError:
            raise StreamError(self.bad, "the payload cannot be parsed") from None
        if not isinstance(request, dict):
            raise StreamError(self.bad, "the payload is not an object")
        return request

    def bits(self, request: Request) -> bytes | None:
        """The bitmap's bytes, or None when there is none."""
        value = request.get("b")
        if value is None:
            return None
        found = self.bitmap(value)
        if found is None:
            raise StreamError("InvalidRequest", "b is not a bitmap")
        if len(found) >= BITMAP_BYTES:
            raise StreamError("BlockBitmapLimitExceeded", f"b must be below {BITMAP_BYTES} bytes")
        return found


class JSON(Codec):
    bad = "InvalidJson"
    dumps = staticmethod(compact)

    def loads(self, payload: bytes) -> Any:
        return read_json(payload)

    def write(self, echo: Request, body: Request) -> bytes:
        if "p" not in body:
            return compact(echo | body)
        head = compact(echo | {key: body[key] for key in ("f", "i", "l")})
        return b'%b,"p":"%b"}' % (head[:-1], base64.b64encode(body["p"]))

    def bitmap(self, value: Any) -> bytes | None:
        if not isinstance(value, str):
            return None
        try:
            return bytes.fromhex(value.removeprefix("0x"))
        except ValueError:
            return None


class CBOR(Codec):
    bad = "InvalidCbor"
    loads = staticmethod(cbor.loads)
    dumps = staticmethod(cbor.dumps)

    def write(self, echo: Request, body: Request) -> bytes:
        return cbor.dumps(echo | body)

    def bitmap(self, value: Any) -> bytes | None:
        return value if isinstance(value, bytes) else None


CODECS = {"json": JSON(), "cbor": CBOR()}


def holds(value: Any, text: str) -> bool:
    """Whether a value of JSON is that text, or has it somewhere within."""
    if isinstance(value, dict):
        return any(holds(item, text) for item in value.values())
    if isinstance(value, list):
        return any(holds(item, text) for item in value)
    return value == text


def token(request: Request) -> Request:
    """The token as the answer repeats it, {} when there is none."""
    value = request.get("c")
    if value is None:
        return {}
    if not is_token(value):
        raise StreamError("InvalidRequest", f"c must be text of at most {TOKEN_BYTES} bytes")
    return {"c": value}


def number(request: Request, letter: str, required: bool = False) -> int | None:
    """A whole number of the request, or None."""
    value = request.get(letter)
    if value is None and not required:
        return None
    if not whole(value):
        raise StreamError("InvalidRequest", f"{letter} must be a whole number")
    return value


def blocks(request: Request, size: int, length: int, codec: Codec) -> list[int]:
    """The indexes asked for, as many as one answer may carry; `length` is the file's bytes."""
    first = number(request, "o") or 0
    count = number(request, "n")
    if first not in BLOCKS:
        raise StreamError("OffsetOutOfBounds", f"o must be 0 to {BLOCKS[-1]}")
    if count is not None and count not in BLOCKS:
        raise StreamError("BlockCountLimitExceeded", f"n must be 0 to {BLOCKS[-1]}")
    bitmap = codec.bits(request)
    if bitmap is None:
        wanted = range(first, first + (ANSWER_BYTES // size if count is None else count))
    else:
        bits = (k for k in range(8 * len(bitmap)) if bitmap[k >> 3] >> (k & 7) & 1)
        wanted = [first + k for k in bits][:count]
    if wanted and wanted[-1] >= -(-length // size):
        text = "the data requested is out of the range of data available"
        raise StreamError("InvalidRequest", text)
    return list(wanted[: ANSWER_BYTES // size])


def refusal(error: StreamError, echo: Request) -> Request:
    """The body of a `rejected`: the short names, and the long ones that AWS sends as well."""
    body: Request = {"o": error.code, "m": str(error)} | echo
    body |= {"code": error.code, "message": str(error)}
    if echo:
        body["clientToken"] = echo["c"]
    return body
