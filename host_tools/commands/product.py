"""Order firmware by the thing/product protocol, and see what became of it.

`sluice product order` puts the images into the local cloud's bucket. Then it sends one
`ota_create` to the gateway, a thing of that name. Each --device is a serial number and its image.
The gateway's own may be among them.

An order has no place for a signature. So the gateway's image is sealed first, with --key or with
the state's own signing key. With --unsigned it goes as it is. A board takes that only where its
settings have `allow_unsigned`.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluice.cloud.names import check_thing
from sluice.cloud.product import orders
from sluice.cloud.state import State
from sluice.cloud.store import Store, open_store
from sluice.commands import where
from sluice.errors import SluiceError
from sluice.fleet import watch
from sluice.fleet.clients import Clients, clients, plainly
from sluice.fleet.update import BUCKET, upload
from sluice.image.inspect import read_image
from sluice.image.seal import sealed, unsealed
from sluice.signing import load_key
from sluice.terminal import remark

POLL_S = 0.2
NORMAL = 3  # firmware_upgrade_type


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = _action(rows, "order", order, "order an update; prints the order's bid")
    row.add_argument("--gateway", required=True, metavar="SN", help="a thing: it takes the order")
    row.add_argument(
        "--device", action="append", required=True, metavar="SN[=IMAGE]", help="up to two times"
    )
    row.add_argument("--version", metavar="V", help="default: the image's own")
    row.add_argument(
        "--type",
        type=int,
        action="append",
        choices=orders.UPGRADE_TYPES,
        metavar="TYPE",
        help="2: consistency, 3: normal (default); for all devices, or once for each, in order",
    )
    signing = row.add_mutually_exclusive_group()
    signing.add_argument("--key", type=Path, help="to seal with; default: the state's signer.key")
    signing.add_argument("--unsigned", action="store_true", help="do not seal the gateway's image")
    row.add_argument("--wait", action="store_true", help="until the gateway has told the end")
    row.add_argument("--timeout", type=int, metavar="S", help="of --wait; default: 3600")
    row = _action(rows, "list", show_all, "show all orders")
    row.add_argument("--json", action="store_true", help="as JSON")
    row = _action(rows, "show", show, "show an order and its messages")
    row.add_argument("bid", metavar="BID", help="of the order")
    row.add_argument("--json", action="store_true", help="as JSON")


def _action(rows: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    row = rows.add_parser(name, help=text)
    where.arguments(row, aws=False)
    row.add_argument("--aws", action="store_true", help=argparse.SUPPRESS)
    row.set_defaults(run=run)
    return row


def folder(args: argparse.Namespace, tell: bool = False) -> State:
    """The state folder that is meant; --aws is what all other commands for a fleet know."""
    if args.aws:
        raise SluiceError(
            "AWS has no service that takes product orders: only the local cloud does, of --state "
            "DIR. docs/products.md has the messages for a platform of your own"
        )
    return where.state(args, tell=tell)


def order(args: argparse.Namespace) -> int:
    """`product order`."""
    gateway, state = check_thing(args.gateway), folder(args, tell=True)
    patience_s = watch.patience(args)
    if len(args.device) > orders.DEVICES:
        raise SluiceError(f"an order is for {orders.DEVICES} devices at most")
    chosen = [parse(text) for text in args.device]
    if len({serial for serial, _ in chosen}) < len(chosen):
        raise SluiceError("a device is named twice")
    types = args.type or [NORMAL]
    if len(types) not in (1, len(chosen)):
        raise SluiceError("--type is for all devices, or is said once for each --device")
    types = types if len(types) > 1 else types * len(chosen)
    versions = [version_of(args.version, serial, image) for serial, image in chosen]
    key = None if args.unsigned else args.key or state.signer_key
    cloud = clients(state)
    with plainly():
        cloud.iot.describe_thing(thingName=gateway)
        devices = [
            {"sn": serial, "product_version": version, "firmware_upgrade_type": kind}
            | (file_of(cloud, image, key if serial == gateway else None) if image else {})
            for (serial, image), version, kind in zip(chosen, versions, types, strict=True)
        ]
    with stored(state) as store:
        bid = orders.place(store, gateway, devices, time.time())
        print(bid, flush=True)
        return wait(store, bid, patience_s) if args.wait else 0


def parse(text: str) -> tuple[str, Path | None]:
    """A serial number and, where there is one, its image."""
    serial, equals, image = text.partition("=")
    if equals and not image:
        raise SluiceError(f"--device {text}: the image is missing")
    if image and not Path(image).is_file():
        raise SluiceError(f"cannot read {image}: no such file")
    return check_thing(serial), Path(image) if image else None


def version_of(chosen: str | None, serial: str, image: Path | None) -> str:
    """The version to name: the one given, else what the image says of itself."""
    if chosen:
        return chosen
    if image is None:
        raise SluiceError(f"device {serial} has no image: say --version")
    data = contents(image)
    try:
        return read_image(data).version
    except SluiceError as error:
        raise SluiceError(f"{image} tells no version, say --version: {error}") from None


def contents(image: Path) -> bytes:
    """An image's bytes."""
    try:
        return image.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read {image}: {error.strerror}") from None


