"""Reads an app image: what it is, whether it is whole, and the modules it carries."""

import struct
from dataclasses import dataclass

from sluice.errors import SluiceError
from sluice.image import archive, smaller, w800
from sluice.image.appimage import DESCRIPTOR, DESCRIPTOR_MAGIC, HEADER, MAGIC, verify
from sluice.image.build import CHIPS
from sluice.image.partitions import TABLE, is_table

DESCRIPTOR_SIZE = 256  # bytes
_NAMES = {chip.id: name for name, chip in CHIPS.items()}
_W800 = w800.MAGIC.to_bytes(4, "little")
_BEGINS = (0, 0x1000)  # offsets in flash of the first byte of a firmware.bin, by chip


@dataclass(frozen=True)
class Image:
    """An image that ESP-IDF would boot. Sizes are bytes."""

    chip: str
    version: str
    project: str
    size: int  # of the file
    image_size: int  # of that, what the header and its digest cover
    segments: tuple[tuple[int, int, int], ...]  # load address, offset in the file, size
    hash_appended: bool
    modules: dict[str, bytes] | None  # None: an image that `sluice image make` did not make


def read_image(data: bytes) -> Image:
    """Check `data` as its boot loader would and describe it; SluiceError says what is wrong."""
    if data[:4] == _W800:
        return _read_w800(data)
    if smaller.is_container(data):
        raise SluiceError("it is a delta or a compressed image: give the full image")
    chip, version, project = _head(data)

    def read(offset: int, view: bytearray | memoryview) -> None:
        view[:] = data[offset : offset + len(view)]

    try:
        image_size, segments = verify(read, len(data), chip)
    except ValueError as error:
        raise SluiceError(f"the image is bad: {error}") from error
    start = DESCRIPTOR + DESCRIPTOR_SIZE
    return Image(
        chip=_NAMES[chip],
        version=version,
        project=project,
        size=len(data),
        image_size=image_size,
        segments=tuple(segments),
        hash_appended=data[23] == 1,
        modules=archive.unpack(data[start : segments[0][1] + segments[0][2]]),
    )


def _head(data: bytes) -> tuple[int, str, str]:
    """Chip id, version and project; what is no app image is refused by these."""
    try:
        return _chip(data), *_names(data)
    except SluiceError:
        if any(is_table(data[TABLE - begin :]) for begin in _BEGINS):
            raise SluiceError(
                "it is a whole firmware.bin, with boot loader and partitions: an update is the "
                "app image, micropython.bin, published as .app-bin"
            ) from None
        raise


def _read_w800(data: bytes) -> Image:
    try:
        found = w800.read(data)
    except ValueError as error:
        raise SluiceError(f"the image is bad: {error}") from error
    body = found["body"]
    return Image(
        chip=w800.CHIP,
        version=found["version"],
        project="",
        size=len(data),
        image_size=w800.HEADER + len(body),
        segments=((found["address"], w800.HEADER, len(body)),),
        hash_appended=False,
        modules=archive.unpack(body),
    )


def _chip(data: bytes) -> int:
    """The chip id in the header, if this is an image at all and we know the chip."""
    if len(data) < HEADER:
        raise SluiceError(f"not an app image: only {len(data)} bytes")
    if data[0] != MAGIC:
        raise SluiceError(f"not an app image: the first byte is 0x{data[0]:02x}, not 0xe9")
    (chip,) = struct.unpack_from("<H", data, 12)
    if chip not in _NAMES:
        raise SluiceError(f"not an app image of a chip known here: chip id {chip}")
    return chip


def _names(data: bytes) -> tuple[str, str]:
    """Version and project of the app descriptor, which a boot loader's image does not have."""
    if len(data) < DESCRIPTOR + DESCRIPTOR_SIZE:
        raise SluiceError("the image is bad: truncated before its app descriptor ends")
    magic, _, _, version, project = struct.unpack_from("<II8s32s32s", data, DESCRIPTOR)
    if magic != DESCRIPTOR_MAGIC:
        raise SluiceError("no app descriptor: a boot loader or a whole firmware.bin, not an app")
    return _text(version), _text(project)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")
