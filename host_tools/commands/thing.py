"""Create and list the things of a local cloud.

`sluice thing create NAME` makes DIR/things/NAME with all that a board needs: config.json, its
certificate and key, the root CA, and the certificate of the key that images are signed with.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from host_tools.cloud.names import check_thing
from host_tools.cloud.run import MQTT_PORT, opened
from host_tools.cloud.state import State, write_atomically
from host_tools.cloud.things import Certificate, Things
from host_tools.errors import SluiceError
from host_tools.signing import write_new

KNOWN_S = 5  # for a running cloud to let the new thing in


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = rows.add_parser("create", help="make a thing and its files")
    row.add_argument("name", metavar="NAME")
    row.add_argument("--state", type=Path, required=True, metavar="DIR", help="made if missing")
    row.set_defaults(run=create)
    row = rows.add_parser("list", help="show all things")
    row.add_argument("--state", type=Path, required=True, metavar="DIR")
    row.add_argument("--json", action="store_true", help="as JSON")
    row.set_defaults(run=show)


def create(args: argparse.Namespace) -> None:
    """`thing create`: works whether or not the cloud runs."""
    name, state = check_thing(args.name), State(args.state)
    folder = state.thing(name)
    with opened(state) as things:
        with things.store.transaction():
            if things.find(name):
                raise SluiceError(f"thing {name} exists already, nothing was overwritten")
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise SluiceError(f"cannot make {folder}: {error.strerror}") from None
            try:
                things.create(name)
                made = things.issue(name)
                things.attach(name, made.id)
                write_files(folder, name, state, made, usual_port(state, things))
            except BaseException:
                shutil.rmtree(folder)
                raise
        common_name = things.certificate(made.id)["common_name"]
    wait_known(state, common_name)
    print(folder)


def usual_port(state: State, things: Things) -> int:
    """Where the broker listens, or did, or will if nothing else is said."""
    return int(things.store.setting("mqtt_port") or MQTT_PORT)


def write_files(folder: Path, name: str, state: State, made: Certificate, port: int) -> None:
    """The thing's files; its key is readable by the owner only."""
    config = {
        "thing": name,
        "endpoint": "localhost",
        "port": port,
        "ca": "AmazonRootCA1.pem",
        "certificate": "certificate.pem.crt",
        "private_key": "private.pem.key",
        "signers": ["signer.crt"],
        "dialect": "aws_jobs",
        "wifi": {},
        "block": 4096,
        "window": 8,
        "allow_unsigned": False,
    }
    write_new(folder / config["ca"], state.root_ca.read_bytes())
    write_new(folder / config["certificate"], made.pem.encode())
    write_new(folder / config["private_key"], made.key.encode(), 0o600)
    write_new(folder / "signer.crt", state.signer_certificate.read_bytes())
    write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n")


def wait_known(state: State, common_name: str) -> None:
    """Until a running cloud's broker has been told of the certificate."""
    access, deadline = state.broker / "access.list", time.monotonic() + KNOWN_S
    while state.alive and time.monotonic() < deadline:
        if access.exists() and f"user {common_name}\n" in access.read_text():
            return
        time.sleep(0.02)


def show(args: argparse.Namespace) -> None:
    """`thing list`."""
    state = State(args.state)
    if not state.database.exists():
        raise SluiceError(f"no cloud has been in {args.state}")
    with opened(state) as things:
        rows = things.store.rows("SELECT * FROM things ORDER BY name")
        shapes = [
            {"thing": row["name"], "certificates": len(things.principals(row["name"]))}
            for row in rows
        ]
    if args.json:
        print(json.dumps(shapes))
    for shape in () if args.json else shapes:
        print(shape["thing"])