def file_of(cloud: Clients, image: Path, key: Path | None) -> dict[str, Any]:
    """Upload an image, sealed if there is a key; returns the members that describe it."""
    data = contents(image)
    with TemporaryDirectory(prefix="sluice-") as folder:
        file = Path(folder) / image.name
        if key and not unsealed(data):
            data = sealed(data, load_key(key))
        file.write_bytes(data)
        where = upload(cloud, file, BUCKET)
    address = f"https://s3.amazonaws.com/{where['bucket']}/{where['key']}"
    return {
        "file_url": f"${{aws:iot:s3-presigned-url:{address}?versionId={where['version']}}}",
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "file_size": len(data),
        "file_name": image.name,
    }


@contextmanager
def stored(state: State) -> Iterator[Store]:
    """The store of a state folder that has one."""
    if not state.database.exists():
        raise SluiceError(f"no cloud has run in {state.root}")
    with open_store(state.database) as store:
        yield store


def wait(store: Store, bid: str, timeout_s: int) -> int:
    """Tell what the gateway tells until it is final; 0 only for "ok"."""
    deadline = time.monotonic() + timeout_s
    told = None
    while True:
        row = orders.shown(store, bid)
        if row is None:
            raise SluiceError(f"{bid}: the order is gone, as its gateway was deleted")
        line = line_of(row)
        if line != told:
            remark(line)
            told = line
        if row["status"] in orders.FINAL:
            break
        if time.monotonic() > deadline:
            raise SluiceError(f"{bid}: still {row['status']} after {timeout_s} s")
        time.sleep(POLL_S)
    if row["status"] != "ok":
        raise SluiceError(f"{bid}: {row['status']}, {outcome(row)}")
    print("ok")
    return 0


def outcome(row: dict[str, Any]) -> str:
    """What the gateway has answered, or told at the end."""
    if row["result"] is None:
        return "the gateway has not answered"
    return f"result {row['result']}"


def line_of(row: dict[str, Any]) -> str:
    """An order's status in one line."""
    step = f" {row['step']}" if row["step"] else ""
    percent = f" {row['percent']}%" if row["percent"] is not None else ""
    return f"{row['status']}{step}{percent}"


def show_all(args: argparse.Namespace) -> None:
    """`product list`."""
    with stored(folder(args)) as store:
        rows = store.rows("SELECT * FROM orders ORDER BY created_at DESC, bid")
    found = [orders.summary(row) for row in rows]
    if args.json:
        print(json.dumps(found))
    for row in () if args.json else found:
        print(f"{row['order']} {row['gateway']:24} {line_of(row)}")


def show(args: argparse.Namespace) -> None:
    """`product show`."""
    with stored(folder(args)) as store:
        about = orders.shown(store, args.bid)
    if about is None:
        raise SluiceError(f"unknown order {args.bid}")
    if args.json:
        print(json.dumps(about))
        return
    print(f"{about['order']} to {about['gateway']}: {line_of(about)}, {outcome(about)}")
    for one in about["messages"]:
        print(f"  {one['kind']:14} {json.dumps(one['body'].get('data'))}")
