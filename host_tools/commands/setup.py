"""Fetch the programs that sluice runs: MicroPython, Mosquitto and umqtt.simple.

Each is looked for in a variable, on PATH and in the cache, and is fetched where it is missing.
Every other command fetches what it needs at its first use. This one is for a machine that goes
offline later. It needs no root: Debian's packages come from the mirror that apt is configured
with, and they are unpacked into $SLUICE_CACHE, else into ~/.cache/sluice.

Where there is no apt, name programs of your own: $MICROPYTHON, $MICROPYTHON64, $MOSQUITTO, and in
$UMQTT a folder that holds umqtt/simple.py.
"""

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--all", action="store_true", help="every release of MicroPython that is tested"
    )
    either.add_argument("--remove", action="store_true", help="remove what was fetched")


def run(args: argparse.Namespace) -> None:
    """`setup`."""
    from sluice import toolchain

    for line in toolchain.remove() if args.remove else toolchain.ready(args.all):
        print(line, flush=True)
