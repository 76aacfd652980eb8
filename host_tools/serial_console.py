"""A person's terminal on a board's serial port: every key goes through, log lines in colour."""

import os
import re
import select
import sys
import time

import serial

from sluice.errors import SluiceError
from sluice.terminal import console
from sluice.traceback_names import readable

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]

LEAVE = b"\x1d\x18"  # Ctrl-] and Ctrl-x
STYLES = {"E": "bold red", "W": "yellow", "I": "green", "D": "bright_black"}
_CALL = b'  File "'  # how a call begins in a traceback
_BARE = re.compile(rb"(?<!\r)\n")  # a line's end, as a raw terminal needs more
_LONG = 200  # bytes of such a line, at most
_HELD_S = 0.05  # for the bytes that tell whether a line is a log line
_DEAF_S = 3.0  # from a key that nothing answered, to a word about it
_PROMPTS = (b">>> ", b"... ", b"=== ", b">")  # the last of the raw REPL
_RUNNING = re.compile(rb"soft reboot|^[EWID] \d+ ")  # a line of a board that starts, or has
_SOFT_RESET = b"\x03\x02\x04"  # no line half typed, no raw REPL, then Ctrl-D
_ANNOUNCED_S = 5.0  # for a soft reset to be announced
_STOPPED = "The agent is stopped, and takes no job."


class Tint:
    """Colours log lines (`I 1234 tag …`) in a stream of bytes, whatever pieces it comes in, and
    gives the calls of a traceback the names of the source.

    Nothing else is changed, and nothing is kept for long: what may be the beginning of a log line
    is held until the next byte, a call of a traceback until its end, either until `rest`.
    """

    def __init__(self, coloured: bool = True):
        from rich.color import ColorSystem
        from rich.style import Style

        self._codes: dict[bytes, tuple[bytes, bytes]] = {}
        for level, style in STYLES.items() if coloured else ():
            shown = Style.parse(style).render("|", color_system=ColorSystem.STANDARD)
            begin, end = shown.encode().split(b"|")
            self._codes[level.encode()] = begin, end
        self._held = b""  # the first bytes of a line that may be one of the log
        self._fresh = True  # at the beginning of a line
        self._end = b""  # what ends the colour of this line

    def feed(self, raw: bytes) -> bytes:
        """The same bytes, with colour."""
        out = bytearray()
        for number in raw:
            out += self._one(bytes((number,)))
        return bytes(out)

    def rest(self) -> bytes:
        """What was held back; it was no log line."""
        held, self._held = self._held, b""
        if held:
            self._fresh = False
        return held

    def _one(self, char: bytes) -> bytes:
        if char in b"\r\n":
            end, self._end, self._fresh = self._end, b"", True
            return self._line_end(char, end)
        if not self._fresh:
            return char
        self._held += char
        if _CALL.startswith(self._held[: len(_CALL)]):
            return b"" if len(self._held) < _LONG else self.rest()
        if not self._may_be_log():
            return self.rest()
        if len(self._held) < 3:
            return b""
        begin, self._end = self._codes[self._held[:1]]
        return begin + self.rest()

    def _line_end(self, char: bytes, end: bytes) -> bytes:
        """The end of a line: its colour ends first."""
        held, self._held = self._held, b""
        if held.startswith(_CALL):
            held = readable(held.decode(errors="replace")).encode()
        return held + end + char

    def _may_be_log(self) -> bool:
        level, space, digit = self._held[:1], self._held[1:2], self._held[2:3]
        return level in self._codes and space in b" " and (not digit or digit.isdigit())


class LineEnds:
    """Begins each line at the left of a raw terminal, in a stream of bytes, whatever pieces it
    comes in: a board may end a line without the carriage return, in a traceback for example."""

    def __init__(self) -> None:
        self._before = b""  # a carriage return that the last piece ended with

    def feed(self, raw: bytes) -> bytes:
        """The same bytes, with what is missing."""
        whole = _BARE.sub(b"\r\n", self._before + raw)[len(self._before) :]
        if raw:
            self._before = b"\r" if raw.endswith(b"\r") else b""
        return whole


