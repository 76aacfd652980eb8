"""Run a local cloud: broker, AWS IoT Jobs, streams, shadows, bucket, and their calls.

`sluice cloud run` serves until it is interrupted. It is ready when DIR/cloud.json is there. That
file says where it is, and boto3 takes its http_endpoint as endpoint_url. All that it knows is in
DIR, so it may be stopped, or killed, and started again.

The cloud is for this machine alone. With --listen it also serves boards on the network, at an
address of this machine. They reach its MQTT, and by HTTP the files whose URLs it presigned.

`sluice cloud env` prints shell exports that put it into AWS's place: for boto3, for AWS's CLI and
for commands with --aws. The cloud's own access key is among them. It waits for a cloud that was
started just before. Where there is none, it prints `false`.
"""

import argparse
import shlex
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sluice.cloud.run import HTTP_PORT, MQTT_PORT, run
from sluice.cloud.state import State
from sluice.errors import SluiceError

READY_S = 15  # a cloud is ready some seconds after it was started


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = rows.add_parser("run", help="serve until interrupted")
    row.add_argument("--state", type=Path, required=True, metavar="DIR", help="made if missing")
    usual = "default: that of the last run, else {}; 0: a free one"
    row.add_argument("--port", type=port, help=f"MQTT; {usual.format(MQTT_PORT)}")
    row.add_argument("--http-port", type=port, help=f"HTTP; {usual.format(HTTP_PORT)}")
    row.add_argument("--listen", type=address, metavar="IP", help="serve boards there, too")
    row.add_argument("--faults", type=Path, metavar="FILE", help="see host_tools/cloud/faults.py")
    row.set_defaults(run=serve)
    row = rows.add_parser("env", help="print shell exports that put it in AWS's place")
    row.add_argument("--state", type=Path, required=True, metavar="DIR", help="of the cloud")
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
    run(args.state, args.port, args.http_port, args.faults, args.listen)


def environment(args: argparse.Namespace) -> None:
    """`cloud env`; whoever has the credentials may do everything in this cloud, and nowhere else.

    Without a cloud it must not be nothing that the shell evaluates: what follows would go to AWS.
    """
    try:
        about = awaited(State(args.state))
    except SluiceError:
        print("false")
        raise
    variables = {
        "AWS_ENDPOINT_URL": about["http_endpoint"],
        "AWS_DEFAULT_REGION": about["region"],
        "AWS_ACCESS_KEY_ID": about["access_key"],
        "AWS_SECRET_ACCESS_KEY": about["secret_key"],
        "SLUICE_CA": about["ca"],
        "SLUICE_MQTT_PORT": str(about["mqtt_port"]),
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def awaited(state: State) -> dict[str, Any]:
    """What cloud.json says once it is there; SluiceError when it is not within READY_S."""
    deadline = time.monotonic() + READY_S
    while not state.ready.exists() or not state.alive:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return state.running()
