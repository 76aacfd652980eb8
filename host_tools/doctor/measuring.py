"""The probes of `sluice doctor` that measure; they are sent after those of on_board.py.

Each returns literals, never a secret. Each may raise; the rest of the report does not mind.
"""

import gc
import os
import time

SECTOR = 4096
SPARE = 65536  # bytes that stay free on the file system while it is measured
FILE = "/doctor.tmp"
ROUNDS = 2  # of the wear that a measurement costs


def heap():
    """Bytes, at the raw REPL after a soft reset, beside what the probes take."""
    gc.collect()
    free = gc.mem_free()
    low, high = 0, free
    while high - low > 64:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
        gc.collect()
    return {"free": free, "used": gc.mem_alloc(), "largest": low}


def wifi(settings):
    """Joined if it was not; {} on a board that is wired."""
    import asyncio

    import board
    from sluice.net.clock import Clock

    station = board.wifi(settings["wifi"], Clock(board))
    if not station:
        return {}
    begin = time.ticks_ms()
    asyncio.run(station.join())
    seen = {"join_ms": time.ticks_diff(time.ticks_ms(), begin)}
    seen["address"] = station.station.ifconfig()[0]
    seen["rssi"] = station.station.status("rssi")
    return seen


def clock():
    """Seconds since 1970, and whether the firmware believes them."""
    import board
    from sluice.net.clock import Clock

    now = Clock(board, "/clock")
    return {"now_s": now.now_s(), "plausible": now.plausible()}


def handshake(settings, deadline_s):
    """Milliseconds of each step to the endpoint's certificate; no MQTT is spoken."""
    import socket

    from sluice.net.connect import of_files

    made = of_files(*settings["files"])
    gc.collect()
    times = [time.ticks_ms()]
    where = socket.getaddrinfo(settings["endpoint"], settings["port"])[0][-1]
    times.append(time.ticks_ms())
    sock = socket.socket()
    try:
        sock.settimeout(deadline_s)
        sock.connect(where)
        times.append(time.ticks_ms())
        made.wrap_socket(sock, server_hostname=settings["endpoint"])
        times.append(time.ticks_ms())
    finally:
        sock.close()
    steps = [time.ticks_diff(b, a) for a, b in zip(times, times[1:])]
    return {"resolve_ms": steps[0], "tcp_ms": steps[1], "tls_ms": steps[2]}


def signature(x, y, digest, signed):
    """Milliseconds for one P-256 signature, and whether it was found good."""
    from sluice.trust.p256 import steps

    gc.collect()
    begin, verdict = time.ticks_ms(), None
    for verdict in steps(x, y, digest, signed):
        pass
    return {"verify_ms": time.ticks_diff(time.ticks_ms(), begin), "good": verdict is True}


def file_speed(room, free):
    """Microseconds to write 16 KiB to the file system and close the file."""
    if free < SPARE:
        return {}
    begin = time.ticks_us()
    try:
        with open(FILE, "wb") as file:
            for _ in range(4):
                file.write(room)
        return {"bytes": 4 * SECTOR, "write_us": time.ticks_diff(time.ticks_us(), begin)}
    finally:
        os.remove(FILE)


def flash_speed(room):
    """Microseconds to erase, program and read the last sector of the slot that does not run."""
    import board

    here = board.slots()
    number = here.size // SECTOR - 1
    for at in range(SECTOR):
        room[at] = at & 0xFF  # not 0xFF all over, which is quick to program
    erase = program = read = 0
    for _ in range(ROUNDS):
        begin = time.ticks_us()
        here.plain.ioctl(6, number)
        erased = time.ticks_us()
        here.plain.writeblocks(number, room, 0)
        programmed = time.ticks_us()
        here.plain.readblocks(number, room)
        erase += time.ticks_diff(erased, begin)
        program += time.ticks_diff(programmed, erased)
        read += time.ticks_diff(time.ticks_us(), programmed)
    here.plain.ioctl(6, number)
    return {"erase_us": erase // ROUNDS, "write_us": program // ROUNDS, "read_us": read // ROUNDS}
