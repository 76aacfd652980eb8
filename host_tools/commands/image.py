"""Make and show app images, of ESP32 and W800, to test updates with.

image make OUT --version V   an image that carries this checkout's firmware as bytecode
image show FILE              chip, version, segments, whether it is whole, what it carries
"""

import argparse
import json
from pathlib import Path

from host_tools.errors import SluiceError
from host_tools.image import Image, make_image, read_image
from host_tools.image.build import SIMULATED
from host_tools.image.modules import SELF_TESTS
from host_tools.image.plain import plain_image
from host_tools.image.seal import unsealed

SIZE_MAX = 24 * 1024 * 1024  # bytes: AWS streams no larger file


def arguments(parser: argparse.ArgumentParser) -> None:
    """`make` and `show`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    make = actions.add_parser("make", help="write an image to OUT")
    make.add_argument("out", metavar="OUT", type=Path)
    make.add_argument("--version", required=True, metavar="V", help="1 to 31 bytes")
    make.add_argument("--size", type=_bytes, metavar="N", help="bytes of the file, exactly")
    make.add_argument("--chip", choices=SIMULATED, default="esp32")
    app = make.add_mutually_exclusive_group()
    app.add_argument(
        "--self-test",
        choices=SELF_TESTS,
        help="an application that is not healthy, hangs, or raises when it is imported",
    )
    app.add_argument("--app", type=Path, metavar="FILE", help="your application, as app.py")
    make.set_defaults(action=_make)
    show = actions.add_parser("show", help="describe an image")
    show.add_argument("file", metavar="FILE", type=Path)
    show.add_argument("--json", action="store_true", help="as one JSON object")
    show.set_defaults(action=_show)


def run(args: argparse.Namespace) -> None:
    """Do what the action says."""
    args.action(args)


def _bytes(text: str) -> int:
    """A number of bytes, 0x… allowed."""
    return int(text, 0)


def _make(args: argparse.Namespace) -> None:
    app = SELF_TESTS[args.self_test] if args.self_test else args.app
    if isinstance(app, Path) and not app.is_file():
        raise SluiceError(f"no such file: {app}")
    if args.size and args.size > SIZE_MAX:
        raise SluiceError(f"{args.size} bytes are too many: AWS streams {SIZE_MAX:,} at most")
    image = make_image(args.version, args.size, args.chip, app)
    try:
        args.out.write_bytes(image)
    except OSError as error:
        raise SluiceError(f"cannot write {args.out}: {error.strerror}") from error
    print(f"{args.out}: {args.chip}, version {args.version}, {len(image):,} bytes")


def _show(args: argparse.Namespace) -> None:
    try:
        data = args.file.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read {args.file}: {error.strerror}") from error
    try:
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
