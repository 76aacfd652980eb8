"""Bundles for test_inflate.py, made here by host_tools, because a board makes none; good and bad.

Each is a file NAME in the folder `bundles` beside the compiled firmware.
"""

import random
import zlib
from collections.abc import Mapping

from sluice.bundle import container, rules
from sluice.bundle.container import header, pack

APP = {"kind": "app", "version": "1.2.0"}
AGENT = {"kind": "agent", "version": "7.0.0", "board": "SIM_ESP32"}
CODE = {"app.py": b"X = 'new'\n"}
FIRMWARE = {
    "board.py": b"NAME = 'SIM_ESP32'\n",
    "sluice/net/deep.py": b"X = 7\n",
    "sluice/run.py": b"X = 'agent'\n",
    "sluice/version.py": b'VERSION = "7.0.0"\n',
    "umqtt/simple.py": b"\n",
}
NOISE = random.Random(11).randbytes(1100)  # repeats nothing
FLAGS = {"link": b"2", "hard": b"1", "device": b"3", "folder": b"5", "old": b"\0", "pax": b"x"}
LARGE = 200_000  # bytes of a member


def member(name: str, content: bytes = b"", *changes: tuple[int, bytes]) -> bytes:
    """A member with other bytes at these offsets of its header."""
    block = bytearray(512)
    block[:] = header("x", len(content))
    block[:100] = name.encode("latin-1").ljust(100, b"\0")
    for offset, value in changes:
        block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content + bytes(-len(content) % 512)


BODY = member("app.py", CODE["app.py"])


def bundle(
    *members: bytes, said: Mapping | bytes = APP, first: str = "sluice.json", end: int = 1024
) -> bytes:
    """A bundle of just these members, however wrong. Its first block is stored."""
    text = said if isinstance(said, bytes) else rules.written(said)
    return container._gzip(member(first, text) + b"".join(members) + bytes(end))


def squeezed(data: bytes, bits: int = 16 + 10) -> bytes:
    """The gzip of it, without a stored block."""
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return packer.compress(data) + packer.flush()


