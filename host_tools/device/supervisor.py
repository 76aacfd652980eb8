"""The board from outside: power on, boot loader, MicroPython, and again after every reset.

Output is lines. Those of the supervisor itself, in a fixed form that others may parse:

    boot: <slot> <version> <valid|trial|new-board>    what starts
    boot: rolled back <slot>                          an unconfirmed image was taken back
    boot: skipped <slot>: <reason>                    an image that would not boot
    reset: <machine.reset|soft|watchdog|panic>        why it starts again
    power: cut                                        the fuse blew, or cut_power() was called
    end: <main returned|main raised|exit N|signal N>  MicroPython ended and nothing restarts it
    flash: <n> operations                             erases and programs since this power-on
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import toolchain
from host_tools.compile import compile_tree
from host_tools.device import bootloader, partitions, provision
from host_tools.device.meter import PowerCut
from host_tools.errors import SluiceError
from host_tools.image import make_image
from host_tools.image.build import CHIPS

FACTORY_VERSION = "1.0.0"
HERE = Path(__file__).parent
SHARED = {  # modules that run on both sides
    "norflash.py": HERE / "norflash.py",
    "otadata.py": HERE / "otadata.py",
    "appimage.py": HERE.parent / "image/appimage.py",
}
POWER_ON, HARD, WATCHDOG, SOFT = 1, 2, 3, 5  # machine.reset_cause()
POWER_CUT_EXIT = 77
# fmt: off
RESETS = {  # how MicroPython ended → what is said, and the next reset cause
    17:              ("reset: soft", SOFT),
    32:              ("reset: machine.reset", HARD),
    33:              ("reset: panic", HARD),
    -signal.SIGALRM: ("reset: watchdog", WATCHDOG),
    POWER_CUT_EXIT:  ("power: cut", POWER_ON),
}
ENDS = {0: "main returned", 1: "main raised"}
# fmt: on


class Board:
    """One simulated board.

    state    the folder with things/ and devices/
    name     of the thing; also of the device's folder
    board    a folder of boards/, for its partitions.csv and its board.py
    heap     MicroPython's heap, as -X heapsize takes it
    cut_at   cut the power at that flash operation, counted from start(); cut_part says how far
             the operation gets: nothing, front, back (its halves), whole
    factory  the image in ota_0 of a new board; by default this checkout's firmware, as 1.0.0
    on_line  called with every line, from the board's own thread
    """

    def __init__(
        self,
        state: Path,
        name: str,
        board: str = "SIM_ESP32",
        heap: str = "80k",
        cut_at: int | None = None,
        cut_part: str = "nothing",
        factory: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
        chip: str = "esp32",
        arch: str = "i386",
    ):
        self.state, self.name, self.board, self.heap = Path(state), name, board, heap
        self.home = self.state / "devices" / name
        self.lines: list[str] = []
        self.exit_code: int | None = None
        self.failure: SluiceError | None = None
        self._cut = (cut_at, cut_part)
        self._factory, self._on_line, self._chip_name, self._arch = factory, on_line, chip, arch
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen | None = None
        self._stopping = self._pulled = False
        self._table = partitions.read_csv(provision.BOARDS / board / "partitions.csv")
        self._chip: provision.Chip | None = None
        self._counted_from = 0

    # --- power ---------------------------------------------------------------------------------

    def start(self) -> "Board":
        """Power on, in a thread of its own. SluiceError if the board cannot be made."""
        self._power_on()
        self._thread = threading.Thread(target=self._live, name=f"board {self.name}", daemon=True)
        self._thread.start()
        return self

    def run(self) -> int:
        """Power on and stay until MicroPython ends by itself; its exit code."""
        self._power_on()
        self._live()
        if self.failure:
            raise self.failure
        return self.exit_code or 0

    def stop(self) -> None:
        """Power off for good, as quietly as pulling the plug; start() is another power-on."""
        self._stopping = True
        self._signal(signal.SIGKILL)
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    kill = stop

    def cut_power(self) -> None:
        """Off and on again, now."""
        self._pulled = True
        self._signal(signal.SIGKILL)

    def cut_after(self, operations: int, part: str = "nothing") -> None:
        """Have the fuse blow at that flash operation from now."""
        self.chip.meter.cut_after(operations, part)

    def __enter__(self) -> "Board":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    # --- what a test asks ----------------------------------------------------------------------

    def wait_for(self, pattern: str, deadline_s: float = 30, after: int = 0) -> re.Match:
        """The first line from index `after` that `pattern` matches anywhere.

        raises  TimeoutError with the last lines, also when the board ended without it
        """
        limit = time.monotonic() + deadline_s
        seen = after
        with self._news:
            while True:
                while seen < len(self.lines):
                    match = re.search(pattern, self.lines[seen])
                    seen += 1
                    if match:
                        return match
                left = limit - time.monotonic()
                if left <= 0 or not self.alive:
                    tail = "\n".join(self.lines[-25:])
                    raise TimeoutError(f"{self.name}: no line matches {pattern!r}:\n{tail}")
                self._news.wait(min(left, 1))

    def join(self, deadline_s: float = 30) -> int | None:
        """Wait until MicroPython ends by itself; its exit code."""
        assert self._thread
        self._thread.join(deadline_s)
        if self._thread.is_alive():
            raise TimeoutError(f"{self.name} is still running:\n" + "\n".join(self.lines[-25:]))
        if self.failure:
            raise self.failure
        return self.exit_code

    @property
    def alive(self) -> bool:
        """Whether the power is on."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def operations(self) -> int:
        """Flash operations since start()."""
        return self.meter.operations - self._counted_from

    @property
    def meter(self):
        """Wear and operations of the flash."""
        return self.chip.meter

    @property
    def table(self) -> partitions.Table:
        """The partition table."""
        return self._table

    @property
    def chip(self) -> provision.Chip:
        """The flash and its meter, mapped."""
        if self._chip is None:
            self._chip = provision.open_chip(self.home, self._table.flash_size)
        return self._chip

    @property
    def flash(self) -> memoryview:
        """The whole flash, as it is now. Writing to it is damage."""
        return self.chip.memory

    def slot_bytes(self, label: str, size: int | None = None) -> bytes:
        """The first `size` bytes of a partition."""
        row = self._table.labelled(label)
        return bytes(self.flash[row.offset : row.offset + (row.size if size is None else size)])

    @property
    def versions(self) -> dict[str, str | None]:
        """{slot: version of the image in it}, None where nothing would boot."""
        found: dict[str, str | None] = {}
        for slot in self._table.slots:
            try:
                image = bootloader.slot_image(self.chip.flash, slot, self._chip_name)
                found[slot.label] = image.version
            except SluiceError:
                found[slot.label] = None
        return found

    def read_file(self, path: str) -> bytes:
        """A file of the board's file system; only while the board is off."""
        assert not self.alive
        file_system = provision.mount(self.chip, self._table)
        with file_system.open(path, "rb") as file:
            return file.read()

    def write_file(self, path: str, content: bytes) -> None:
        """Put a file on the board's file system; only while the board is off."""
        assert not self.alive
        file_system = provision.mount(self.chip, self._table)
        with file_system.open(path, "wb") as file:
            file.write(content)
        file_system.unmount()

    # --- its life ------------------------------------------------------------------------------

    def make(self) -> "Board":
        """Factory-flash a new board and write the thing's files, without switching it on."""
        files = provision.thing_files(self.state, self.name)
        chip = self.chip
        with self._locked():
            if not provision.flashed(chip):
                image = self._factory or make_image(
                    FACTORY_VERSION, chip=self._chip_name, board=self.board
                )
                provision.factory_flash(chip, self._table, image)
            provision.write_files(chip, self._table, self.home, files)
        return self

    def _power_on(self) -> None:
        if self.alive:
            raise SluiceError(f"{self.name} is running already")
        self.make()
        sources = SHARED | {file.name: file for file in (HERE / "shims").glob("*.py")}
        compile_tree(sources, self.home / "shims")
        self._program = toolchain.micropython(self._arch)
        self._stopping = self._pulled = False
        self.exit_code = self.failure = None
        self.meter.disarm()
        self._counted_from = self.meter.operations
        if self._cut[0]:
            self.cut_after(*self._cut)
            self._cut = (None, "nothing")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a second supervisor off this flash."""
        with (self.home / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SluiceError(f"{self.name} is running already") from error
            yield

    def _live(self) -> None:
        """One power-on after another, until MicroPython ends or stop()."""
        try:
            with self._locked():
                cause = POWER_ON
                while cause is not None and not self._stopping:
                    cause = self._life(cause)
                self._say(f"flash: {self.operations} operations")
        except SluiceError as error:
            self.failure = error
            self._say(f"boot: {error}")
        finally:
            with self._news:
                self._news.notify_all()

    def _life(self, cause: int) -> int | None:
        """From one reset to the next; the cause of the next, None when it is over."""
        try:
            if cause != SOFT:
                self.meter.stop_watchdog()
                self._start = bootloader.choose(
                    self.chip.flash, self._table, self._chip_name, self._say
                )
                self._unpack()
        except PowerCut:
            return self._after(POWER_CUT_EXIT)
        if self._start.image.modules is None:
            if self._start.state != "trial":
                raise SluiceError(f"{self._start.slot.label} carries no modules to run")
            return self._after(33)
        return self._after(self._micropython(cause))

    def _after(self, code: int) -> int | None:
        if self._stopping:
            return None
        if self._pulled and code == -signal.SIGKILL:
            self._pulled = False
            code = POWER_CUT_EXIT
        said, cause = RESETS.get(code, (None, None))
        if said is None:
            ending = f"signal {-code}" if code < 0 else f"exit {code}"
            self._say(f"end: {ENDS.get(code, ending)}")
            self.exit_code = code
        else:
            self._say(said)
        if cause == POWER_ON:
            self.meter.disarm()
        return cause

    def _unpack(self) -> None:
        """The modules of the chosen slot, where MicroPython will find them."""
        rom = self.home / "rom"
        shutil.rmtree(rom, ignore_errors=True)
        rom.mkdir()
        for path, content in (self._start.image.modules or {}).items():
            (rom / path).parent.mkdir(parents=True, exist_ok=True)
            (rom / path).write_bytes(content)

    def _micropython(self, cause: int) -> int:
        """Run MicroPython until it ends; its exit code, negative for a signal."""
        arguments = [self._start.slot.label, cause, os.getpid(), self.name]
        arguments += [CHIPS[self._chip_name].id]
        command = [self._program, "-X", f"heapsize={self.heap}", "-m", "start"]
        with subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=self.home,
            env={**os.environ, "MICROPYPATH": f"{self.home.resolve() / 'shims'}:.frozen"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child:
            self._child = child
            if self._stopping:
                child.kill()
            assert child.stdout
            for line in child.stdout:
                self._say(line.decode(errors="replace").rstrip("\r\n"))
            return child.wait()

    def _say(self, line: str) -> None:
        with self._news:
            self.lines.append(line)
            self._news.notify_all()
        if self._on_line:
            self._on_line(line)

    def _signal(self, number: int) -> None:
        child = self._child
        if child and child.poll() is None:
            child.send_signal(number)
