"""Uploads that S3's clients wrap in chunks of its own, `aws-chunked`, each with its signature.

source   Amazon S3 API reference, "Signature calculations for the authorization header:
         transferring a payload in multiple chunks", with and without trailing headers
"""

import hashlib
import hmac
import re
from collections.abc import Iterator

from sluice.cloud.http.server import BadRequest
from sluice.cloud.http.sigv4 import Claim, Key, seal
from sluice.cloud.s3.wording import S3Error

HEAD = re.compile(rb"([0-9a-fA-F]{1,15})(?:;chunk-signature=([0-9a-f]{64}))?(?:;.*)?")
LINE_BYTES = 1 << 13  # the longest line between chunks
TRAILERS_BYTES = 1 << 14
EMPTY = hashlib.sha256().hexdigest()
SIGNATURE = "x-amz-trailer-signature"


class Chain:
    """Signatures of chunks: each is of its data and of the signature before it."""

    def __init__(self, claim: Claim, key: Key) -> None:
        self._claim = claim
        self._key = key
        self._last = claim.signature

    def chunk(self, digest: str, given: bytes | None) -> None:
        """Prove the next chunk."""
        self._link(seal(self._claim, self._key, "PAYLOAD", self._last, EMPTY, digest), given)

    def trailers(self, text: str, given: bytes | None) -> None:
        """Prove the headers that follow the last chunk."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._link(seal(self._claim, self._key, "TRAILER", self._last, digest), given)

    def _link(self, right: str, given: bytes | None) -> None:
        if not hmac.compare_digest(right.encode(), given or b""):
            raise S3Error("SignatureDoesNotMatch", "the signature is not that of this chunk")
        self._last = right


class Source:
    """Bytes that come in pieces, taken by line or by number."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = bytearray()

    def line(self) -> bytes:
        """Up to the next CR LF, without it."""
        while (end := self._left.find(b"\r\n")) < 0:
            if len(self._left) > LINE_BYTES:
                raise BadRequest("a line between chunks is too long")
            self._left += self._more()
        line = bytes(self._left[:end])
        del self._left[: end + 2]
        return line

    def some(self, count: int) -> bytes:
        """At least one byte, at most `count`."""
        while not self._left:
            self._left += self._more()
        piece = bytes(self._left[:count])
        del self._left[:count]
        return piece

    def rest(self) -> bytes:
        """All that is left."""
        while len(self._left) <= TRAILERS_BYTES:
            piece = next(self._pieces, None)
            if piece is None:
                return bytes(self._left)
            self._left += piece
        raise BadRequest("there is too much after the last chunk")

    def _more(self) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            raise ConnectionError("the request ends too early")
        return piece


def unwrapped(pieces: Iterator[bytes], chain: Chain | None) -> Iterator[bytes]:
    """The bytes within `size;chunk-signature=…`, CR LF, data, CR LF, …, size 0, trailers."""
    source = Source(pieces)
    while True:
        head = HEAD.fullmatch(source.line())
        if not head:
            raise BadRequest("a length of the request is no number")
        left, digest = int(head[1], 16), hashlib.sha256()
        last = left == 0
        while left:
            piece = source.some(left)
            left -= len(piece)
            digest.update(piece)
            yield piece
        if chain:
            chain.chunk(digest.hexdigest(), head[2])
        if last:
            return _end(source, chain)
        if source.line():
            raise BadRequest("a chunk is longer than it says")


def _end(source: Source, chain: Chain | None) -> None:
    """What follows the chunks: checksums, and their signature."""
    lines = [line.partition(":") for line in source.rest().decode("latin-1").split("\r\n") if line]
    told = {name.strip().lower(): value.strip() for name, _, value in lines}
    given = told.pop(SIGNATURE, "").encode("latin-1")
    if chain and (told or given):
        chain.trailers("".join(f"{name}:{value}\n" for name, value in told.items()), given)
