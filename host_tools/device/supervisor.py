"""The board from outside: power on, boot loader, MicroPython, and again after every reset.

Output is lines. Those of the supervisor itself, in a fixed form that others may parse:

    boot: <slot> <version> <valid|trial|new-board>    what starts; new-board: no usable record
    boot: rolled back <slot>                          an unconfirmed image was taken back
    boot: skipped <slot>: <reason>                    an image that would not boot
    boot: copying app_ota <version>                   a W800 takes what is staged
    reset: <machine.reset|soft|watchdog|panic>        why it starts again
    download: waits for esptool                       held in its ROM loader
    download: <n> bytes at <offset>                   written there; now it starts
    power: cut                                        the fuse blew, or cut_power() was called
    end: <main returned|main raised|exit N|signal N>  MicroPython ended and nothing restarts it
    flash: <n> operations                             erases and programs since this power-on
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sluice import toolchain
from sluice.device import install, linker
from sluice.device.endings import ENDS, PANIC, POWER_CUT, POWER_ON, RESETS, SOFT, SOFT_TO_RAW
from sluice.device.hardware import Hardware
from sluice.device.heap import CHIP_HEAP, MODEL_HEAP, SECOND_AREA, heap_bytes
from sluice.device.meter import PowerCut
from sluice.device.output import Output
from sluice.device.process import Process
from sluice.device.terminal import Terminal
from sluice.errors import SluiceError
from sluice.image.build import CHIPS

FUSE_S = 300  # for a line that must come: long, as a busy machine takes its time


class Board(Hardware):
    """One simulated board; see Hardware for the arguments that are not here.

    heap     MicroPython's heap as a chip would have it, written as -X heapsize takes it. That of
             CHIP_HEAP is in two areas, as an ESP32's is once it has grown: nothing lies across
             its 56 KiB
    cut_at   cut the power at that flash operation, counted from start(); cut_part says how far
             the operation gets: nothing, front, back (its halves), whole
    cuts     more of these, (operation, part): one for each power-on after that, counted from it;
             a part may be a number of bytes, too: see Meter.cut_after
    on_line  called with every line, from the board's own thread
    link     where to put the symlink of a pty that mpremote can open
    frozen   run the image's modules in place, as a board does that has them frozen into its
             image; otherwise they are loaded into the heap, as from a file system
    arch     of MicroPython: i386, or amd64
    clock    seconds since 1970 that its clock shows after every reset, as that of a board that no
             battery keeps; None for the host's time
    download powered on with BOOT held: it waits in its ROM loader at `link` until esptool has
             written its flash, and starts what that holds. No thing's files are put there
    """

    def __init__(
        self,
        state: Path,
        name: str,
        board: str = "SIM_ESP32",
        heap: str = CHIP_HEAP,
        cut_at: int | None = None,
        cut_part: str = "nothing",
        factory: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
        arch: str = "i386",
        link: Path | None = None,
        frozen: bool = False,
        blank: bool = False,
        download: bool = False,
        cuts: Iterable[tuple[int, str | int]] = (),
        partitions: Path | None = None,
        clock: int | None = None,
    ):
        super().__init__(state, name, board, factory, blank, partitions)
        if download and not link:
            raise SluiceError("a board in its ROM loader needs a serial port")
        self._held = download
        heap_bytes(heap)
        if cut_at is not None and cut_at < 1:
            raise SluiceError("flash operations are counted from 1")
        self._frozen, self._clock = frozen, clock
        self.heap, self.link, self._arch = heap, link, arch
        self.exit_code: int | None = None
        self.failure: SluiceError | None = None
        self._output = Output(on_line)
        self._cuts = ([(cut_at, cut_part)] if cut_at else []) + list(cuts)
        self._thread: threading.Thread | None = None
        self._process: Process | None = None
        self._pulled = False
        self._to_raw = False
        self._counted_from = 0

    # --- power ---------------------------------------------------------------------------------

    def start(self) -> "Board":
        """Power on, in a thread of its own. SluiceError if the board cannot be made."""
        terminal = self._power_on()
        self._thread = threading.Thread(
            target=self._live, args=[terminal], name=f"board {self.name}", daemon=True
        )
        self._thread.start()
        return self

    def run(self) -> int:
        """Power on and stay until MicroPython ends by itself, or stop(); its exit code."""
        self._live(self._power_on())
        if self.failure:
            raise self.failure
        return self.exit_code or 0

    def stop(self) -> None:
        """Pull the plug; start() is another power-on. From any thread, or a signal handler."""
        if self._process:
            self._process.switch_off()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout=FUSE_S)

    def cut_power(self) -> None:
        """Off and on again, now."""
        self._pulled = True
        while self._pulled and self.alive:  # it may be between two processes right now
            self._process.kill()
            time.sleep(0.005)

    def cut_after(self, operations: int, part: str | int = "nothing") -> None:
        """Have the fuse blow at that flash operation from now."""
        self.meter.cut_after(operations, part)

    def __enter__(self) -> "Board":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    # --- what it says --------------------------------------------------------------------------

    @property
    def on(self) -> bool:
        """Whether it has been powered on, so that stop() has a plug to pull."""
        return self._process is not None

    @property
    def heap_words(self) -> str:
        """What there is of heap, and whether the code lies in it, in words."""
        areas = " in two areas" if self.heap == CHIP_HEAP else ""
        place = "in flash" if self._frozen else "in the heap"
        return f"heap {self.heap}{areas}, code {place}"

    @property
    def micropython(self) -> str:
        """The version of MicroPython that runs on it, and of which words: "1.26.1, i386"."""
        return f"{toolchain.version_of(toolchain.micropython(self._arch))}, {self._arch}"

    @property
    def alive(self) -> bool:
        """Whether start() was called and the board has not ended."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def lines(self) -> list[str]:
        """All lines so far, over all power-ons of this object."""
        return self._output.lines

    @property
    def operations(self) -> int:
        """Flash operations since start()."""
        return self.meter.operations - self._counted_from

    def wait_for(self, pattern: str, deadline_s: float = FUSE_S, after: int = 0) -> re.Match:
        """The first line from index `after` that `pattern` matches anywhere.

        raises  TimeoutError with the last lines, also when the board ended without it
        """
        return self._output.wait_for(pattern, deadline_s, after, lambda: self.alive)

    def join(self, deadline_s: float = FUSE_S) -> int | None:
        """Wait until MicroPython ends by itself; its exit code."""
        if self._thread:
            self._thread.join(deadline_s)
        if self.alive:
            raise TimeoutError(f"{self.name} is still running:\n{self._output.tail}")
        if self.failure:
            raise self.failure
        return self.exit_code

    # --- its life ------------------------------------------------------------------------------

    def _power_on(self) -> Terminal | None:
        if self.alive:
            raise SluiceError(f"{self.name} is running already")
        if self._held:
            self.home.mkdir(parents=True, exist_ok=True)
        else:
            self.make()
        self._program = toolchain.micropython(self._arch)
        with self._locked():  # one that runs keeps its modules, its port and its fuse
            install.model(self.home, linker.board_modules(self._family.native))
            terminal = Terminal(self.link) if self.link else None
            self._process = Process(self._output, terminal, self._arch)
            self._pulled = self._to_raw = False
            self.exit_code = self.failure = None
            self._counted_from = self.meter.operations
            self._power_returns()
        return terminal

    def _live(self, terminal: Terminal | None) -> None:
        """From reset to reset, until MicroPython ends or stop()."""
        try:
            if self._held:
                self._download(terminal)
            with self._locked():
                cause: int | None = POWER_ON
                while cause is not None and self._process.powered:
                    cause = self._after(self._life(cause))
                self._output.say(f"flash: {self.operations} operations")
        except SluiceError as error:
            self.failure = error
            self._output.say(f"end: {error}")
        finally:
            if terminal:
                terminal.close()
            self._output.wake()

    def _download(self, terminal: Terminal) -> None:
        self._output.say("download: waits for esptool")
        for offset, size in self.download(terminal, lambda: self._process.powered).items():
            self._output.say(f"download: {size} bytes at 0x{offset:x}")
            self._held = False

    def _life(self, cause: int) -> int:
        """From one reset to the next; how it ended, as an exit code of MicroPython."""
        try:
            if cause != SOFT:
                self._boot()
        except PowerCut:
            return POWER_CUT
        if self._booted.image.modules is None:
            if self._booted.state != "trial":
                raise SluiceError(f"the image in {self._booted.slot.label} cannot be simulated")
            return PANIC
        return self._process.run(self._command(cause), self.home, "shims")

    def _boot(self) -> None:
        """What happens before any Python: the boot loader, and the chosen slot's modules."""
        self.meter.stop_watchdog()
        self._booted = self._family.choose(
            self.chip.flash, self.table, self._chip_name, self._output.say
        )
        install.image(self.home, self._booted.image.modules or {}, self._frozen)

    def _command(self, cause: int) -> list[str]:
        """What runs. One argument for sim_chip.py: the interpreter keeps each in its heap."""
        raw, self._to_raw = self._to_raw, False
        mode = "pipe" if not self.link else "raw" if raw else "main"
        chip = CHIPS[self._chip_name].id if self._chip_name in CHIPS else 0
        native = self._family.native
        ahead_s = 0 if self._clock is None else self._clock - int(time.time())
        arguments = [self._booted.slot.label, cause, os.getpid(), self.name, chip, mode, native]
        arguments += [ahead_s, SECOND_AREA if self.heap == CHIP_HEAP else 0]
        heap = heap_bytes(self.heap) + MODEL_HEAP
        start = [str(self._program), "-X", f"heapsize={heap}", "-m", "sim_start"]
        return [*start, " ".join(str(argument) for argument in arguments)]

    def _after(self, code: int) -> int | None:
        """Say how it ended; the cause of the reset that follows, None if none does."""
        if not self._process.powered:
            return None
        if self._pulled and code == -signal.SIGKILL:
            self._pulled = False
            code = POWER_CUT
        self._to_raw = code == SOFT_TO_RAW
        if code not in RESETS:
            ending = f"signal {-code}" if code < 0 else f"exit {code}"
            self._output.say(f"end: {ENDS.get(code, ending)}")
            self.exit_code = code
            return None
        said, cause = RESETS[code]
        self._output.say(said)
        if cause == POWER_ON:
            self._power_returns()
        return cause

    def _power_returns(self) -> None:
        """A new fuse, if there is one left to blow, and no watchdog."""
        self.meter.disarm()
        if self._cuts:
            self.cut_after(*self._cuts.pop(0))
