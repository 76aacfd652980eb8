"""Packs modules as a ROMFS, which MicroPython 1.25 maps and runs in place.

On a real board this code is in C (`machine`, `esp32`, …), or frozen into its image. Here it costs
the device's heap its objects, and not its bytecode. Source: MicroPython documentation, "ROMFS",
format version 1.
"""

_HEADER = b"\xd2\xcd\x31"
_DATA, _FOLDER, _FILE = 2, 4, 5  # kinds of records


def pack(files: dict[str, bytes]) -> bytes:
    """A ROMFS of {path such as "sluice/agent/agent.mpy": content}."""
    body = _folder(files)
    size = _number(len(body))
    if (len(_HEADER) + len(size) + len(body)) % 2:
        size = b"\x80" + size  # an even total, by a leading zero
    return _HEADER + size + body


def _folder(files: dict[str, bytes]) -> bytes:
    """The records of one folder; files first, then its folders."""
    inside: dict[str, dict[str, bytes]] = {}
    records = b""
    for path, content in sorted(files.items()):
        head, slash, rest = path.partition("/")
        if slash:
            inside.setdefault(head, {})[rest] = content
        else:
            records += _record(_FILE, _name(head) + _record(_DATA, content))
    for name, content in inside.items():
        records += _record(_FOLDER, _name(name) + _folder(content))
    return records


def _record(kind: int, payload: bytes) -> bytes:
    return _number(kind) + _number(len(payload)) + payload


def _name(text: str) -> bytes:
    return _number(len(text.encode())) + text.encode()


def _number(value: int) -> bytes:
    """Seven bits a byte, the highest first."""
    coded = bytes([value & 0x7F])
    while value := value >> 7:
        coded = bytes([0x80 | value & 0x7F]) + coded
    return coded
