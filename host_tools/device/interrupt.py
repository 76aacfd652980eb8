"""Ctrl-C for MicroPython's unix port, at a moment that it survives.

A board's port notes Ctrl-C and raises KeyboardInterrupt between two bytecodes. The unix port's
signal handler jumps out of wherever it is: out of the garbage collector, and the heap stays locked
for good. So the process is stopped and looked at; the signal is sent when that caught it in a
system call that has nothing to do with memory. A bare loop makes none: it gets the signal anyway.

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
_MEMORY = {  # brk, mmap, mmap2, mprotect, munmap, mremap, madvise
    "i386": {45, 90, 91, 125, 163, 192, 219},
    "amd64": {9, 10, 11, 12, 25, 28},
}


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
    return number >= 0 and number not in _MEMORY[arch]


def _computed_s(child: subprocess.Popen) -> float:
    """Processor time that it has had, in seconds: on a busy machine the clock says little."""
    try:
        fields = (
            Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
