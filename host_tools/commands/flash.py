"""Put the firmware, a thing's certificate and its settings on a board at a serial port.

flash --port PORT --thing NAME --state DIR     the board has MicroPython 1.24 or later already
flash --port PORT --firmware IMAGE             writes MicroPython itself, with esptool

Copies only what changed, reads it back, sets the clock, restarts the board and waits until its
agent waits for jobs. It can be interrupted, and run again, at any time.
"""

import argparse
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.board_port import BoardPort, board_at
from sluice.commands import where
from sluice.errors import SluiceError
from sluice.flash import boards, contents, inspection, micropython, on_board, settings
from sluice.flash import trees as on_trees
from sluice.flash.asking import present
from sluice.flash.contents import CONFIG
from sluice.flash.earlier import PACKAGE, leftovers, modules
from sluice.flash.planning import STARTER, Plan, plan
from sluice.flash.trees import Trees
from sluice.flash.watching import LOUD_ENOUGH, TAIL, wait_for_agent
from sluice.flash.writing import carry_out
from sluice.terminal import console, drawing, plain

if TYPE_CHECKING:
    from rich.console import Console

READY_S = 90  # for the agent: Wi-Fi, the time, TLS, the cloud
RESTART_S = 2  # for a chip that was just written: a port that is part of it goes and comes
WATCHDOG_MS = 600_000  # for the copying, on a board whose watchdog runs already


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--port", required=True, help="the serial port, /dev/ttyUSB0 for example")
    parser.add_argument("--thing", metavar="NAME", help="which one this board is to be")
    where.arguments(parser, "where `thing create` put it", aws=False)
    parser.add_argument("--board", metavar="NAME", help="or its folder, ./NAME; told by its chip")
    parser.add_argument(
        "--wifi", metavar="SSID", help=f"password asked for, or ${settings.PASSWORD}"
    )
    parser.add_argument(
        "--endpoint", metavar="HOST[:PORT]", help="of the cloud, as the board sees it"
    )
    parser.add_argument(
        "--firmware", type=Path, metavar="IMAGE", help="MicroPython's firmware.bin"
    )
    parser.add_argument("--erase", action="store_true", help="with --firmware: all flash, first")
    parser.add_argument(
        "--wait", type=float, default=READY_S, metavar="S", help="for the agent; 0 not"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")


def run(args: argparse.Namespace) -> None:
    """MicroPython if it is given, then the firmware if a thing is."""
    if not args.firmware and not args.thing:
        raise SluiceError("say which thing the board is to be: --thing NAME")
    if args.thing:
        where.state(args, tell=True)
    if args.erase and not args.firmware:
        raise SluiceError("--erase is for --firmware IMAGE: nothing would be left on the board")
    if args.firmware:
        _write_micropython(args)
    if args.thing and not (args.firmware and args.dry_run):
        time.sleep(RESTART_S if args.firmware else 0)
        Flashing(args, console(soft_wrap=True)).run()


def _write_micropython(args: argparse.Namespace) -> None:
    if not args.board:
        raise SluiceError("--firmware needs --board NAME: the offset is in its board.json")
    kind = boards.named(args.board)
    words = micropython.command(args.port, kind, args.firmware, args.erase)
    micropython.check(args.firmware, kind)
    if args.dry_run:
        print(shlex.join(["esptool", *words[4:]]))
        return
    micropython.write(words, args.port)
    size = args.firmware.stat().st_size
    print(f"MicroPython is written: {args.firmware}, {size:,} bytes at {kind.offset:#x} of flash")
    if not args.thing:
        again = shlex.join(["sluice", "flash", "--port", args.port])
        print(
            "next: `sluice thing create NAME` makes a thing's files, and "
            f"`{again} --thing NAME` brings them and the firmware onto the board"
        )


class Flashing:
    """One board, from the first look to its agent's word."""

    def __init__(self, args: argparse.Namespace, console: "Console") -> None:
        self._args, self._console = args, console
        self._wifi = settings.wifi(args.wifi)
        self._endpoint = settings.endpoint(args.endpoint)
        self._config, self._files = contents.identity(args.state, args.thing)

    def run(self) -> None:
        """All of it."""
        with board_at(self._args.port, reset=True, tell=self._tell) as board:
            seen = self._look(board)
            planned = self._plan(board, seen)
            if self._args.dry_run:
                self._tell(f"would copy {', '.join(planned.to_copy) or 'nothing'}")
                return
            self._copy(board, planned)
            board.run(f"set_clock({_now()!r})")
            board.reset()
            self._await_agent(board)

    def _tell(self, text: str) -> None:
        self._console.print(plain(text))

    def _look(self, board: BoardPort) -> inspection.Found:
        """Send our code there, and see what board that is. SluiceError if it will not do."""
        board.run(Path(on_board.__file__).read_text(encoding="utf-8"))
        seen = inspection.found(board.value("look()"))
        self._tell(f"{board.name}: MicroPython {seen.release}, {seen.machine}")
        return seen

    def _plan(self, board: BoardPort, seen: inspection.Found) -> Plan:
        old = settings.on(board)
        if old and old.get("watchdog_s", settings.WATCHDOG_S):
            board.run(f"ease_watchdog({WATCHDOG_MS})")
        inspection.judge(seen)
        kind = boards.choose(seen.chip, self._args.board)
        agent = contents.agent(kind.name)
        inspection.judge_bytecode(seen, agent.mpy)
        self._config = settings.merged(self._config, old, self._wifi, self._endpoint)
        self._remark(seen, kind, old)
        brings = seen.brings or seen.earlier
        trees = on_trees.look(board, None if brings else agent, seen.running)
        self._remark_trees(trees, agent, brings)
        code = {} if brings else contents.starter()
        files = code | self._files | {CONFIG: settings.text(self._config)}
        early = [] if brings else self._early(board)
        planned = plan(board, files, lambda path: brings and _is_code(path), early, trees)
        return self._fitting(planned, seen)

    def _early(self, board: BoardPort) -> list[str]:
        """What lies there of the layouts before the trees."""
        early = leftovers(lambda paths: present(board, paths))
        if early:
            self._tell(
                "the firmware that is there is of an earlier layout, without the package sluice: "
                "it is replaced, and nothing of it stays"
            )
        package = modules(board.value(f"below({PACKAGE!r})"))
        if package:
            self._tell(f"the firmware in {PACKAGE} goes: the agent's tree takes its place")
        return early + package

    def _fitting(self, planned: Plan, seen: inspection.Found) -> Plan:
        """The plan, or one that removes first. SluiceError where there is no room for that."""
        needed = planned.room(seen.block)
        if needed <= seen.free:
            return planned
        if not planned.stale or needed > seen.free + planned.gain(seen.block):
            raise SluiceError(
                f"too little space: {needed:,} bytes are needed "
                f"and {seen.free:,} are free on the board's file system"
            )
        self._tell(
            "no room for both: the firmware that is there goes first. If this is interrupted, "
            "the board stays at its prompt until it is run again"
        )
        return replace(planned, first=True)

    def _remark(self, seen: inspection.Found, kind: boards.Kind, old: dict) -> None:
        """What the user may want to know before."""
        self._tell(f"board {kind.name}, {seen.free:,} bytes free")
        if seen.brings:
            self._tell("the image that runs brings its own firmware: only its files are written")
        elif seen.earlier:
            self._tell(
                "the image that runs brings its own firmware, of an earlier layout: only its "
                "files are written; an update brings the package sluice"
            )
        if old.get("thing", self._config["thing"]) != self._config["thing"]:
            self._tell(f"this board was thing {old['thing']} so far")
        if settings.local(self._config):
            self._tell(
                f"note: the endpoint is {self._config['endpoint']}, this computer: right for a "
                "simulated board; a real one needs --endpoint HOST"
            )
        elif not self._config["wifi"]:
            self._tell("note: no Wi-Fi is configured: --wifi SSID, unless the board is wired")

    def _remark_trees(self, trees: Trees, agent: on_trees.Agent, brings: bool) -> None:
        """What becomes of those that are there."""
        for dropped in trees.dropped:
            self._tell(f"{dropped} was on trial, which ends here: it is taken back")
        if trees.replaced:
            letter, _, version, *_ = trees.replaced
            self._tell(
                f"the agent {version} in agent.{letter} is replaced by {agent.version}, this "
                f"installation's own, in {trees.path[1:]}; agent.{letter} stays as the way back"
            )
        elif trees.agent and brings:
            letter, _, version, *_ = trees.agent
            self._tell(f"a tree of the agent is there, too: agent.{letter} {version}. It stays")
        if trees.app:
            letter, _, version, *_ = trees.app
            passed = f", and {trees.passed} is passed over" if trees.passed else ""
            self._tell(f"the application {version} in app.{letter} runs{passed}")

    def _copy(self, board: BoardPort, planned: Plan) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        todo = planned.to_copy
        every = len(planned.files) + bool(planned.trees.path)
        if planned.done:
            self._tell(f"nothing to copy: all {every} files are right")
            return
        columns = (
            BarColumn(30),
            DownloadColumn(binary_units=True),
            TextColumn("{task.description}", markup=False),
        )
        with drawing(), Progress(*columns, console=self._console) as bar:
            task = bar.add_task("", total=sum(map(len, todo.values())))

            def step(path: str, size: int) -> None:
                bar.update(task, advance=size, description=plain(path))

            carry_out(board, planned, step)
            bar.update(task, description="")
        for path in [*planned.theirs, *planned.veiling]:
            self._tell(f"the {path.lstrip('/')} that was there is kept as {path}.old")
        changed = len(planned.changed) + (planned.trees.content is not None)
        before = f", {len(planned.beside)} were there from a run before" if planned.beside else ""
        self._tell(
            f"copied {len(todo)} files{before}, {every - changed} were right, "
            f"{len(planned.stale)} removed"
        )

    def _await_agent(self, board: BoardPort) -> None:
        if not self._args.wait:
            return
        if self._config.get("log", "I") not in LOUD_ENOUGH:
            self._tell("its log level keeps the agent quiet: not waited for")
            return
        said: list[str] = []
        self._tell("restarted: waiting for the agent")  # a line, because others may print here
        try:
            wait_for_agent(board, self._args.wait, said.append)
        except SluiceError:
            for line in said[-TAIL:]:
                self._tell(f"  {line}")
            raise
        self._tell(f"{self._config['thing']} is ready: its agent waits for jobs")


def _is_code(path: str) -> bool:
    return path.startswith("/lib/") or path in STARTER


def _now() -> tuple[int, ...]:
    """As machine.RTC.datetime() takes it."""
    now = time.gmtime()
    return (*now[:3], now[6], *now[3:6], 0)
