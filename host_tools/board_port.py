"""A board at a serial port, driven through mpremote's transport.

    with board_at(port) as board:
        board.run("import os; print(os.uname())")

Entering interrupts what runs and resets softly, so that the heap is fresh and main.py does not
run; leaving starts main.py again, whatever happened in between, unless the board was reset.
Neither goes through the boot loader: an image on trial stays on trial, and a watchdog that
was armed stays armed.
"""

import ast
import contextlib
import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

from sluice import holding
from sluice.errors import SluiceError

BAUD = 115_200
SILENCE_S = 20  # without a byte while code runs
_ANSWER_S = 6  # for the raw REPL to answer, in two attempts, and half as long with Ctrl-C held
_READ_S = 1  # one read of the port
_WRITE_S = 10  # a port that takes nothing
_LEAVE_S = 3  # for the prompt, and for the soft reset to be announced
_HELD = "no prompt: a program that swallows Ctrl-C may hold the board"
_CHUNK = 256  # bytes of a file in one statement


class BoardRaised(SluiceError):
    """Code that the board was given raised; `traceback` is the board's text."""

    def __init__(self, traceback: str):
        self.traceback = traceback.replace("\r", "")
        lines = [line for line in self.traceback.splitlines() if line.strip()]
        super().__init__(f"the board raised {lines[-1].strip() if lines else 'something'}")


class Transport(SerialTransport):
    """mpremote's, which also remembers what it last heard: an error message wants to know."""

    heard = b""

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], None] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """As mpremote has it, which looks every 10 ms, at 1,000 statements of a flashing; this is
        woken by a byte. It may be late by one read of the port where none comes."""
        self.heard = b""
        begin = last = time.monotonic()
        while not self.heard.endswith(ending):
            new, now = self.serial.read(1), time.monotonic()
            if new and data_consumer:
                data_consumer(new)
            self.heard = new if data_consumer and new else self.heard + new
            last = now if new else last
            if not new and _over(now - last, timeout) or _over(now - begin, timeout_overall):
                break
        return self.heard


def _over(passed_s: float, limit_s: float | None) -> bool:
    return limit_s is not None and passed_s >= limit_s


def connect(port: str, baud: int = BAUD) -> Transport:
    """Open the port; `.serial` is pyserial's. SluiceError says why it cannot be had."""
    if "://" not in port:
        _look_at(Path(port))
    try:
        transport = Transport(port, baudrate=baud, timeout=_READ_S)
    except (TransportError, serial.SerialException, ValueError):
        raise SluiceError(_why_not(port)) from None
    transport.serial.write_timeout = _WRITE_S
    return transport


def _look_at(port: Path) -> None:
    """What can be said of a port before it is opened."""
    try:
        mode = port.stat().st_mode
    except OSError:
        names = ", ".join(sorted(row.device for row in list_ports.comports()))
        raise SluiceError(f"no such port: {port} (there is: {names or 'none'})") from None
    if not stat.S_ISCHR(mode):
        raise SluiceError(f"{port} is not a serial port")
    if not os.access(port, os.R_OK | os.W_OK):
        raise SluiceError(f"no right to use {port}; on Linux its group is often `dialout`")


def _why_not(port: str) -> str:
    """The reason that mpremote keeps to itself."""
    try:
        serial.serial_for_url(port, exclusive=True).close()
    except BlockingIOError:
        return f"{port} is busy: another program has it open"
    except (OSError, ValueError) as error:
        if "exclusively lock" in str(error):
            return f"{port} is busy: another program has it open"
        return f"cannot open {port}: {error}"
    return f"{port} was busy a moment ago; try again"


