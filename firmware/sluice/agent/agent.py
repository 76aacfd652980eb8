"""Walks sluice.agent.table: the state's coroutine does its work and returns an event.

The table says which module of states/ has the coroutine; it is loaded when the state is entered.
When the state is left, the agent forgets all modules that it loaded meanwhile. So a board that
loads its code into the heap holds one such module at a time. The agent is what they share. It
knows nothing of any cloud, transport or board; it is handed them.
"""

import gc
import sys

from sluice.errors import Fail, OTAError
from sluice.job import Job
from sluice.loading import Scope, forget, keep, plug_in
from sluice.log import Log, show

_AGAIN = 2  # times in a job that the heap was full; from then on a reset is to help
_LAST = 4

log = Log("agent")


class Work:
    """What the agent knows of one execution, however often that is handed out; made anew for each.

    job          the sluice.job.Job at hand; None between jobs
    execution    its id, number and stamp
    update       sluice.transfer.update.Update, while the job brings an image
    trees        {kind: entry} of the trees that are to be tried: see sluice.slots.tree_record
    fruitless    attempts at it in a row that brought nothing
    begun        since the reset its operation was begun, and noted as such
    """

    def __init__(self, job):
        self.job = job
        self.execution = job.id, job.number, job.stamp
        self.update = self.trees = None
        self.fruitless = 0
        self.begun = False


class Heap:
    """The one heap of this start, and what follows when it is full.

    That is a hiccup at first, where the state has a row for one. The second time in a job a reset
    gives a new heap, if what the agent did since the last one has worn this: so the resets are
    counted by jobs and checkpoints. The fourth time the job fails; without a job to fail, it is
    the reset.

    worn     by an earlier job, by a checkpoint, or by what an operation brought: a reset gives a
             new one, and nothing is lost
    """

    def __init__(self):
        self.worn = False
        self._times = 0  # that it was full in the job at hand

    def verdict(self, rows):
        """It was full, once more: "lost", "starved" or "failed"; None where that has no row.

        rows     of sluice.agent.table.TRANSITIONS, for the state in which it was
        """
        self._times += 1
        failed = "failed" if "failed" in rows else None
        if "lost" not in rows:
            return failed
        if self.worn and self._times >= _AGAIN or self._times >= _LAST and not failed:
            return "starved"
        return "lost" if self._times < _LAST else failed

    def hopeless(self):
        """Whether the next time is the last one, and no reset is to come that could help."""
        return self._times >= _LAST - 1 and not self.worn

    def begin_job(self):
        """What was before does not count for the job that comes."""
        self._times = 0


class Agent:
    """What the states work with.

    slots     running, inactive, plain, target, size, version, trial, check, activate, hide and
              confirm
    trees     sluice.slots.tree.Trees
    journal   sluice.journal.Journal
    dialect   see sluice.plugins
    reach     `await reach(start, deadline_ms, idle)`: see sluice.run.Reach
    source    (file, block) → see sluice.plugins
    clock     ticks_ms, ticks_diff, ticks_add, sleep_ms
    settings  block, poll_s, trial_s, report_s, signers and the allow_… of config.json
    load      path → bytes, for the signers' certificates
    application  see sluice.run.Application
    reset     resets the board; does not return
    buffer    bytearray, a sector and four bytes, that images are gathered in
    starts    powered: the power led to this start; held(smooth): it came to something
    link      the session, for operations that publish
    """

    def __init__(
        self,
        slots,
        trees,
        journal,
        dialect,
        reach,
        source,
        clock,
        settings,
        load,
        application,
        reset,
        buffer,
        starts,
        link,
    ):
        self.slots = slots
        self.trees = trees
        self.journal = journal
        self.dialect = dialect
        self.reach = reach
        self.source = source
        self.clock = clock
        self.settings = settings
        self.load = load
        self.application = application
        self.reset = reset
        self.buffer = buffer
        self.starts = starts
        self.link = link
        self.state = "BOOTING"
        self.heap = Heap()
        self.work = None  # of the last job that was at hand

    async def run(self):
        """Walk the table for ever; returns once the board was reset, where `reset` returns."""
        keep(sys.modules)
        while self.state:
            await self.step()

    async def step(self):
        """Do the work of the state, turn to the next one, and forget what only this one needed."""
        name = self.state.lower()
        try:
            try:
                await self.pause()  # what the state before did just before its end was work, too
                with Scope():  # the table is not to lie in the heap while the state works
                    module = plug_in("sluice.agent.table", "MODULES")[self.state]
                event = await plug_in("sluice.agent.states." + module, name)(self)
            except Exception as error:
                event = await self._meaning(error)
            log.i(self.state, event)
            self.state = plug_in("sluice.agent.table", "follow")(self.state, event)
        finally:
            forget()

    async def _meaning(self, error):
        """The event that an error is, and what it entails. Raises an error that is none."""
        if isinstance(error, MemoryError):
            self.drop()  # first of all: to go on takes room
            forget()
        event = plug_in("sluice.agent.table", "meaning")(self.state, error, self.heap)
        if event is None:
            raise error
        log.w(self.state, type(error).__name__, error)
        fault = error
        if not isinstance(error, OTAError):
            show(error)
            fault = Fail("internal error: " + repr(error))
        if event in ("failed", "gone"):
            self.drop()
        if event == "gone":
            self.forgive()
        if event == "starved":
            await self.application.hold()
        if event == "failed":
            self.journal.owe("failed", str(fault), self.job)
        return event

    @property
    def job(self):
        """The job at hand; None between jobs."""
        return self.work.job if self.work else None

    def take(self, job):
        """A job is at hand. What went wrong between jobs, or in another, does not count for it."""
        if self.work and self.work.execution == (job.id, job.number, job.stamp):
            self.work.job = job
        else:
            self.work = Work(job)
            self.heap.begin_job()

    def drop(self):
        """Let go of the update, and of its image in memory."""
        if self.work:
            self.work.update = None

    def forgive(self):
        """The job is over: what went wrong in it does not count for the next."""
        self.heap.begin_job()
        if self.work:
            self.work.fruitless = 0

    def idle(self):
        """Whether a job is waited for."""
        return self.state == "IDLE"

    def owed(self):
        """The job that the journal is about."""
        journal = self.journal
        job = Job(journal["job"], journal["number"], stamp=journal["stamp"])
        if not self.job or not self.job.same(job):
            self.work = Work(self.dialect.pending(job))
        return self.job

    def info(self):
        """What a dialect may tell of, whatever its words for it are."""
        update = self.work and self.work.update
        received, total = update.blocks() if update else (0, 0)
        return {
            "reason": self.journal["reason"] or "",
            "running": self.journal["version"] or self.slots.version,
            "received": received,
            "total": total,
            "free": gc.mem_free(),
        }

    def runs(self, labels):
        """Whether this start runs what the journal calls so: the image of a slot, or trees."""
        return labels and (labels == self.slots.running or self.trees.running(labels))

    def succeed(self):
        """What runs is confirmed: that is owed to the cloud."""
        version = self.slots.version
        said = " v" + version if version else ", version unknown"
        if not self.journal["slot"]:
            kinds = [part.partition(".")[0] for part in self.journal["next"].split("+")]
            said = ",".join([" %s v%s" % (kind, self.trees.version(kind)) for kind in kinds])
        saved = self.journal["saved"]
        self.journal.owe("succeeded", "accepted" + said + (" (%s)" % saved if saved else ""))

    async def pause(self):
        """Let the others run."""
        await self.clock.sleep_ms(0)
