"""The modules an image carries: path and bytes, one after another, in its data segment.

It begins right after the app descriptor: 8 bytes of magic, u16 number of modules, then for each
u8 length of the path, the path ("sluice/log.mpy"), u32 length, the bytes. All little endian.
"""

import struct

from sluice.errors import SluiceError

MAGIC = b"SLUICE\x00\x01"


def pack(modules: dict[str, bytes]) -> bytes:
    """The archive of {path: bytes}, in the order of the paths."""
    parts = [MAGIC, struct.pack("<H", len(modules))]
    for path, content in sorted(modules.items()):
        name = path.encode()
        if not 0 < len(name) < 256 or name.startswith(b"/") or ".." in path.split("/"):
            raise SluiceError(f"not a module's path: {path}")
        parts += [bytes([len(name)]), name, struct.pack("<I", len(content)), content]
    return b"".join(parts)


def unpack(data: bytes) -> dict[str, bytes] | None:
    """{path: bytes} of the archive that `data` begins with; None if there is none."""
    if not data.startswith(MAGIC):
        return None
    modules = {}
    try:
        (count,) = struct.unpack_from("<H", data, len(MAGIC))
        at = len(MAGIC) + 2
        for _ in range(count):
            name = data[at + 1 : at + 1 + data[at]]
            at += 1 + len(name)
            (size,) = struct.unpack_from("<I", data, at)
            content = data[at + 4 : at + 4 + size]
            if len(content) != size:
                raise SluiceError("the image's modules are cut short")
            modules[_safe(name.decode())] = content
            at += 4 + size
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise SluiceError("the image's modules are cut short") from error
    return modules


def _safe(path: str) -> str:
    """The path, which must stay inside the folder that it is unpacked to."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise SluiceError(f"the image carries a module outside its folder: {path!r}")
    return path
