"""Make and show app images, of ESP32 and W800, and smaller forms of them.

image make OUT --version V       an image that carries this checkout's firmware as bytecode
image make OUT --bare            an image of MicroPython alone; --merged makes what esptool writes
image delta NEW --from OLD OUT   what makes NEW on a board that runs OLD
image compress NEW OUT           what makes NEW on any board
image show FILE                  an image: chip, version, segments, whether it is whole, what it
                                 carries; a delta or a compressed image: what it makes, of what

`sluice deploy IMAGE --from OLD --compress` makes and sends both in one go.
"""

import argparse
import hashlib
import json
from pathlib import Path
from statistics import median
from typing import Any

from sluice import boards
from sluice.errors import SluiceError
from sluice.image import Image, make_image, pack_image, read_image, smaller
from sluice.image.build import SIMULATED
from sluice.image.building import shown
from sluice.image.merged import merged
from sluice.image.modules import SELF_TESTS
from sluice.image.plain import plain_image, whole_image
from sluice.image.seal import unsealed
from sluice.version_word import unprefixed

SIZE_MAX = 24 * 1024 * 1024  # bytes: AWS streams no larger file


def arguments(parser: argparse.ArgumentParser) -> None:
    """`make`, `delta`, `compress` and `show`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    make = actions.add_parser("make", help="write an image to OUT")
    make.add_argument("out", metavar="OUT", type=Path, help="the image's file")
    make.add_argument(
        "--version", type=unprefixed, metavar="V", help="1 to 31 bytes; needed but with --bare"
    )
    make.add_argument("--size", type=_bytes, metavar="N", help="bytes of the file, exactly")
    kind = make.add_mutually_exclusive_group()
    kind.add_argument("--chip", choices=SIMULATED, help="default: esp32")
    kind.add_argument("--board", metavar="NAME", help="a folder of boards/, in place of --chip")
    text = "what esptool writes: with the partition table of --board"
    make.add_argument("--merged", action="store_true", help=text)
    app = make.add_mutually_exclusive_group()
    app.add_argument(
        "--self-test",
        choices=SELF_TESTS,
        help="an application that is not healthy, hangs, or raises when it is imported",
    )
    app.add_argument("--app", type=Path, metavar="FILE", help="your application, as app.py")
    app.add_argument("--bare", action="store_true", help="MicroPython alone, without firmware")
    make.set_defaults(action=_make)
    row = actions.add_parser("delta", help="write what makes NEW out of OLD to OUT")
    row.add_argument("new", metavar="NEW", type=Path, help="an image")
    text = "the image that the board runs"
    row.add_argument("--from", dest="old", required=True, metavar="OLD", type=Path, help=text)
    row.add_argument("out", metavar="OUT", type=Path, help="the delta's file")
    row.set_defaults(action=_delta)
    row = actions.add_parser("compress", help="write what makes NEW to OUT")
    row.add_argument("new", metavar="NEW", type=Path, help="an image")
    row.add_argument("out", metavar="OUT", type=Path, help="the compressed image's file")
    row.set_defaults(action=_compress)
    show = actions.add_parser("show", help="describe an image, a delta or a compressed image")
    show.add_argument("file", metavar="FILE", type=Path, help="any of the three")
    show.add_argument("--json", action="store_true", help="as one JSON object")
    show.set_defaults(action=_show)


def run(args: argparse.Namespace) -> None:
    """Do what the action says."""
    args.action(args)


def _bytes(text: str) -> int:
    """A number of bytes, 0x… allowed."""
    return int(text, 0)


def _make(args: argparse.Namespace) -> None:
    if not (args.version or args.bare):
        raise SluiceError("--version V is needed, but with --bare")
    app = SELF_TESTS[args.self_test] if args.self_test else args.app
    if isinstance(app, Path) and not app.is_file():
        raise SluiceError(f"no such file: {app}")
    if args.size and args.size > SIZE_MAX:
        raise SluiceError(f"{args.size} bytes are too many: AWS streams {SIZE_MAX:,} at most")
    if args.merged and not args.board:
        raise SluiceError("--merged needs --board NAME: it has the partition table")
    chip = boards.chip(args.board) if args.board else args.chip or "esp32"
    if args.bare:
        image = pack_image(args.version or "", {}, args.size, chip)
    else:
        image = make_image(args.version, args.size, chip, app, board=args.board)
    data = merged(args.board, image) if args.merged else image
    _write(args.out, data)
    version = f"version {args.version}" if args.version else "no version"
    print(f"{args.out}: {chip}, {version}, {len(data):,} bytes")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise SluiceError(f"cannot write {path}: {error.strerror}") from error


def _delta(args: argparse.Namespace) -> None:
    new, image = whole_image(args.new)
    old, other = whole_image(args.old)
    if image.chip != other.chip:
        raise SluiceError(f"{args.new} is for {image.chip}, and {args.old} for {other.chip}")
    with shown(f"delta from {args.old}") as progress:
        data = smaller.delta(new, old, progress)
    _write(args.out, data)
    print(f"{args.out}: delta from {args.old}, {_ratio(smaller.read(data))}")


def _compress(args: argparse.Namespace) -> None:
    new, _ = whole_image(args.new)
    with shown("compressed") as progress:
        data = smaller.compressed(new, progress)
    _write(args.out, data)
    print(f"{args.out}: compressed, {_ratio(smaller.read(data))}")


def _ratio(container: smaller.Container) -> str:
    return (
        f"{container.size:,} bytes, {100 * container.share:.1f} % "
        f"of the image's {container.image_size:,}"
    )


def _show(args: argparse.Namespace) -> None:
    try:
        data = args.file.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read {args.file}: {error.strerror}") from error
    try:
        if smaller.is_container(data):
            _show_container(data, args.json)
            return
        plain = plain_image(data)
        image = read_image(plain)
    except SluiceError as error:
        raise SluiceError(f"{args.file}: {error}") from error
    found = unsealed(data)
    seal = f"{found[1]}, over the first {found[0]:,} bytes" if found else None
    packed = None if plain is data else len(data)
    if args.json:
        print(json.dumps(_facts(image) | {"seal": seal, "packed": packed}))
        return
    print(_text(image) + (f"\nseal     {seal}" if seal else ""))
    if packed:
        print(f"packed   {packed:,} bytes; signed and sent is the plain image inside")


def _show_container(data: bytes, as_json: bool) -> None:
    found = smaller.read(data)
    source = {"size": found.source_size, "sha256": found.source} if found.source else None
    facts: dict[str, Any] = {
        "kind": found.kind,
        "size": found.size,
        "sha256": hashlib.sha256(data).hexdigest(),
        "ratio": round(found.share, 4),
        "image": {"size": found.image_size, "sha256": found.digest},
        "source": source,
        "window": 1 << found.window,
        "sectors": len(found.pieces),
        "piece": {"longest": max(found.pieces), "median": int(median(found.pieces))},
    }
    print(json.dumps(facts) if as_json else _container_text(facts))


def _container_text(facts: dict[str, Any]) -> str:
    image, source, piece = facts["image"], facts["source"], facts["piece"]
    rows = [
        f"kind     {facts['kind']}",
        f"size     {facts['size']:,} bytes, {100 * facts['ratio']:.1f} % of the image",
        f"image    {image['size']:,} bytes, SHA-256 {image['sha256']}",
        f"source   {source['size']:,} bytes, SHA-256 {source['sha256']}" if source else "",
        f"window   {facts['window']:,} bytes",
        f"pieces   {facts['sectors']:,}; the longest has {piece['longest']:,} bytes, "
        f"the median {piece['median']:,}",
    ]
    return "\n".join(filter(None, rows))


def _facts(image: Image) -> dict:
    return {
        "chip": image.chip,
        "version": image.version,
        "project": image.project,
        "size": image.size,
        "image_size": image.image_size,
        "hash": "ok" if image.hash_appended else "none",
        "segments": [
            {"address": address, "offset": offset, "size": size}
            for address, offset, size in image.segments
        ],
        "modules": {path: len(content) for path, content in (image.modules or {}).items()},
    }


def _text(image: Image) -> str:
    digest = "SHA-256 right" if image.hash_appended else "no SHA-256 appended"
    rows = [
        f"chip     {image.chip}",
        f"version  {image.version}",
        f"project  {image.project}",
        f"size     {image.size:,} bytes, of which {image.image_size:,} are the image",
        f"checks   checksum right, {digest}",
    ]
    rows += [f"segment  0x{address:08x}  {size:>9,} bytes" for address, _, size in image.segments]
    rows += [f"module   {path:24} {len(code):>6,}" for path, code in (image.modules or {}).items()]
    return "\n".join(rows)
