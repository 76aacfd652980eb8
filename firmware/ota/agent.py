"""One coroutine for each state of ota.table, each returning an event.

The agent knows nothing of any cloud, transport or board; it is handed them. Errors are events
too: where one is raised says nothing, its class says what happens next.
"""

import gc
import sys

from ota.errors import Fail, Gone, OTAError, Refuse, Retry
from ota.job import Job
from ota.journal import ACTIVATED, DOWNLOADING, IDLE, OWING
from ota.log import Log
from ota.table import ANY, BOOT, BOOTING, ERRORS, NEW, OLD, TRANSITIONS, TRIAL
from ota.update import Update

log = Log("agent")


class Agent:
    """Walks the table.

    slots     running, inactive, target, size, version, trial, check, activate, confirm
    journal   ota.journal.Journal
    dialect   see ota.dialects
    uplink    `await reach(start, deadline_ms)`: linked, and `start` done
    source    (file, block) → see ota.sources
    clock     ticks_ms, ticks_diff, sleep_ms
    settings  block, poll_s, trial_s, report_s, signers and the allow_… of config.json
    load      path → bytes, for the signers' certificates
    healthy   `await healthy()`: the application's verdict on a new image
    reset     resets the board; does not return
    """

    def __init__(
        self, slots, journal, dialect, uplink, source, clock, settings, load, healthy, reset
    ):
        self._slots = slots
        self._journal = journal
        self._dialect = dialect
        self._uplink = uplink
        self._source = source
        self._clock = clock
        self._settings = settings
        self._load = load
        self._healthy = healthy
        self._reset = reset
        self._update = Update(slots, journal, settings)
        self._reported = clock.ticks_ms()
        self.job = None
        self.state = BOOTING

    async def run(self):
        """Walk the table for ever; returns once the board is to reset, where `reset` returns."""
        while TRANSITIONS[self.state]:
            event = await self.step()
            log.i(self.state, event)
            self.state = TRANSITIONS[self.state][event]
        await self.resetting()

    async def step(self):
        """Do the work of the state; returns the event. Errors are events."""
        try:
            return await getattr(self, self.state.lower())()
        except OTAError as error:
            fault = error
            log.w(self.state, type(error).__name__, error)
        except Exception as error:
            if self.job is None or "failed" not in TRANSITIONS[self.state]:
                raise
            sys.print_exception(error)
            fault = Fail("internal error: " + repr(error))
        event = _event(fault)
        if event == "failed":
            self._update.drop()
            self._journal.owe("failed", str(fault), self.job)
        return event

    # -- booting and trying ------------------------------------------------------------------

    async def booting(self):
        journal, slots = self._journal, self._slots
        slot = TRIAL if slots.trial else NEW if journal["slot"] == slots.running else OLD
        log.i("boot", slots.running, slots.version or "-", slot, journal.phase)
        for phase, where, event in BOOT:
            if phase in (ANY, journal.phase) and where in (ANY, slot):
                break
        if event == "confirmed":
            self._succeed()
        elif event == "rolled_back":
            journal.owe("failed", journal["reason"] or "rolled back: not confirmed in its trial")
        return event

    async def trying(self):
        """The trial: connect, tell, ask the application, confirm; all before one deadline."""
        journal = self._journal
        if journal.phase == DOWNLOADING and journal["slot"] == self._slots.running:
            journal.write(phase=ACTIVATED)  # power failed before that was noted
        try:
            await self._reach_in_trial()
            if not await self._healthy():
                return self._sick("self-test failed")
        except Exception as error:  # whatever it is, this image is not to stay
            return self._sick(str(error) if isinstance(error, OTAError) else repr(error))
        self._slots.confirm()
        if journal.phase == ACTIVATED:
            self._succeed()
        return "healthy"

    async def _reach_in_trial(self):
        """Be linked, and have the cloud know of the trial. Raises Retry at the deadline."""
        clock = self._clock
        end = clock.ticks_add(clock.ticks_ms(), self._settings["trial_s"] * 1000)
        while True:
            left_ms = max(clock.ticks_diff(end, clock.ticks_ms()), 0)
            try:
                await self._uplink.reach(self._dialect.start, left_ms)
                if self._journal.phase == ACTIVATED:
                    await self._tell("trying")
                return
            except Retry:
                if not left_ms:
                    raise

    def _sick(self, reason):
        log.e("sick", reason)
        if self._journal.phase == ACTIVATED:
            self._journal.write(reason="rolled back: " + reason)
        return "sick"

    def _succeed(self):
        self._journal.owe("succeeded", "accepted v" + (self._slots.version or "unknown"))

    async def _tell(self, step):
        """Tell a step of the job in the journal. A job that is gone changes nothing here."""
        try:
            await self._dialect.report(self._owed(), step, self._info())
        except Gone as error:
            log.w("gone", error)

    # -- connecting and waiting --------------------------------------------------------------

    async def connecting(self):
        await self._uplink.reach(self._dialect.start, None)
        return "owes" if self._journal.phase == OWING else "linked"

    async def idle(self):
        self.job = None
        gc.collect()
        log.i("idle", "free", gc.mem_free())
        self.job = await self._dialect.next_job(self._settings["poll_s"] * 1000)
        log.i("job", self.job.id, self.job.number, "queued" if self.job.queued else "started")
        return "job"

    async def reporting(self):
        journal = self._journal
        if journal.phase == OWING:
            log.i("report", journal["step"], journal["reason"])
            try:
                await self._dialect.report(self._owed(), journal["step"], self._info())
            except Gone:
                journal.settle()
                raise
            journal.settle()
        self._update.drop()
        return "reported"

    def _owed(self):
        """The job that the journal is about."""
        journal = self._journal
        job = Job(journal["job"], journal["number"], stamp=journal["stamp"])
        return self.job if self.job and self.job.same(job) else self._dialect.pending(job)

    def _info(self):
        """What a dialect may tell of, whatever its words for it are."""
        received, total = self._update.blocks()
        return {
            "reason": self._journal["reason"] or "",
            "running": self._journal["version"] or self._slots.version,
            "received": received,
            "total": total,
            "free": gc.mem_free(),
        }

    # -- a job -------------------------------------------------------------------------------

    async def accepting(self):
        """Understand the job before it is started, and again as it was then handed out."""
        while True:
            job = self.job
            try:
                self._judge(job)
            except _Known:
                return "known"
            except (Refuse, Fail) as error:
                log.w("refused", error)
                self._journal.owe("rejected" if job.queued else "failed", str(error), job)
                return "refused"
            if not job.queued:
                return job.kind
            self.job = await self._dialect.accept(job)

    def _judge(self, job):
        """Raises Refuse for a job we will not do, _Known for one we have done."""
        journal = self._journal
        if journal.about(job) and journal.phase in (IDLE, OWING):
            journal.owe(journal["step"], journal["reason"])
            raise _Known
        if job.kind is None:
            job.read()
        if "self_test" in job.details and not journal.about(job):
            raise Refuse("no record of the trial that the job speaks of")
        self._update.judge(job.files[0])

    async def downloading(self):
        """Fetch what is missing, wherever an earlier attempt left off."""
        update = self._update
        image = update.open(self.job)
        source = self._source(self.job.files[0], self._settings["block"])
        try:
            await source.fetch(image, self._watch)
        finally:
            await source.close()
        update.note()
        return "complete"

    async def _watch(self):
        """Between blocks: note, tell, and see whether the job is still ours."""
        now = self._clock.ticks_ms()
        self._update.checkpoint()
        if self._clock.ticks_diff(now, self._reported) >= self._settings["report_s"] * 1000:
            self._reported = now
            self._dialect.progress(self.job, self._info())
        await self._dialect.still(self.job)

    async def verifying(self):
        await self._update.prove(self._load, self._pause)
        return "genuine"

    async def activating(self):
        await self._dialect.still(self.job)
        await self._dialect.report(self.job, "applying", self._info())
        self._slots.activate()
        self._journal.write(phase=ACTIVATED)
        return "ready"

    async def resetting(self):
        await self._clock.sleep_ms(100)  # let the console and the link drain
        self._reset()

    async def _pause(self):
        await self._clock.sleep_ms(0)


class _Known(Exception):
    """The execution was done before; its outcome stands in the journal."""


def _event(fault):
    """What an error means for the agent: the event of the first of ERRORS that it is one of."""
    return next(event for kind, event in ERRORS if isinstance(fault, kind))
