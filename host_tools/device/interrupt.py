"""Ctrl-C for MicroPython's unix port, at a moment that it survives.

A board's port notes Ctrl-C and raises KeyboardInterrupt between two bytecodes. The unix port's
signal handler jumps out of wherever it is. Out of the garbage collector, the heap stays locked for
good. Out of `opendir`, a finaliser later frees what was never allocated. So the process is stopped
and looked at; the signal is sent when that caught it in a system call that only waits or passes
bytes on. A bare loop makes none: it gets the signal anyway.

source   the kernel's tables of system calls; proc(5), /proc/[pid]/syscall and stat
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE_S = 0.5  # that the process has computed; then it is sent wherever it strikes
_PAUSE_S = 0.0007  # between two looks: not a divisor of what the firmware sleeps
_ARCHES = ("i386", "amd64")
# fmt: off
_HARMLESS = {  # to jump out of: the calls that wait and pass bytes on, and none that allocates
    "restart_syscall":        (0, 219),
    "read":                   (3, 0),
    "write":                  (4, 1),
    "poll":                   (168, 7),
    "ppoll":                  (309, 271),
    "ppoll_time64":           (414, None),
    "select":                 (142, 23),
    "pselect6":               (308, 270),
    "pselect6_time64":        (413, None),
    "sched_yield":            (158, 24),
    "nanosleep":              (162, 35),
    "clock_nanosleep":        (267, 230),
    "clock_nanosleep_time64": (407, None),
    "socketcall":             (102, None),
    "connect":                (362, 42),
    "accept":                 (None, 43),
    "accept4":                (364, 288),
    "sendto":                 (369, 44),
    "recvfrom":               (371, 45),
    "futex":                  (240, 202),
    "futex_time64":           (422, None),
}
# fmt: on
_NUMBERS = {arch: {row[at] for row in _HARMLESS.values()} for at, arch in enumerate(_ARCHES)}


def interrupt(child: subprocess.Popen, arch: str, allowed: Callable[[], bool]) -> bool:
    """Send SIGINT, if that is `allowed` when the moment has come; whether it was.

    Nothing happens to a child that has ended.
    """
    limit = _computed_s(child) + _PATIENCE_S
    while not _stopped_well(child, arch) and _computed_s(child) < limit:
        os.kill(child.pid, signal.SIGCONT)
        time.sleep(_PAUSE_S)
    if child.poll() is not None:
        return True
    wanted = allowed()
    if wanted:
        os.kill(child.pid, signal.SIGINT)
    os.kill(child.pid, signal.SIGCONT)
    return wanted


def _stopped_well(child: subprocess.Popen, arch: str) -> bool:
    """Stop it; whether that was in a system call at which it may be interrupted."""
    if child.poll() is not None:
        return True
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        number = int(Path(f"/proc/{child.pid}/syscall").read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError):
        return False
    return number in _NUMBERS[arch]


def _computed_s(child: subprocess.Popen) -> float:
    """Processor time that it has had, in seconds: on a busy machine the clock says little."""
    try:
        fields = (
            Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
