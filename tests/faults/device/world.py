"""A board and its cloud in one process, in a time of their own: the firmware from main.py on.

Doubled are the chip, the transport, and the clock, which moves only when somebody waits. What is
to go wrong, and when, is said by number: of an await, of a read or a write of a socket, of a
request, of an operation of flash. A run without faults counts them.
"""

import asyncio
import gc
import io
import json
import os
import sys
import time as real_time

import chip as chips
import cloud as clouds
import medium
import signer_samples

# packages and modules that a reset forgets
FIRMWARE = ("main", "sluice", "app", "umqtt")
_PROMPT = "sluice.console.prompt"
BOOTS = 16  # after so many the board is in a loop
HOURS_MS = 8 * 3_600_000  # after so long without a verdict the board stands
AWAITS = 60_000  # in one start; after so many it runs in a circle
TENDING_MS = 1_000  # what looks after the watchdog waits so long; its awaits are not the agent's
EPOCH_S = 1_790_000_000

current = None  # the world that runs; sluice.net.connect's double asks for it


class Reset(BaseException):
    """The board resets."""


class Stands(BaseException):
    """Nothing more will happen, or nothing but the same."""


class Settled(BaseException):
    """All jobs have ended, and the board waits for more."""


class Time:
    """In the place of the module `time`: ticks that only pass when somebody waits.

    Its functions are attributes and no methods, which `from time import` does not take.
    """

    def __init__(self):
        self.begin()
        self.ticks_ms = lambda: self.now
        self.ticks_add = lambda ticks, delta: ticks + delta
        self.ticks_diff = lambda end, start: end - start
        self.time = lambda: EPOCH_S + (self.now - self.start) // 1_000
        self.gmtime = real_time.gmtime

        def sleep_ms(ms):
            if not (current and current.halted):
                self.now += ms

        self.sleep_ms, self.sleep = sleep_ms, lambda seconds: sleep_ms(seconds * 1_000)

    def begin(self):
        """Far ahead of the real ticks, which asyncio's queue in C marks new tasks with."""
        self.now = self.start = real_time.ticks_ms() + 1_000_000


class Collector:
    """In the place of the module `gc`: to collect at every module that comes or goes would take
    most of the time. The interpreter collects when its heap is full."""

    def __init__(self, real):
        self.mem_free, self.mem_alloc, self.real = real.mem_free, real.mem_alloc, real
        self.enable, self.disable, self.isenabled = real.enable, real.disable, real.isenabled
        self.collecting(False)

    def collecting(self, really):
        """Whether it does; where memory is what is looked at, it must."""
        self.collect = self.real.collect if really else lambda: 0
        self.threshold = self.real.threshold if really else lambda *amount: -1


clock = Time()
sys.modules["time"] = clock
collector = sys.modules["gc"] = Collector(gc)


class Socket(io.IOBase):
    """A connection. What comes later is kept with its time; `ended` once the peer has closed."""

    def __init__(self, world, peer):
        self.world, self.peer = world, peer
        self.incoming, self.out = [], b""
        self.ended = self.closed = False
        self.deaf = False  # whatever is said, nothing comes and nothing arrives

    def bring(self, data, after_ms=0):
        self.incoming.append((clock.now + after_ms, data))

    def readinto(self, buf):
        self.world.at("reads", self)
        if self.deaf:
            return None
        for place, (when, data) in enumerate(self.incoming):
            if when <= clock.now:
                size = min(len(buf), len(data))
                buf[:size] = data[:size]
                if size == len(data):
                    self.incoming.pop(place)
                else:
                    self.incoming[place] = (when, data[size:])
                return size
        return 0 if self.ended else None

    def write(self, data):
        self.world.at("writes", self)
        if self.deaf:
            return len(data)
        if self.ended:
            raise OSError(104)
        self.out += bytes(data)
        self.peer(self)
        return len(data)

    def close(self):
        self.closed = True

    def ioctl(self, request, argument):
        return 1 if request == 3 else 0


class Machine:
    """In the place of the module `machine`."""

    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

    def __init__(self, world):
        self.reset_cause = lambda: self.HARD_RESET if world.boots > 1 else self.PWRON_RESET
        self.reset = lambda: world.finish(Reset())
        self.WDT = lambda id=0, timeout=5_000: self
        self.feed = lambda: None


class ESP32:
    """In the place of the module `esp32`."""

    def __init__(self, chip):
        self.Partition = chips.partition_class(chip)


class Board:
    """In the place of the module `board`."""

    NAME = "FAULTS"

    def __init__(self, world):
        self._world = world
        self.set_time = lambda unix_s: None

    def slots(self):
        from sluice.slots.esp32 import Slots

        return Slots(chips.partition_class(self._world.chip))

    def wifi(self, settings, clock):
        return None

    def watchdog(self, timeout_ms):
        return None

    def reset(self):
        self._world.finish(Reset())


