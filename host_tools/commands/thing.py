"""Create, list, show and delete things: of a local cloud, or of AWS.

`sluice thing create NAME` makes DIR/things/NAME with all that a board needs. That is config.json,
its certificate and key, and the root CA. It is also the certificate of the key that signs images.

With --aws it makes thing, certificate and policy through boto3, with your own AWS settings. The
private key is made here and stays here. With --aws-keys AWS makes it. With --csr the key is yours,
and the certificate is made for it. `sluice flash` wants that key as
DIR/things/NAME/private.pem.key.
"""

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.cloud.names import MQTT_PORT, check_thing
from sluice.cloud.state import LOCAL_HOSTS, State
from sluice.commands import where
from sluice.errors import SluiceError
from sluice.fleet import about, provision, shapes, shown
from sluice.fleet.account import Account
from sluice.fleet.clients import UNTRIED, Clients, clients, plainly, rehearsed, shadows
from sluice.fleet.folder import Board, signer_certificate, write_board
from sluice.fleet.reader import Reader
from sluice.fleet.root_ca import from_file, root_ca
from sluice.fleet.status import ThingStatus
from sluice.terminal import remark

if TYPE_CHECKING:
    from sluice.cloud.things.groups import Groups

ONLY_AWS = ("dry_run", "ca", "port", "aws_keys", "policy", "out")
PORTS = range(1, 65_536)
KNOWN_S = 5  # for a running cloud to let the new thing in


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = rows.add_parser("create", help="make a thing and its files", epilog=UNTRIED)
    row.add_argument("name", metavar="NAME", help="of the thing")
    _where(row, "made if missing", "with --aws: where things/NAME goes; default: here")
    row.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="made if missing"
    )
    row.add_argument("--ca", type=Path, metavar="FILE", help="with --aws: root of another broker")
    row.add_argument("--port", type=int, help="with --aws: of MQTT; default: 8883")
    row.add_argument("--signer", type=Path, metavar="FILE", help="certificate of the signing key")
    row.add_argument("--aws-keys", action="store_true", help="with --aws: it makes the key")
    row.add_argument("--policy", metavar="NAME", help=f"with --aws; {provision.POLICY_NAME}")
    row.add_argument("--csr", type=Path, metavar="FILE", help="signing request, PEM, of your key")
    row.set_defaults(run=create)
    row = rows.add_parser("list", help="show all things", epilog=UNTRIED)
    where.arguments(row, "of a local cloud, whether or not that runs")
    row.add_argument("--json", action="store_true", help="as JSON, with AWS's names")
    row.set_defaults(run=listed)
    row = rows.add_parser("show", help="how a thing stands, what its board told", epilog=UNTRIED)
    row.add_argument("name", metavar="NAME", help="of the thing")
    where.arguments(row, "of a local cloud that runs")
    row.add_argument("--json", action="store_true", help="as JSON, with AWS's names")
    row.set_defaults(run=show)
    text = "remove a thing, its certificates and its files"
    row = rows.add_parser("delete", help=text, epilog=UNTRIED)
    row.add_argument("name", metavar="NAME", help="of the thing")
    _where(row, "of the local cloud", "with --aws: where things/NAME is; default: here")
    row.set_defaults(run=delete)


def _where(row: argparse.ArgumentParser, state: str, out: str) -> None:
    where.arguments(row, state)
    row.add_argument("--out", type=Path, metavar="DIR", help=out)
    row.add_argument("--dry-run", action="store_true", help="print AWS's calls, make none")


def create(args: argparse.Namespace) -> None:
    """`thing create`: of the local cloud, whether or not that runs."""
    name = check_thing(args.name)
    if args.csr and args.aws_keys:
        raise SluiceError("either --csr is of your key, or --aws-keys has AWS make it")
    request = provision.given_request(args.csr) if args.csr else None
    place = where.place(args, new=True, tell=True)
    if isinstance(place, Account):
        create_at_aws(args, place, name, request)
    else:
        create_here(args, place, name, request)


def create_here(args: argparse.Namespace, state: State, name: str, request: str | None) -> None:
    """`thing create --state`."""
    from sluice.cloud.run import opened
    from sluice.cloud.things.groups import Groups

    only_aws(args)
    given = from_file(args.signer) if args.signer else None
    state.settle()
    with opened(state) as things:
        with things.store.transaction():
            if things.find(name):
                raise SluiceError(f"thing {name} exists already, nothing was overwritten")
            things.create(name)
            join(Groups(things.store), name, args.group)
            made = things.issue(name, request=request)
            things.attach(name, made.id)
            things.entitle(made.id)
            port = int(things.store.setting("mqtt_port") or MQTT_PORT)
            ca, signer = state.root_ca.read_bytes(), given or state.signer_certificate.read_bytes()
            pair = (made.pem.encode(), made.key.encode() or None)
            board = Board(name, "localhost", port, ca, signer, *pair, LOCAL_HOSTS)
            write_board(state.thing(name), board)
        common_name = things.certificate(made.id)["common_name"]
    wait_known(state, common_name)
    print(state.thing(name))


