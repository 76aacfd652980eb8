"""Starts the board, and guards what it starts: it imports nothing of ours outside of that guard.

This one file is the `main` that a build has frozen in, and /main.py of any other board. On trial,
whatever fails ends in a reset, through which the boot loader takes back the image, and trees.py
the tree. What hangs is left to the watchdog. Off trial a reset follows a pause that grows.

/starts keeps two digits: starts in a row that came to nothing, and how many of them ended by an
exception before the agent first waited for jobs. A start counts when a watchdog, software or a
soft reset led to it. A power-on and a wake from deep sleep do not count.
"""

# Before the code that will surround it: a whole sector, and the four bytes that may follow a
# block, may not be free in one piece later.
buffer = bytearray(4100)

import os
import sys
from time import sleep_ms

import machine

_TRIAL_MS = 300_000  # for a trial, until its configuration says more

counts = [0, 0]
run = None
trial = True  # until otadata says otherwise


def on_trial():
    """True when a reset takes back the image that runs, and when that cannot be told.

    A record of otadata is pending then, as the boot loader has ended any earlier trial. It may
    have passed over the image of that record, which is damaged: then this is True for one start.
    source   ESP-IDF: esp_flash_partitions.h
    """
    try:
        from esp32 import Partition
    except ImportError:  # a chip whose boot loader takes nothing back
        return False
    try:
        record = bytearray(32)
        for table in Partition.find(1, 0):
            for sector in (0, 1):
                table.readblocks(sector, record, 0)
                if record[24:28] == b"\x01\0\0\0":  # ESP_OTA_IMG_PENDING_VERIFY
                    return True
    except Exception:
        return True
    return False


def note(starts, failures):
    """Keep other counts. A file system that takes nothing does not stop a start."""
    new = min(starts, 9), min(failures, 9)
    if tuple(counts) == new:
        return
    try:
        with open("/starts", "wb") as file:
            file.write(b"%d%d" % new)
    except OSError:
        pass
    counts[:] = new


def count():
    """Count this start, if it counts."""
    try:
        os.remove("/.mend")  # never there; LittleFS mends its folders after a cut, then looks
    except OSError:
        pass
    try:
        with open("/starts", "rb") as file:
            text = file.read(2)
        if len(text) == 2 and text.isdigit():
            counts[:] = divmod(int(text), 10)
    except OSError:  # not there yet
        pass
    if machine.reset_cause() in (machine.WDT_RESET, machine.HARD_RESET, machine.SOFT_RESET):
        note(counts[0] + 1, counts[1])


def start():
    """Run the agent and the application. Ends by what it raises."""
    global run, trial
    trial = on_trial()
    if trial:
        machine.WDT(timeout=_TRIAL_MS)
    count()
    if "" in sys.path:  # the root comes last: after what is frozen, and after /lib
        sys.path.append(sys.path.pop(sys.path.index("")))
    tried, runs = __import__("trees").choose(buffer, trial, counts[0])
    sys.modules.pop("trees")  # nothing of it is needed where it found no tree
    if tried:
        trial = True
        machine.WDT(timeout=_TRIAL_MS)
    from sluice import run as code

    run = code
    run.run(buffer, counts, note, runs, tried)
    raise RuntimeError("the agent returned")


def again():
    """Reset the board, after a pause in which Ctrl-C reaches the prompt. Where the heap is full to
    the last byte there is no pause."""
    pause_s = 10 if trial else 900 if counts[0] > 5 else 10 << counts[0]
    try:
        print("The board starts again in", pause_s, "s. Ctrl-C is for the prompt.")
        for _ in range(pause_s):
            sleep_ms(1_000)
            if not trial and run and run.watchdog:
                run.watchdog.feed()
        import board

        board.reset()
    except (Exception, SystemExit):
        machine.reset()


def guard():
    """Start, and do what is due about what ends that. A function, because a variable of a module
    may take heap, and there may be none left."""
    try:
        start()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and asyncio's CancelledError are no Exception
        kind = type(error).__name__
        if not (isinstance(error, Exception) or kind in ("SystemExit", "CancelledError")):
            raise  # nothing that code of ours or of the application's ends by
        if kind == "SystemExit" and not trial:
            raise  # the application's own soft reset
        sys.modules.pop("app", None)  # it may hold all of the heap
        try:
            run.failed(error, counts, note)
        except Exception:  # there is no `run`, or the heap is full still
            if run and kind != "MemoryError":
                print(kind)  # what it says may be anybody's words, and to escape them takes room
            else:
                sys.print_exception(error)
        again()


try:
    guard()
except KeyboardInterrupt:  # someone is at the prompt
    try:
        if run and run.watchdog and not trial:
            run.rest()
        note(0, 0)
    finally:
        from sluice.console import prompt  # noqa: F401

    raise
