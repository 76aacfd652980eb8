"""Run a local cloud: broker, AWS IoT Jobs, streams, shadows, bucket, and their calls.

`sluice cloud run` serves until it is interrupted. It is ready when DIR/cloud.json is there. That
file says where it is, and boto3 takes its http_endpoint as endpoint_url. All that it knows is in
DIR, so it may be stopped, or killed, and started again.

The cloud is for this machine alone. With --listen it also serves boards on the network, at an
address of this machine. They reach its MQTT, and by HTTP the files whose URLs it presigned.

`cloud run` also serves the fleet as a page, to this machine alone. It prints the page's address,
which opens it once. `sluice fleet --web` prints another.

`sluice cloud env` prints shell exports that put it into AWS's place: for boto3, for AWS's CLI and
for commands with --aws. The cloud's own access key is among them. It waits for a cloud that was
started just before. Where there is none, it prints `false`. With
--unset it prints what takes the variables away again, whatever they were before.
"""

import argparse
import shlex
import time
from ipaddress import ip_address
from pathlib import Path

from sluice.cloud.names import HTTP_PORT, MQTT_PORT
from sluice.cloud.state import State
from sluice.commands import log_file, where
from sluice.errors import SluiceError

READY_S = 15  # a cloud is ready some seconds after it was started
EXPORTS = {  # variable → member of cloud.json
    "AWS_ENDPOINT_URL": "http_endpoint",
    "AWS_DEFAULT_REGION": "region",
    "AWS_ACCESS_KEY_ID": "access_key",
    "AWS_SECRET_ACCESS_KEY": "secret_key",
    "SLUICE_CA": "ca",
    "SLUICE_MQTT_PORT": "mqtt_port",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = rows.add_parser("run", help="serve until interrupted")
    where.arguments(row, "made if missing", aws=False)
    usual = "default: that of the last run, else {}; 0: a free one"
    row.add_argument("--port", type=port, help=f"MQTT; {usual.format(MQTT_PORT)}")
    row.add_argument("--http-port", type=port, help=f"HTTP; {usual.format(HTTP_PORT)}")
    row.add_argument("--listen", type=address, metavar="IP", help="serve boards there, too")
    row.add_argument("--faults", type=Path, metavar="FILE", help="see host_tools/cloud/faults.py")
    log_file.arguments(row)
    row.set_defaults(run=serve)
    row = rows.add_parser("env", help="print shell exports that put it in AWS's place")
    where.arguments(row, aws=False)
    row.add_argument("--unset", action="store_true", help="what takes the exports back")
    row.set_defaults(run=environment)


def port(text: str) -> int:
    """A TCP port, or 0."""
    number = int(text)
    if number not in range(65_536):
        raise ValueError(text)
    return number


def address(text: str) -> str:
    """An IP address."""
    return str(ip_address(text))


def serve(args: argparse.Namespace) -> None:
    """`cloud run`."""
    from sluice.cloud.run import run
    from sluice.page.serving import page

    where.state(args, new=True)
    shown = page(State(args.state))
    with log_file.logged(args.log) as file, log_file.of_logging(file):
        run(args.state, args.port, args.http_port, args.faults, args.listen, shown)


def environment(args: argparse.Namespace) -> None:
    """`cloud env`; whoever has the credentials may do everything in this cloud, and nowhere else.

    With --unset no cloud is asked for. Without a cloud it must not be nothing that the shell
    evaluates: what follows would go to AWS.
    """
    if args.unset:
        print(f"unset {' '.join(EXPORTS)}")
        return
    try:
        if folder := where.named(args):
            settle(State(folder))
        about = where.state(args).running()
    except SluiceError:
        print("false")
        raise
    for name, member in EXPORTS.items():
        print(f"export {name}={shlex.quote(str(about[member]))}")


def settle(state: State) -> None:
    """Wait, READY_S at most: the cloud that makes the folder may just have been started."""
    deadline = time.monotonic() + READY_S
    while not (state.ready.exists() and state.alive) and time.monotonic() < deadline:
        time.sleep(0.1)