def join(groups: "Groups", thing: str, names: list[str]) -> None:
    """Put a thing of the local cloud into groups, made if they are missing."""
    for name in names:
        check_thing(name)  # the same pattern and length as a thing's
        if not groups.known(name):
            groups.create(name, None, None, {}, time.time())
        groups.add(name, thing)


def only_aws(args: argparse.Namespace) -> None:
    """Refuse what has no meaning for a local cloud's things, which are made without calls."""
    given = [name for name in ONLY_AWS if getattr(args, name, None) not in (None, False)]
    if given:
        raise SluiceError(f"only for --aws: --{', --'.join(given).replace('_', '-')}")


def create_at_aws(
    args: argparse.Namespace, account: Account, name: str, request: str | None
) -> None:
    """`thing create --aws`."""
    if args.port is not None and args.port not in PORTS:
        raise SluiceError(f"--port must be 1 to {PORTS[-1]}")
    out = args.out or Path()
    folder = State(out).thing(name)
    if folder.exists():
        raise SluiceError(f"{folder} exists already, nothing was overwritten")
    cloud = at_aws(args, account, exists=False)
    wanted = (name, args.policy or provision.POLICY_NAME, args.aws_keys, args.group, request)
    with plainly():
        endpoint = provision.broker(cloud.iot)
        ca = root_ca(endpoint, args.ca)  # before anything is made
        if args.dry_run:
            provision.provision(cloud.iot, *wanted)
            return
        signer = signer_certificate(out, args.signer)
        pair = provision.provision(cloud.iot, *wanted)
        hosts = LOCAL_HOSTS if endpoint == "localhost" else ()  # a local cloud, called as AWS is
        board = Board(name, endpoint, args.port or broker_port(), ca, signer, *pair, hosts)
        try:
            write_board(folder, board)
        except BaseException:
            provision.remove(cloud.iot, name)
            raise
    print(folder)


def at_aws(args: argparse.Namespace, account: Account, exists: bool) -> Clients:
    """AWS's clients, or those of a rehearsal with a thing that exists or does not."""
    if not args.dry_run:
        return clients(account)
    return rehearsed(account, lambda region: provision.imagined(region, exists))


def broker_port() -> int:
    """AWS's port, or the one that `sluice cloud env` has put into the environment."""
    return int(os.environ.get("SLUICE_MQTT_PORT") or MQTT_PORT)


def wait_known(state: State, common_name: str) -> None:
    """Until a running cloud's broker has been told of the certificate."""
    told, deadline = state.security, time.monotonic() + KNOWN_S
    while state.alive and time.monotonic() < deadline:
        if told.exists() and f'"{common_name}"' in told.read_text(encoding="utf-8"):
            return
        time.sleep(0.02)


def show(args: argparse.Namespace) -> None:
    """`thing show`."""
    from sluice.fleet import things_shown

    name = check_thing(args.name)
    with plainly():
        place = where.place(args)
        found = Reader(clients(place), shadows(place)).thing(name)
    if args.json:
        print(json.dumps(shapes.of_thing(found)))
    else:
        shown.show(*things_shown.thing(found))


def listed(args: argparse.Namespace) -> None:
    """`thing list`: only the names where no cloud runs that knows more."""
    from sluice.fleet import things_shown

    place = where.place(args)
    if isinstance(place, State) and not place.alive:
        found = at_rest(place)
        table = [thing.thing for thing in found]
    else:
        with plainly():
            read = Reader(clients(place), shadows(place)).things()
        for note in read.notes:
            remark(note)
        found = read.things
        table = things_shown.things(found)
    if args.json:
        print(json.dumps([shapes.of_thing(thing) for thing in found]))
    else:
        shown.show(*table)


def at_rest(state: State) -> tuple[ThingStatus, ...]:
    """The things of a local cloud that does not run: nobody knows how they stand."""
    from sluice.cloud.run import opened
    from sluice.cloud.things.api import thing_shape

    if not state.database.exists():
        raise SluiceError(f"no cloud has been in {state.root}")
    with opened(state) as things:
        rows = things.store.rows("SELECT * FROM things ORDER BY name")
        return tuple(about.of_document(thing_shape(row)) for row in rows)


def delete(args: argparse.Namespace) -> None:
    """`thing delete`; what a simulated board has in its flash stays."""
    name = check_thing(args.name)
    place = where.place(args, tell=True)
    if isinstance(place, Account):
        with plainly():
            provision.remove(at_aws(args, place, exists=True).iot, name)
    else:
        only_aws(args)
        delete_here(place, name)
    if not args.dry_run:
        remove_files(State(args.state or args.out or Path()).thing(name))


def remove_files(folder: Path) -> None:
    """What a thing had in things/, if it is there. SluiceError when some of it may have stayed."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise SluiceError(
            f"{folder.name} is deleted, but not its files, the private key among them: "
            f"remove {folder} yourself: {error.strerror or error}"
        ) from None


def delete_here(state: State, name: str) -> None:
    """Remove a thing of the local cloud, whether or not that runs."""
    from sluice.cloud.run import opened

    if not state.database.exists():
        raise SluiceError(f"no cloud has been in {state.root}")
    with opened(state) as things, things.store.transaction():
        things.get(name)
        for row in things.principals(name):
            things.detach(name, row["id"])
            things.forget(row["id"])
        things.delete(name)
