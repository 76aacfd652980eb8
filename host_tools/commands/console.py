"""A terminal on a board's serial port: its log in colour, and its REPL.

console --port PORT      every key goes to the board, Ctrl-C and Tab too; Ctrl-] or Ctrl-x leaves

Ctrl-C stops the agent, and the board's verbs are there: type help(). aws_job.start() is the way
back. Leaving changes nothing on the board; where its prompt shows, you are asked whether the agent
is to start. --start and --no-start answer that.
"""

import argparse
import contextlib

from sluice.board_port import BAUD, connect
from sluice.serial_console import SerialConsole


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--port", required=True, help="the serial port, /dev/ttyUSB0 for example")
    parser.add_argument("--baud", type=int, default=BAUD, help=f"default {BAUD}")
    parser.add_argument("--plain", action="store_true", help="no colours")
    parser.add_argument(
        "--start",
        action=argparse.BooleanOptionalAction,
        help="an agent that is stopped, on leaving; default: ask",
    )


def run(args: argparse.Namespace) -> None:
    """`console`."""
    transport = connect(args.port, args.baud)
    try:
        SerialConsole(transport.serial, args.port, args.plain, args.start).run()
    finally:
        with contextlib.suppress(OSError):  # a board that is gone cannot be let go of
            transport.close()
