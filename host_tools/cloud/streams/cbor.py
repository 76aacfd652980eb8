"""CBOR (RFC 8949) as stream messages use it, by cbor2.

Read: whole numbers, text, byte strings, arrays, maps, true, false and null, of definite or
indefinite length. Written: the same. A map always has indefinite length, because AWS does it so.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from cbor2 import CBORDecoder, CBOREncoder, CBOREncodeTypeError, CBORError
from cbor2 import dumps as encoded

DEPTH = 7  # nested containers; a stream request has none
KINDS = (bool, int, str, bytes, type(None))


def loads(data: bytes) -> Any:
    """Decode one item that fills `data`; ValueError for everything else."""
    file = BytesIO(data)
    decoder = CBORDecoder(
        file, max_depth=DEPTH, strict_hashable_types=True, semantic_decoders=NoTags()
    )
    try:
        value = decoder.decode()
    except CBORError as error:
        raise ValueError(str(error)) from None
    if file.tell() != len(data) or not plain(value):
        raise ValueError("not one CBOR item of use here")
    return value


class NoTags(Mapping):
    """A decoder for every tag, which refuses it: the library has some that reckon for long."""

    def __getitem__(self, tag: int) -> Any:
        return refuse

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


def refuse(decoder: CBORDecoder, *more: object) -> None:
    """What a tag is decoded to."""
    raise ValueError("CBOR tag of no use here")


def plain(value: Any) -> bool:
    """Whether there is nothing else in a value than a stream message may have."""
    if isinstance(value, dict):
        return all(map(plain, value.values()))
    return all(map(plain, value)) if isinstance(value, list) else isinstance(value, KINDS)


def dumps(value: Any) -> bytes:
    """Encode a value; TypeError for what stream messages do not hold."""
    try:
        return encoded(value, encoders={dict: endless})
    except CBOREncodeTypeError as error:
        raise TypeError(str(error)) from None


def endless(encoder: CBOREncoder, value: dict) -> None:
    """Write a map of indefinite length."""
    encoder.write(b"\xbf")
    for key, item in value.items():
        encoder.encode(key)
        encoder.encode(item)
    encoder.encode_break()
