"""The serial console: MicroPython's friendly and raw REPL, raw paste mode included.

The unix port of 1.25 has no raw REPL, which mpremote needs. Loaded when main has ended: what it
costs is not there for main, as on a chip, where all this is C.
"""

import select
import sys
import time

import sim_chip as chip
import sim_tty as tty

_TICK_MS = 50
_WINDOW = 128  # bytes of raw paste that may be sent ahead
_RAW_BANNER = "raw REPL; CTRL-B to exit\r\n>"


def serve(raw):
    """Read and run until a soft reset; its exit code."""
    while True:
        tty.cooked = not raw
        tty.set_mode(False, tty.cooked)
        code = _raw() if raw else _friendly()
        if code:
            return code
        raw = not raw


def _put(text):
    sys.stdout.buffer.write(text)


def _tick():
    """Wait for a key, and have the timers tick meanwhile."""
    keys = select.poll()
    keys.register(0, 1)
    while not keys.poll(_TICK_MS):
        for row in list(chip.timers.values()):
            if time.ticks_diff(time.ticks_ms(), row[1]) >= 0:
                row[1] = time.ticks_add(time.ticks_ms(), row[0])
                row[2]()


def _get():
    if chip.timers:
        _tick()
    char = sys.stdin.buffer.read(1)
    if not char:
        chip.leave(0)  # the terminal is gone
    return char[0]


def _execute(source, kind, file="<stdin>"):
    """Run it with Ctrl-C alive; the exception that ended it, or None."""
    ended = None
    try:
        sys.modules["micropython"].kbd_intr(3)
        exec(compile(bytes(source), file, kind), __import__("__main__").__dict__)
    except BaseException as error:
        ended = error
    tty.deaf()
    if isinstance(ended, SystemExit):
        _put(b"\nMPY: soft reboot\n" if tty.cooked else b"\r\nMPY: soft reboot\r\n")
        chip.leave(chip.SOFT_RESET if tty.cooked else chip.SOFT_RESET_RAW)
    return ended


def _show(error):
    """Its traceback, without this file's frame."""
    import io

    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().split("\n")[:-1]:
        if "sim_repl" not in line:
            print(line)


def _raw():
    """The raw REPL; 0 for Ctrl-B, or an exit code."""
    _put(_RAW_BANNER.encode())
    source = bytearray()
    while True:
        char = _get()
        if char == 1:
            source = bytearray()
            _put(_RAW_BANNER.encode())
        elif char == 2:
            _put(b"\r\n")
            return 0
        elif char == 3:
            source = bytearray()
        elif char == 5 and not source:
            pasted = _paste()
            if pasted is not None:
                _answer(pasted)
        elif char == 4:
            _put(b"OK")
            if not source:
                _put(b"\r\nMPY: soft reboot\r\n")
                return chip.SOFT_RESET_RAW
            _answer(source)
            source = bytearray()
        else:
            source.append(char)


def _answer(source):
    """Run what came; output, 04, traceback, 04, prompt."""
    error = _execute(source, "exec")
    source = None
    _put(b"\x04")
    if error is not None:
        _show(error)
    _put(b"\x04>")


def _paste():
    """Raw paste with its flow control; the source, or None when it was not asked for."""
    if _get() != 0x41 or _get() != 1:
        _put(b"R\x00")
        return None
    _put(b"R\x01" + bytes((_WINDOW, 0)) + b"\x01")
    source = bytearray()
    taken = 0
    while True:
        char = _get()
        if char == 3:
            _put(b"\x04")
            return b""
        if char == 4:
            _put(b"\x04")
            return source
        source.append(char)
        taken += 1
        if taken == _WINDOW:
            taken = 0
            _put(b"\x01")


def _friendly():
    """The prompt for people; 0 for Ctrl-A, or an exit code."""
    _put(b"MicroPython on a simulated %s; Ctrl-D for a soft reset\n" % chip.words[6].upper())
    while True:
        lines = []
        while True:
            line = _line(b"... " if lines else b">>> ")
            if isinstance(line, int):
                break
            lines.append(line)
            if not _unfinished(lines):
                break
        if line == 1:
            _put(b"\n")
            return 0
        if line == 4:
            _put(b"\nMPY: soft reboot\n")
            return chip.SOFT_RESET
        if isinstance(line, int) or not "".join(lines).strip():
            continue
        error = _execute("\n".join(lines).encode(), "single")
        if error is not None:
            _show(error)


def _unfinished(lines):
    """Whether a statement goes on: a block until its empty line, an open bracket until closed."""
    text = "\n".join(lines)
    opened = sum(text.count(char) for char in "([{") - sum(text.count(char) for char in ")]}")
    if opened > 0:
        return True
    block = len(lines) > 1 or lines[0].rstrip().endswith(":") or lines[0].startswith("@")
    return block and lines[-1].strip() != ""


def _line(prompt):
    """One line with echo and backspace; 1, 2, 3 or 4 when that control key ends it."""
    _put(prompt)
    line = bytearray()
    while True:
        char = _get()
        if char == 13 or char == 10:
            _put(b"\n")
            return bytes(line).decode()
        if char in (1, 2) or (char == 4 and not line):
            return char
        if char == 3:
            _put(b"\n")
            return char
        if char in (8, 127) and line:
            line = line[:-1]
            _put(b"\x08 \x08")
        elif char >= 32 or char == 9:
            line.append(char)
            _put(bytes((char,)))
