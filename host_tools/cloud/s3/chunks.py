"""Uploads that S3's clients wrap in chunks of its own: `aws-chunked`.

source   Amazon S3 API reference, "Signature calculations for the authorization header:
         transferring a payload in multiple chunks"
"""

import re
from collections.abc import Callable, Iterator

from host_tools.cloud.http.server import BadRequest, HTTPRequest

SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


def payload(request: HTTPRequest) -> Iterator[bytes]:
    """The body's own bytes, whether it comes in S3's chunks or not."""
    wrapped = "aws-chunked" in request.headers.get("content-encoding", "")
    hashed = request.headers.get("x-amz-content-sha256", "")
    if wrapped or hashed.startswith("STREAMING-"):
        return unwrapped(request.body)
    return request.body


def size(line: bytes) -> int:
    """The size in the line before a chunk; what follows a semicolon is not looked at."""
    text = line.split(b";")[0].strip()
    if not SIZE.fullmatch(text):
        raise BadRequest("a length of the request is no number")
    return int(text, 16)


def unwrapped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes within chunks: `size;chunk-signature=…`, CR LF, data, CR LF, …, size 0."""
    buffer = bytearray()

    def fill(enough: Callable[[], bool]) -> None:
        while not enough():
            buffer.extend(next(pieces))

    try:
        while True:
            fill(lambda: b"\r\n" in buffer)
            line, _, rest = bytes(buffer).partition(b"\r\n")
            buffer[:] = rest
            left = size(line)
            if left == 0:
                break
            while left:
                fill(lambda: len(buffer) > 0)
                piece = bytes(buffer[:left])
                del buffer[:left]
                left -= len(piece)
                yield piece
            fill(lambda: len(buffer) >= 2)
            del buffer[:2]
    except StopIteration:
        raise ConnectionError("the request ends too early") from None
    for _ in pieces:  # checksums in trailers
        pass
