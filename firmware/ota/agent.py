"""Walks ota.table: the state's coroutine does its work and returns an event.

Each state is a module of ota.states, loaded when it is entered and let go of when it is left, so
that a board which loads its code into the heap holds one state's at a time. The agent is what
they share. It knows nothing of any cloud, transport or board; it is handed them.
"""

import gc
import sys

from ota.errors import Fail, OTAError
from ota.job import Job
from ota.loading import let_go, plug_in, unused
from ota.log import Log, show

log = Log("agent")


class Agent:
    """What the states work with.

    slots     running, inactive, plain, target, size, version, trial, check, activate, hide and
              confirm
    journal   ota.journal.Journal
    dialect   see ota.plugins
    reach     `await reach(start, deadline_ms)`: linked, and `start` done
    source    (file, block) → see ota.plugins
    clock     ticks_ms, ticks_diff, ticks_add, sleep_ms
    settings  block, poll_s, trial_s, report_s, signers and the allow_… of config.json
    load      path → bytes, for the signers' certificates
    healthy   `await healthy()`: the application's verdict on a new image
    reset     resets the board; does not return
    buffer    bytearray, a sector, that images are gathered in
    link      the session, for operations that publish
    """

    powered = False  # the power led to this start: what it cut off did not reset the board

    def __init__(
        self,
        slots,
        journal,
        dialect,
        reach,
        source,
        clock,
        settings,
        load,
        healthy,
        reset,
        buffer,
        link=None,
    ):
        self.slots = slots
        self.journal = journal
        self.dialect = dialect
        self.reach = reach
        self.source = source
        self.clock = clock
        self.settings = settings
        self.load = load
        self.healthy = healthy
        self.reset = reset
        self.buffer = buffer
        self.link = link
        self.job = None  # the job at hand
        self.update = None  # ota.update.Update, while the job brings an image
        self.state = "BOOTING"
        self.counted = None  # the execution that these two counts are of: id, number, stamp
        self.starved = 0  # times the heap was full in this job
        self.worn = False  # the heap is, by an earlier job or checkpoint since the reset
        self.vain = 0  # attempts at it in a row that brought nothing
        self.used = ()  # names of the modules that stay
        self.begun = False  # since the reset an operation was begun, and noted as such
        self.chore = None  # awaited between jobs, when `seen` is not the journal's last record
        self.seen = None

    async def run(self):
        """Walk the table for ever; returns once the board was reset, where `reset` returns."""
        self.used = tuple(sys.modules)
        while self.state:
            event = await self.step()
            log.i(self.state, event)
            self.state = plug_in("ota.table", "follow")(self.state, event)
            let_go("ota.table")

    async def step(self):
        """Do the work of the state; returns the event. Errors are events."""
        path = "ota.states." + self.state.lower()
        try:
            return await plug_in(path, self.state.lower())(self)
        except Exception as error:
            if isinstance(error, MemoryError):
                self.starved += 1
                self.update = None  # first of all: to go on takes room
                unused(self.used)
            event = plug_in("ota.table", "meaning")(self.state, error, self.starved, self.worn)
            if event is None:
                raise
            log.w(self.state, type(error).__name__, error)
            fault = error
            if not isinstance(error, OTAError):
                show(error)
                fault = Fail("internal error: " + repr(error))
            if event in ("failed", "gone"):
                self.drop()
            if event == "gone":
                self.starved = self.vain = 0  # the next job begins anew
            if event == "starved":
                await self.hold()
            if event == "failed":
                self.journal.owe("failed", str(fault), self.job)
            return event
        finally:
            let_go(path)

    def drop(self):
        """Let go of the update, and of the code it needed."""
        self.update = None
        let_go("ota.update", "ota.image", "ota.target")

    def owed(self):
        """The job that the journal is about."""
        journal = self.journal
        job = Job(journal["job"], journal["number"], stamp=journal["stamp"])
        if not self.job or not self.job.same(job):
            self.job = self.dialect.pending(job)
        return self.job

    def info(self):
        """What a dialect may tell of, whatever its words for it are."""
        received, total = self.update.blocks() if self.update else (0, 0)
        return {
            "reason": self.journal["reason"] or "",
            "running": self.journal["version"] or self.slots.version,
            "received": received,
            "total": total,
            "free": gc.mem_free(),
        }

    def succeed(self):
        """The image that runs is confirmed: that is owed to the cloud."""
        self.journal.owe("succeeded", "accepted v" + (self.slots.version or "unknown"))

    async def pause(self):
        """Let the others run."""
        await self.clock.sleep_ms(0)

    hold = pause  # before a reset that was ordered, until the application lets it be