class World:
    """One board with one cloud.

    config   members of config.json that differ
    files    {name: bytes} that the cloud has
    faults   {"awaits" | "reads" | "writes" | "connects": [(number, function)]}: called then,
             with the socket or None
    """

    def __init__(self, config, files, blocks=40):
        global current
        current = self
        clock.begin()
        self.counts, self.faults = {}, {}
        self.boots, self.lines, self.ends = 0, [], []
        self.cloud = clouds.Cloud(clock, files, config.get("block", 4096))
        settings = {
            "thing": clouds.THING, "endpoint": "broker", "ca": "/ca", "certificate": "/cert",
            "private_key": "/key", "signers": ["/signer.crt"], "report_version": "", "ntp": [],
            "report_s": 1, "wifi": {}, "download_hosts": ["http://files"],
        }  # fmt: skip
        settings.update(config)
        self.settings = settings
        stock = {
            "config.json": json.dumps(settings).encode(), "ca": b"ca", "cert": b"c", "key": b"k",
            "signer.crt": signer_samples.FIRST_CERTIFICATE,
        }  # fmt: skip
        self.chip = chips.Chip(stock, blocks)
        self.made = self.chip.disk.operations  # of its file system, before the first start
        self.ballast = []

    def at(self, kind, socket=None):
        """One more of that kind; its fault, if it is due."""
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        for number, fault in self.faults.get(kind, ()):
            if number == count:
                fault(socket)

    def awaited(self):
        """Somebody waits. Stands when that never ends."""
        self.awaits += 1
        if self.awaits > AWAITS:
            self.finish(Stands("more than %d awaits in one start" % AWAITS))
        self.tended()
        self.at("awaits")

    def tended(self):
        """A second has passed."""
        if clock.now - clock.start > HOURS_MS:
            self.finish(Stands("no verdict in eight hours"))

    def finish(self, ending):
        """This start is over. What still runs, as main.py catches everything, changes nothing."""
        if not self.halted:
            self.halted, self.ending = True, ending
            self.chip.halted = self.chip.disk.halted = True
        raise self.ending

    def fill(self, left):
        """Leave so many blocks of the file system free."""
        with self.chip.board:
            medium.fill()
            for number in range(left):
                os.remove("/filler.%d" % number)

    def load(self, begin, end, left):
        """Between these two awaits the heap is full but for so many bytes."""

        def take(socket):
            gc.collect()
            spare = bytearray(left)
            for size in (65_536, 8_192, 1_024, 128):
                try:
                    while True:
                        self.ballast.append(bytearray(size))
                except MemoryError:
                    pass
            del spare

        def give(socket):
            self.ballast = []

        self.faults["awaits"] = [(begin, take), (end, give)]

    def connect(self, server, port):
        """A connection of the device's, to its broker or to a file server."""
        self.at("connects")
        if server == "broker":
            socket = Socket(self, self._packets)
            self.cloud.connected(socket)
        else:
            http = clouds.HTTP(self.cloud)
            socket = Socket(self, lambda one: self._requests(http, one))
        return socket

    def _packets(self, socket):
        """Hand whole packets to the cloud."""
        while len(socket.out) > 1:
            size, shift, at = 0, 0, 1
            while True:
                byte = socket.out[at]
                size |= (byte & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if not byte & 0x80:
                    break
            kind, body = socket.out[0], socket.out[at : at + size]
            socket.out = socket.out[at + size :]
            self.cloud.take(socket, kind, body)

    def _requests(self, http, socket):
        head, found, rest = socket.out.partition(b"\r\n\r\n")
        if found:
            socket.out = rest
            http.take(socket, head)

    # -- its life --------------------------------------------------------------------------------

    def run(self):
        """From power-on until all jobs have ended and the board waits; "" or what was wrong."""
        while True:
            self.boots += 1
            if self.boots > BOOTS:
                return "resets for ever: " + " / ".join(self.ends[-2:])
            self.halted, self.ending = False, None
            self.chip.halted = self.chip.disk.halted = False
            try:
                with self.chip.board:
                    self._boot()
                fault = "nothing"
            except BaseException as error:
                fault = repr(error)
            finally:
                self._off()
            if isinstance(self.ending, Settled):
                return ""
            if not isinstance(self.ending, Reset):
                return "stands: %s" % (self.ending or "at its prompt after " + fault)
            self.ends.append("reset")

    def _boot(self):
        self.chip.boot()
        self.awaits = 0
        self.cloud.hang_up()
        for name in list(sys.modules):
            if name.split(".")[0] in FIRMWARE:
                del sys.modules[name]
        asyncio.new_event_loop()
        asyncio.core.cur_task = None
        sys.modules["board"], sys.modules["machine"] = Board(self), Machine(self)
        sys.modules["esp32"] = ESP32(self.chip)
        sys.modules[_PROMPT] = self
        log = __import__("sluice.log", None, None, ("to",))
        log.to(self.say)
        gc.collect()
        __import__("main")

    def _off(self):
        self.ballast = []
        for name in ("board", "machine", "esp32"):
            sys.modules.pop(name, None)
        sys.modules.pop(_PROMPT, None)

    halted = False  # reset, and what still runs is not to be
    ending = None  # why
    shows = False  # prints what the board says
    dying = False  # its medium takes nothing back: all or nothing of a job's files cannot be had

    def say(self, line):
        if self.shows:
            print("%d %5d s" % (self.boots, (clock.now - clock.start) // 1_000), line)
        self.lines.append(line)
        if len(self.lines) > 60:
            self.lines.pop(0)

    # -- waiting ---------------------------------------------------------------------------------

    def wait(self, ms):
        """Nobody has anything to do for so long."""
        if ms < 0:
            self.finish(Stands("nobody waits for anything"))
        clock.now += ms

    def idle(self):
        """Whether all is done: every job has ended and the agent waits for another."""
        return self.cloud.next() is None and "agent idle" in " ".join(self.lines[-3:])


_sleep_ms = asyncio.core.sleep_ms


def sleep_ms(ms):
    """asyncio's, counted; a settled board is left as soon as it waits long."""
    if ms == TENDING_MS:
        current.tended()
        return _sleep_ms(ms)
    current.awaited()
    if ms > 20 and current.idle():
        current.finish(Settled())
    return _sleep_ms(ms)


asyncio.sleep_ms = sleep_ms
asyncio.core.ticks = clock.ticks_ms
asyncio.core.ticks_add = clock.ticks_add
asyncio.core.ticks_diff = clock.ticks_diff
asyncio.core.IOQueue.wait_io_event = lambda self, ms: current.wait(ms)