class BoardPort:
    """A board that waits in its raw REPL; see `board_at`."""

    def __init__(self, transport: Transport):
        self.name = transport.device_name
        self._transport = transport
        self._entered = False

    @property
    def serial(self) -> serial.SerialBase:
        """pyserial's port: what the board says after `reset` can be read there."""
        return self._transport.serial

    def enter(
        self,
        answer_s: float = _ANSWER_S,
        fresh: bool = True,
        reset: bool = False,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Into the raw REPL. SluiceError if nothing MicroPython is there.

        fresh   with a fresh heap; else what ran has left what it had there
        reset   by DTR and RTS, where a program may hold the board: that ends an image's trial
        tell    called with what a person may do meanwhile
        """
        heard = b""
        # a board that was just opened or reset may miss the first Ctrl-C: it is asked again soon
        for patience_s in (answer_s / 4, answer_s * 3 / 4):
            if self._entering(fresh, patience_s):
                return
            heard += self._transport.heard
        with self._plainly():
            shown, more = self._held(answer_s / 2, reset, tell)
        if shown and self._entering(fresh, answer_s / 4):
            return
        if heard or more:
            raise SluiceError(
                f"{self.name} answers, but not as MicroPython's REPL does: another firmware is on "
                "it, or a program that swallows Ctrl-C holds it"
            )
        raise SluiceError(
            f"{self.name} is silent: no board there, or one without power, or a program that "
            "swallows Ctrl-C holds it"
        )

    def _entering(self, fresh: bool, patience_s: float) -> bool:
        try:
            with self._plainly(), contextlib.redirect_stdout(io.StringIO()):
                self._transport.enter_raw_repl(fresh, patience_s)
        except _NoPromptError:
            return False
        self._entered = True
        return True

    def _held(
        self, limit_s: float, reset: bool, tell: Callable[[str], None]
    ) -> tuple[bool, bytes]:
        """Hold Ctrl-C, then reset or have it reset, holding on; see `holding.prompt`."""
        port = self._transport.serial
        shown, heard = holding.prompt(port, limit_s / 2)
        if shown:
            return shown, heard
        if reset and holding.reset(port):
            tell(f"{_HELD}. It was reset by DTR and RTS")
        else:
            tell(f"{_HELD}. Press its reset button now, if it has one")
        shown, more = holding.prompt(port, limit_s)
        return shown, heard + more

    def run(
        self,
        source: str,
        silence_s: float = SILENCE_S,
        consume: Callable[[bytes], None] | None = None,
    ) -> str:
        """Run it on the board; what it printed.

        consume  takes the output piece by piece, as it comes, instead
        raises   BoardRaised; SluiceError when the board falls silent or is lost
        """
        with self._plainly():
            out, fault = self._transport.exec_raw(source, silence_s, consume)
        if fault:
            raise BoardRaised(fault.decode(errors="replace"))
        return "" if consume else out.decode(errors="replace").replace("\r\n", "\n")

    def value(self, expression: str, silence_s: float = SILENCE_S) -> Any:
        """What an expression is on the board; it must be a literal."""
        said = self.run(f"print(repr({expression}))", silence_s)
        try:
            return ast.literal_eval(said.strip())
        except (ValueError, SyntaxError):
            raise SluiceError(f"{self.name}: no plain value: {said.strip()[:80]}") from None

    def put(
        self, path: str, content: bytes, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Write a file; `progress(bytes written, size)`. Folders must be there: see `folder`."""
        with self._plainly():
            self._transport.fs_writefile(path, content, _CHUNK, progress)

    def get(self, path: str) -> bytes:
        """Read a file."""
        with self._plainly():
            return bytes(self._transport.fs_readfile(path, _CHUNK))

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        with self._plainly():
            return self._transport.fs_exists(path)

    def folder(self, path: str) -> None:
        """Make it and those above it, where they are not there."""
        parts = [part for part in path.split("/") if part]
        for depth in range(1, len(parts) + 1):
            if not self.exists("/" + "/".join(parts[:depth])):
                with self._plainly():
                    self._transport.fs_mkdir("/" + "/".join(parts[:depth]))

    def reset(self) -> None:
        """A hardware reset, through the boot loader: an image on trial is rolled back by it."""
        with self._plainly():
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
        self._entered = False
        time.sleep(0.2)  # what was written must leave the port before it is closed

    def restart(self) -> None:
        """A soft reset that runs boot.py and main.py, as the board did before."""
        if not self._entered:
            return
        self._entered = False
        with self._plainly():
            self._transport.exit_raw_repl()
            self._transport.read_until(1, b">>> ", timeout=_LEAVE_S)
            self._transport.serial.write(b"\x04")
            self._transport.read_until(1, b"soft reboot", timeout=_LEAVE_S)

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError, TransportError):
            self._transport.close()

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except TransportExecError as error:
            raise BoardRaised(error.error_output) from None
        except TransportError as error:
            if "enter raw repl" in str(error):
                raise _NoPromptError(f"{self.name} left its raw REPL: did it restart?") from None
            raise SluiceError(f"{self.name} fell silent ({error})") from None
        except serial.SerialException as error:
            raise SluiceError(f"{self.name} is lost: unplugged, or taken ({error})") from None
        except OSError as error:
            raise SluiceError(f"{self.name}: {error.strerror or error}") from None


class _NoPromptError(SluiceError):
    """The raw REPL did not answer."""


@contextlib.contextmanager
def board_at(
    port: str, baud: int = BAUD, answer_s: float = _ANSWER_S, **more: Any
) -> Iterator[BoardPort]:
    """A board at the raw REPL for the length of a `with`; afterwards it runs main.py again.

    more    fresh, reset and tell, as for `BoardPort.enter`
    raises  SluiceError: no such port, busy, silent, or not MicroPython
    """
    board = BoardPort(connect(port, baud))
    try:
        board.enter(answer_s, **more)
        yield board
    finally:
        with contextlib.suppress(SluiceError):
            board.restart()
        board.close()