class Prompt:
    """Whether the board is at its prompt, by what it says. Its agent does not run then."""

    def __init__(self) -> None:
        self.shown = False
        self._line = b""  # the beginning of the line that is not ended

    def feed(self, raw: bytes) -> None:
        """Bytes of the board, whatever pieces they come in."""
        *whole, last = (self._line + raw).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            self._look(line)
            if _RUNNING.search(line) and not line.startswith(_PROMPTS):
                self.shown = False
        self._look(last)
        self._line = last[:_LONG]

    def _look(self, line: bytes) -> None:
        if line.startswith(_PROMPTS):
            self.shown = True


class SerialConsole:
    """One session.

    port   pyserial's, open
    name   of the port, for messages
    start  whether to start an agent that is stopped when the person leaves; None: ask
    """

    def __init__(
        self, port: serial.Serial, name: str, plain: bool = False, start: bool | None = None
    ):
        if termios is None:
            raise SluiceError("sluice console needs a POSIX terminal; use mpremote connect")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise SluiceError("sluice console needs a terminal; for scripts: mpremote exec")
        screen = console()
        self._port, self._name = port, name
        self._keys, self._screen = sys.stdin.fileno(), sys.stdout.fileno()
        self._tint = Tint(not plain and screen.color_system is not None and not screen.no_color)
        self._typed_s: float | None = None  # when the first key went unanswered
        self._heard = False
        self._ends, self._prompt, self._start = LineEnds(), Prompt(), start

    def run(self) -> None:
        """Until Ctrl-] or Ctrl-x. SluiceError when the port is lost."""
        try:
            self._talk()
            if self._prompt.shown:
                self._part()
        except (serial.SerialException, OSError) as error:
            raise SluiceError(f"{self._name} is lost: unplugged, or switched off") from error

    def _talk(self) -> None:
        before = termios.tcgetattr(self._keys)
        try:
            tty.setraw(self._keys)
            said = f"{self._name} at {self._port.baudrate}; Ctrl-] or Ctrl-x leaves\r\n"
            self._show(said.encode())  # only now: keys before this are lost
            while self._turn():
                pass
        finally:
            termios.tcsetattr(self._keys, termios.TCSADRAIN, before)
            self._show(self._tint.rest() + b"\r\n")

    def _turn(self) -> bool:
        """Wait for either side and pass on what it has; False to leave."""
        ready, _, _ = select.select([self._keys, self._port.fileno()], [], [], _HELD_S)
        if self._port.fileno() in ready:
            self._heard = True
            raw = self._port.read(self._port.in_waiting or 1)
            self._prompt.feed(raw)
            self._show(self._ends.feed(self._tint.feed(raw)))
        else:
            self._show(self._ends.feed(self._tint.rest()))
        if self._keys in ready and not self._type(os.read(self._keys, 256)):
            return False
        self._mind_silence()
        return True

    def _type(self, keys: bytes) -> bool:
        for key in LEAVE:
            keys, leave, _ = keys.partition(bytes((key,)))
            if leave:
                self._port.write(keys)
                return False
        self._port.write(keys)
        self._typed_s = self._typed_s or time.monotonic()
        return bool(keys)

    def _part(self) -> None:
        """Say that the agent is stopped, and start it if that is wanted."""
        wanted = self._start
        if wanted is None:
            self._show(f"{_STOPPED} Start it? y/N ".encode())
            wanted = self._asked()
        else:
            self._show(f"{_STOPPED}\n".encode())
        if not wanted:
            self._show(b"aws_job.start() at the prompt starts it, and so does a reset.\n")
            return
        self._port.write(_SOFT_RESET)
        self._port.timeout = _ANNOUNCED_S
        if self._port.read_until(b"soft reboot").endswith(b"soft reboot"):
            self._show(b"It starts.\n")
        else:
            self._show(b"The board did not say that it starts: a reset starts it.\n")

    def _asked(self) -> bool:
        """A line of the person's that begins with y."""
        try:
            said = os.read(self._keys, 256)
        except KeyboardInterrupt:  # which has begun a new line
            return False
        if not said.endswith(b"\n"):
            self._show(b"\n")
        return said.strip().lower() in (b"y", b"yes")

    def _mind_silence(self) -> None:
        if self._heard or self._typed_s is None or time.monotonic() < self._typed_s + _DEAF_S:
            return
        self._heard = True  # said once
        self._show(b"[nothing heard: is this the board's port, and has it power?]\r\n")

    def _show(self, raw: bytes) -> None:
        while raw:
            raw = raw[os.write(self._screen, raw) :]
