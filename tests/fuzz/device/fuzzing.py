"""Runs inputs through one parser on MicroPython: `fuzzing.py PARSER FILE`; a line for each.

The file holds inputs, each behind its length in four bytes. A line is `MARK BYTES MS VERDICT`. The
mark is "+" for an input that was taken, "-" for one that was refused as it may be, "!" for what
must not be. BYTES were allocated on the way, garbage included; MS are of the processor's time.
"""

import gc
import sys
import time

from sluice import loading, log


def stay(used=()):
    """In place of `forget`: what is loaded stays, as 100,000 inputs would load it anew."""


loading.forget = stay
log.to(lambda line: None)


def main(name, path):
    import parsers

    with open(path, "rb") as file:  # first: some mount a file system of their own
        judge, allowed, *again = getattr(parsers, name)()
        full = (gc.mem_alloc() + gc.mem_free()) // 2  # half of the heap is an input's
        while True:
            size = file.read(4)
            if not size:
                return
            data = bytearray(file.read(int.from_bytes(size, "big")))
            print(*one(judge, allowed, again, data, full))


def one(judge, allowed, again, data, full):
    """(mark, bytes, ms, verdict) of an input; `again` is not measured."""
    before = gc.mem_alloc()  # looks at each block of the heap, so it is asked as seldom as can be
    if before > full:
        gc.collect()
        before = gc.mem_alloc()
    begun = time.clock()
    used = 0
    try:
        try:
            mark, said = "+", judge(data)
        except allowed as error:
            mark, said = "-", type(error).__name__
        used = gc.mem_alloc() - before
        for other in again:
            other(data, said)
    except Exception as error:
        mark, said = "!", repr(error)[:200].replace("\n", " ")
    ms = int((time.clock() - begun) * 1000)
    return mark, used or gc.mem_alloc() - before, ms, said


main(*sys.argv[1:])
