"""Run a simulated board in the foreground; its serial output is the output.

device run NAME --state DIR          boots as the board left off; Ctrl-C is the plug
mpremote connect LINK …              with --pty LINK, as on any serial port
"""

import argparse
import sys
from pathlib import Path

from sluice import boards
from sluice.commands import log_file, where
from sluice.device.hardware import FACTORY_VERSION
from sluice.device.heap import CHIP_HEAP
from sluice.device.meter import PARTS
from sluice.device.raw_repl import Screen
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image, w800
from sluice.terminal import on_end
from sluice.traceback_names import readable


def arguments(parser: argparse.ArgumentParser) -> None:
    """`run`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    row = actions.add_parser("run", help="power a board on")
    row.add_argument("name", metavar="NAME", help="a thing that `sluice thing create` made")
    where.arguments(row, "where `thing create` put it", aws=False)
    row.add_argument("--board", default="SIM_ESP32", metavar="NAME", help="or its folder, ./NAME")
    row.add_argument(
        "--heap", default=CHIP_HEAP, help=f"MicroPython's heap (default {CHIP_HEAP}, in two areas)"
    )
    row.add_argument("--cut-at", type=int, metavar="N", help="cut power at flash operation N")
    row.add_argument("--cut-part", choices=PARTS, default="nothing", help="of operation N")
    row.add_argument(
        "--frozen",
        action="store_true",
        help="run the image's modules in place, not in the heap; a W800 always does",
    )
    row.add_argument(
        "--blank", action="store_true", help="a new board with MicroPython and nothing else on it"
    )
    row.add_argument(
        "--download",
        action="store_true",
        help="with --pty: held in its ROM loader until esptool has written its flash",
    )
    row.add_argument(
        "--app", type=Path, metavar="FILE", help="a new board's application, as app.py"
    )
    row.add_argument("--pty", type=Path, metavar="LINK", help="a serial port for mpremote")
    log_file.arguments(row)


def run(args: argparse.Namespace) -> int:
    """Until the board ends, or a signal."""
    where.state(args, new=args.blank or args.download).settle()
    chip = boards.chip(args.board)
    screen = Screen()
    with log_file.logged(args.log) as log:

        def show(line: str) -> None:
            if len(board.lines) == 1:  # it is powered on: nothing was refused
                _show(f"MicroPython {board.micropython}; {board.heap_words}", log)
            shown = screen.shown(line)
            if shown is not None:
                _show(readable(shown), log)

        board = Board(
            args.state,
            args.name,
            board=args.board,
            heap=args.heap,
            cut_at=args.cut_at,
            cut_part=args.cut_part,
            link=args.pty,
            frozen=args.frozen or chip == w800.CHIP,
            factory=_factory(args, chip),
            blank=args.blank,
            download=args.download,
            on_line=show,
        )
        _end_by_signals(board)
        return board.run()


def _factory(args: argparse.Namespace, chip: str) -> bytes | None:
    """The image of a new board with the user's application; None: the usual one."""
    if not args.app:
        return None
    if not args.app.is_file():
        raise SluiceError(f"no such file: {args.app}")
    factory = make_image(FACTORY_VERSION, chip=chip, app=args.app, board=args.board)
    if (args.state / "devices" / args.name).exists():
        raise SluiceError(
            f"{args.name} has an image already: deploy one of `sluice image make --app`"
        )
    return factory


def _end_by_signals(board: Board) -> None:
    def end() -> None:
        if not board.on:  # it is still being made
            raise KeyboardInterrupt
        board.stop()

    on_end(end)


def _show(line: str, log: log_file.LogFile) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    log.line(line)