def text(size: int) -> bytes:
    """Something that deflates well, and is another everywhere."""
    words = b"".join(b"%08d the pump runs at full speed\n" % n for n in range(size // 30))
    return words[:size]


def good() -> dict[str, bytes]:
    rest = {"data/deep/map.bin": NOISE * 9, "data/empty": b"", "pkg/near.py": b"X = 2\n"}
    tables = {f"data/{n}/t{n}.json": b"{}" for n in range(60)}
    return {
        "app": pack(APP, CODE | rest),
        "agent": pack(AGENT, FIRMWARE),
        "tables": pack(APP, CODE | tables),
        "small": pack(APP, CODE | {"map.bin": text(9_000)}),
        "large": pack(APP, CODE | {"map.bin": text(LARGE)}),
        "unstored": squeezed(zlib.decompress(pack(APP, CODE), 31)),
        "most": bundle(BODY, *(member(f"t{n:03}") for n in range(253))),
        "said": bundle(BODY, said=APP | {"needs": {"agent": "0.1.0", "micropython": "1.23"}}),
        "blank": pack(APP, CODE | {"my table.txt": b"1"}),
    }


def described() -> dict[str, bytes]:
    """What says the wrong thing of itself."""
    saying = {
        "app-1.1.0": APP | {"version": "1.1.0"},
        "app-1.0.0": APP | {"version": "1.0.0"},
        "mpy": APP | {"mpy": 7},
        "mpy-text": APP | {"mpy": "6"},
        "board": APP | {"board": "TOASTER"},
        "agent-board": AGENT | {"board": "TOASTER"},
        "agent-boards": {key: AGENT[key] for key in ("kind", "version")},
        "agent-version": AGENT | {"version": "7.0.0-rc1"},
        "agent-old": AGENT | {"version": "0.0.9"},
        "needs-agent": APP | {"needs": {"agent": "9.0"}},
        "needs-python": APP | {"needs": {"micropython": "2.0"}},
        "needs-number": APP | {"needs": {"agent": 5}},
        "needs-list": APP | {"needs": ["agent"]},
        "version-empty": APP | {"version": ""},
        "version-long": APP | {"version": "1" * 32},
        "version-bell": APP | {"version": "1\7"},
        "version-number": APP | {"version": 5},
        "kind": APP | {"kind": "image"},
        "kind-number": APP | {"kind": 5},
    }
    made = {name: bundle(BODY, said=said) for name, said in saying.items()}
    for name, said in {
        "json": b"{", "json-list": b"[]", "json-text": b'"app"', "json-empty": b"",
        "json-bare": b"{}", "json-bytes": b"\xff" * 40, "json-deep": b"[" * 512,
        "json-long": b'{"kind":"app","version":"1.2.0"}' + b" " * 500,
    }.items():  # fmt: skip
        made[name] = bundle(BODY, said=said)
    made["first"] = bundle(BODY, first="app.json")
    made["first-longer"] = bundle(BODY, first="sluice.json.x")
    made["none"] = container._gzip(BODY + bytes(1024))
    made["empty"] = squeezed(b"")
    made["zeros"] = squeezed(bytes(1024))
    return made


def placed() -> dict[str, bytes]:
    """What brings something that it may not bring."""
    made = {}
    for number, path in enumerate((
        "/app.py", "../app.py", "a/../../b.py", "a//b.py", "./a.py", "a/", "a/.", "..",
        "lib/x.py", "LIB/x.py", "sluice/x.py", "Sluice/x.py", "operations/x.py", "hashlib.py",
        "HASHLIB.mpy", "asyncio/__init__.py", "json.mpy", "main.py", "trees.py", "board.py",
        "config.json", "umqtt/simple.py", "starts", "journal.0", "app.a", "agent.b",
        "a\\b", "a\7", "caf\xe9.py", "\xff", "sluice.json", "",
    )):  # fmt: skip
        made[f"place-{number}"] = bundle(BODY, member(path, b"1"))
    for number, path in enumerate((
        "app.py", "main.py", "trees.py", "lib/x.py", "board.py/x", "board.json", "sluice", "umqtt",
        "asyncio/x.py", "sluice/../main.py", "sluice//x.py", "sluice/./x.py", "/sluice/x.py",
    )):  # fmt: skip
        parts = [member(name, content) for name, content in FIRMWARE.items()]
        made[f"agents-{number}"] = bundle(*parts, member(path, b"1"), said=AGENT)
    return made


def archived() -> dict[str, bytes]:
    """What is no plain archive of plain files."""
    made = {f"type-{n}": bundle(BODY, member("x", b"", (156, f))) for n, f in FLAGS.items()}
    return made | {
        "ustar": bundle(BODY, member("x", b"", (257, b"other"))),
        "prefix": bundle(BODY, member("x", b"", (345, b"long/"))),
        "size-word": bundle(BODY, member("x", b"", (124, b"what\0"))),
        "size-minus": bundle(BODY, member("x", b"", (124, b"-0000000001\0"))),
        "size-binary": bundle(BODY, member("x", b"", (124, b"\x80" + bytes(11)))),
        "size-huge": bundle(BODY, member("x", b"", (124, b"77777777777\0"))),
        "size-beyond": bundle(BODY, member("x", b"", (124, b"00000004000\0"))),
        "size-first": container._gzip(
            member("sluice.json", rules.written(APP), (124, b"00000001001\0")) + BODY + bytes(1024)
        ),
        "twice": bundle(BODY, member("x"), member("x")),
        "twice-app": bundle(BODY, BODY),
        "same-crc": bundle(BODY, member("buckeroo"), member("plumless")),
        "same-crc-folder": bundle(BODY, member("buckeroo"), member("plumless/x")),
        "file-and-folder": bundle(BODY, member("x"), member("x/y")),
        "folder-and-file": bundle(BODY, member("x/y"), member("x")),
        "many": bundle(BODY, *(member(f"t{n:03}") for n in range(254))),
        "deep": bundle(BODY, *(member("/".join([f"{n:02}"] + ["d"] * 40)) for n in range(40))),
        "no-app": bundle(member("data.txt", b"1")),
        "no-run": bundle(member("board.py"), said=AGENT),
        "end-none": bundle(BODY, end=0),
        "end-one": bundle(BODY, end=512),
        "end-three": bundle(BODY, end=1536),
        "end-more": bundle(BODY, bytes(1024) + member("x")),
        "end-half": bundle(BODY, bytes(512) + member("x")),
        "window": squeezed(
            member("sluice.json", rules.written(APP))
            + BODY
            + member("x", NOISE * 2)
            + bytes(1024),
            31,
        ),
        "bomb": bundle(BODY, member("x", bytes(3_000_000))),
    }


def samples() -> dict[str, bytes]:
    return good() | described() | placed() | archived()
