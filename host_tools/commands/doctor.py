"""Examine a board: one report to paste into a bug.

doctor --port PORT          stops the agent, asks and measures, and starts the board again

Nothing secret is asked for. The slot that does not run is written to only where that cannot cost
an image; the board restarts softly, so that an image on trial stays on trial. Where a program that
swallows Ctrl-C holds the board, --reset resets it by the port's DTR and RTS lines.
"""

import argparse
import json
import sys

from sluice.board_port import board_at
from sluice.doctor.examination import examine
from sluice.doctor.report import lines, simulated
from sluice.terminal import remark


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--port", required=True, help="the serial port, /dev/ttyUSB0 for example")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.add_argument(
        "--flash",
        action="store_true",
        help="measure flash even where an image that the board could go back to may lie",
    )
    parser.add_argument(
        "--reset",
        action="store_true",
        help="reset a board that does not mind Ctrl-C, by DTR and RTS; ends an image's trial",
    )


def run(args: argparse.Namespace) -> None:
    """`doctor`."""
    with board_at(args.port, fresh=False, reset=args.reset, tell=_advise) as board:
        found = examine(board, args.flash, _tell)
    _tell("")
    if args.json:
        print(json.dumps(found | {"simulated": simulated(found)}))
    else:
        print("\n".join(lines(found, screen=sys.stdout)))


def _advise(text: str) -> None:
    """What a person at the board may do, who waits for the report."""
    also = ", or run `sluice doctor --reset`. Either ends an image's trial"
    remark(text + ("" if "RTS" in text else also))


def _tell(probe: str) -> None:
    """Progress, for who watches; not part of the report."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{probe}")
        sys.stderr.flush()
