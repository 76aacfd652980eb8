"""One run of MicroPython: started, listened to, typed at, and waited for."""

import os
import pty
import select
import subprocess
import termios
import tty
from pathlib import Path

from sluice.device.interrupt import interrupt
from sluice.device.output import Output
from sluice.device.terminal import Terminal

_CTRL_C = b"\x03"


class Process:
    """The processor: one child at a time, until it is switched off.

    powered  False after switch_off()
    arch     of MicroPython: i386, or amd64
    """

    def __init__(self, output: Output, terminal: Terminal | None = None, arch: str = "i386"):
        self.powered = True
        self._arch = arch
        self._output = output
        self._terminal = terminal
        self._child: subprocess.Popen | None = None

    def run(self, command: list[str], home: Path, path: str) -> int:
        """Run until it ends; the exit code, negative for a signal.

        A session of its own keeps the terminal's Ctrl-C for the supervisor. The child asks to be
        killed when this thread ends.
        """
        ours, theirs = pty.openpty() if self._terminal else os.pipe()
        if self._terminal:
            _keyless(theirs)
        child = subprocess.Popen(
            command,
            cwd=home,
            env={**os.environ, "MICROPYPATH": path},
            stdin=theirs if self._terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._child = child
        os.close(theirs)
        if not self.powered:
            child.kill()
        try:
            self._relay(ours)
        finally:
            os.close(ours)
        self._output.flush()
        return child.wait()

    def switch_off(self) -> None:
        """Take the power away for good."""
        self.powered = False
        self.kill()

    def kill(self) -> None:
        """Take the power away from what runs now, if anything does."""
        child = self._child
        if child and child.poll() is None:
            child.kill()

    def _relay(self, ours: int) -> None:
        """Pass bytes on, both ways, until the child's end is closed."""
        typed = [self._terminal.fd] if self._terminal else []
        while True:
            ready, _, _ = select.select([ours, *typed], [], [])
            if ours in ready:
                raw = _read(ours)
                if not raw:
                    return
                self._output.feed(raw)
                if self._terminal:
                    self._terminal.write(raw)
            elif self._terminal:
                self._type(ours, self._terminal.read())

    def _type(self, ours: int, typed: bytes) -> None:
        """Pass on what was typed; Ctrl-C is a signal when the child has ISIG set."""
        while typed:
            plain, ctrl_c, typed = typed.partition(_CTRL_C)
            _write(ours, plain)
            if ctrl_c and not self._interrupted(ours):
                _write(ours, ctrl_c)

    def _interrupted(self, ours: int) -> bool:
        def allowed() -> bool:
            return bool(termios.tcgetattr(ours)[3] & termios.ISIG)

        return allowed() and interrupt(self._child, self._arch, allowed)


def _keyless(theirs: int) -> None:
    """Make it a wire: the kernel kills for no key, not for Ctrl-\\ either. The child sets ISIG
    while Ctrl-C is to interrupt it, and it is this side that reads the flag and interrupts."""
    tty.setraw(theirs)
    settings = termios.tcgetattr(theirs)
    for key in (termios.VINTR, termios.VQUIT, termios.VSUSP):
        settings[6][key] = b"\0"  # _POSIX_VDISABLE
    termios.tcsetattr(theirs, termios.TCSANOW, settings)


def _read(fd: int) -> bytes:
    """Some bytes; none at the end, which a pty announces as an error."""
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""


def _write(fd: int, raw: bytes) -> None:
    while raw:
        raw = raw[os.write(fd, raw) :]
