"""The agent's walk: each path of the table, over doubles, with resets and power cuts."""

from doubles import SECTOR, Clock, Flash, pattern, raised, recorded, run

from sluice import log
from sluice.agent.agent import Agent, Heap
from sluice.agent.table import BOOT, TRANSITIONS, meaning
from sluice.errors import Fail, Gone, Refuse, Retry
from sluice.job import File, Job
from sluice.journal import (
    ACTIVATED,
    DOWNLOADING,
    IDLE,
    OPERATING,
    OWING,
    PHASES,
    REBOOTING,
    Journal,
)
from sluice.slots.target import Target, hide
from sluice.slots.tree import Trees
from sluice.transfer.update import Update

HEAP = "2m"
SIZE = 24 * SECTOR - 100
SETTINGS = {
    "block": SECTOR, "poll_s": 60, "trial_s": 300, "report_s": 5, "signers": [], "own": [],
    "protocol": "mqtt", "download_hosts": ["http://files"],
    "allow_unsigned": True, "allow_same_version": False, "allow_downgrade": False,
    "allow_rollback": True,
}  # fmt: skip


class Cut(BaseException):
    """The power failed."""


class Reset(BaseException):
    """The board resets."""


class Waits(BaseException):
    """Nothing more happens."""


class Cell:
    """A cell of the journal; the power fails at the save that `cuts` counts down to.

    A `fault` is what is raised there instead.
    """

    cuts = None
    fault = Cut

    def __init__(self):
        self.data = b""

    def load(self):
        return self.data

    def save(self, data):
        if Cell.cuts is not None:
            Cell.cuts -= 1
            if Cell.cuts < 0:
                Cell.cuts = None
                raise Cell.fault
        self.data = data


class Slots:
    """Two slots and the boot loader's rule: an image not confirmed in its first run goes."""

    def next(self):
        return self.inactive

    def __init__(self):
        self.flash = {"ota_0": Flash(33), "ota_1": Flash(33)}
        self.running, self.inactive, self.version = "ota_0", "ota_1", "1.0.0"
        self.size = 32 * SECTOR
        self.trial = False
        self.chosen = self.refuses = None

    @property
    def plain(self):
        return self.flash[self.inactive]

    def target(self):
        return Target(self.plain, self.size)

    def headed(self, label):
        """Whether a boot loader would find an image there."""
        return self.flash[label].data[0] != 0xFF

    def check(self, head, size):
        if head[0] == 0xFF:
            raise Fail("not an app image")
        return "2.0.0"

    def activate(self, new=False):
        if new:
            self.target().release()
        if self.refuses:
            raise Fail(self.refuses)
        assert self.headed(self.inactive)
        self.chosen = self.inactive

    def hide(self):
        assert not self.trial, "it is the way back"
        hide(self.plain)

    def confirm(self):
        self.trial = False

    def boot(self):
        if self.chosen or self.trial:
            self.running, self.inactive = self.inactive, self.running
            self.version = "2.0.0" if self.chosen else "1.0.0"
        self.trial, self.chosen = bool(self.chosen), None


class Staged(Slots):
    """One slot, into which the boot loader copies what is staged, if it takes it at all."""

    takes = True

    def __init__(self):
        super().__init__()
        self.trial = None

    def confirm(self):
        pass

    def next(self):
        return "new"

    def boot(self):
        if self.chosen and self.takes:
            self.running, self.version = "new", "2.0.0"
        self.chosen = None


class Session:
    """The link, which is up."""

    linked = True


class Starts:
    """What led to a start: no reset where the power did."""

    def __init__(self, powered):
        self.powered = powered

    def held(self, smooth):
        pass


class World:
    """A board and its cloud: what outlives a reset, and what each double is to do."""

    def __init__(self, *jobs, data=None, settings=None, slots=None):
        self.slots, self.cells, self.clock = slots or Slots(), (Cell(), Cell()), Clock()
        self.trees = Trees({}, False, "BOARD")
        Cell.cuts, Cell.fault = None, Cut
        self.jobs = list(jobs)  # a Job, or an error to raise, for each next_job
        self.accepted = []  # the same for accept; without one, the job itself
        self.faults = {}  # step → errors that report raises before it takes it
        self.watches = []  # what each still() raises, or None
        self.reports, self.progressed, self.closed = [], [], 0
        self.begun = []  # reports of downloads that begin, which are not among the others
        self.data = data or pattern(SIZE)
        self.fetched = []  # blocks that were brought
        self.silences = []  # errors that fetch raises before it brings anything
        self.links = []  # errors that reach raises before it works
        self.verdicts = [True]
        self.powered = False  # power comes back, and no reset led to the next start
        self.buffer = bytearray(SECTOR)
        self.settings = dict(SETTINGS, **(settings or {}))
        self.lines = []
        self.asked = []  # jobs that pending was asked for
        self.held = []  # what the cloud had been told last when the application was asked

    # -- as the dialect

    async def linked(self):
        pass

    async def between_jobs(self):
        pass

    async def next_job(self, poll_ms):
        if not self.jobs:
            raise Waits
        return self._or_raise(self.jobs.pop(0))

    async def accept(self, job):
        if self.accepted:
            return self._or_raise(self.accepted.pop(0))
        if not job.queued:
            return job
        return Job(job.id, job.number, 2, False, job.again, stamp=job.stamp)

    async def report(self, job, step, info):
        if self.faults.get(step):
            self._or_raise(self.faults[step].pop(0))
        (self.begun if step == "downloading" else self.reports).append(
            (job.id, step, info["reason"])
        )

    def progress(self, job, info):
        self.progressed.append((info["received"], info["total"]))

    async def still(self, job):
        self._or_raise(self.watches.pop(0) if self.watches else None)

    def pending(self, job):
        self.asked.append(job.id)
        return job

    # -- as the uplink, the source and the application

    async def reach(self, begin, deadline_ms, idle=None):
        if self.links:
            self.clock.now += 1_000
            self._or_raise(self.links.pop(0))
        await begin()

    def source(self, file, block):
        return self

    async def fetch(self, image, watch):
        block = self.settings["block"]
        self._or_raise(self.silences.pop(0) if self.silences else None)
        while image.missing() >= 0:
            at = image.missing() // block * block
            part = self.data[at : at + block]
            image.open(at, len(part))
            image.write(part)
            assert image.close(True)
            self.fetched.append(at // block)
            self.clock.now += 400
            await watch()

    async def close(self):
        self.closed += 1

    async def healthy(self):
        return self._or_raise(self.verdicts.pop(0))

    async def hold(self):
        self.held.append(self.reports[-1][1] if self.reports else None)

    def load(self, path):
        raise OSError(2)

    def reset(self):
        raise Reset

    def _or_raise(self, what):
        if isinstance(what, BaseException):
            raise what
        return what

    # -- a run

    def boot(self):
        """Boot as the boot loader does, then walk until a reset, a power cut or nothing to do."""
        self.slots.boot()
        self.journal = Journal(self.cells)
        self.agent = agent = Agent(
            self.slots, self.trees, self.journal, self, self.reach, self.source, self.clock,
            self.settings, self.load, self, self.reset, self.buffer, Starts(self.powered),
            Session(),
        )  # fmt: skip
        log.to(self.lines.append)
        try:
            run(agent.run())
        except (Reset, Cut, Waits) as end:
            return type(end).__name__
        finally:
            log.to(print)

    def walked(self):
        """The states of the last run, from its log."""
        path = []
        for line in self.lines:
            words = line.split()
            if words[0] == "I" and words[2] == "agent" and words[3] in TRANSITIONS:
                path.append((words[3], words[4]))
        self.lines.clear()
        return path


def order(size=SIZE, **more):
    """A job document for an image of that size."""
    file = {"filesize": size, "fileid": 0}
    file.update(more)
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": [file]}}


def job(id="j1", number=1, queued=True, document=None, stamp=7, trial=False):
    document = order() if document is None else document
    found = Job(id, number, 1, queued, document, trial, stamp)
    found.again = found.document
    return found


UPDATE = ["BOOTING", "CONNECTING", "IDLE", "ACCEPTING", "DOWNLOADING", "VERIFYING", "ACTIVATING"]


def updated(*jobs, **words):
    """A world whose first job is activated, and the board about to reset."""
    world = World(job(), *jobs, **words)
    assert world.boot() == "Reset"
    return world


def names(path):
    return [state for state, _ in path]


# -- the straight way ----------------------------------------------------------------------------


def test_update_walks_to_the_reset_and_from_the_trial_to_the_report():
    world = World(job())
    assert world.boot() == "Reset"
    assert names(world.walked()) == UPDATE
    assert world.reports == [("j1", "applying", "")]
    assert bytes(world.slots.flash["ota_1"].data[:SIZE]) == bytes(world.data)
    assert world.boot() == "Waits"
    assert world.walked() == [
        ("BOOTING", "trial"), ("TRYING", "healthy"), ("REPORTING", "reported"),
    ]  # fmt: skip
    assert world.reports[1:] == [("j1", "trying", ""), ("j1", "succeeded", "accepted v2.0.0")]
    assert world.slots.running == "ota_1" and not world.slots.trial
    assert world.journal.phase == IDLE and world.closed == 1


def test_update_whose_version_nobody_knows_is_accepted_without_one():
    world = updated()
    world.slots.boot()
    world.slots.version, world.slots.boot = "", lambda: None
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "succeeded", "accepted, version unknown")


def test_update_confirmed_stays_at_the_next_reset():
    world = updated()
    world.boot()
    reports = len(world.reports)
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_1" and len(world.reports) == reports


def test_update_starts_nothing_before_the_job_is_judged():
    world = World(job(document=order(size=33 * SECTOR)))
    world.accepted = [AssertionError("accepted")]
    world.boot()
    assert [step for _, step, _ in world.reports] == ["rejected"]


def test_walk_logs_one_line_a_transition_that_is_a_path_through_the_table():
    world = updated()
    world.boot()
    path = world.walked()
    for (state, event), (following, _) in zip(path, path[1:]):
        if following != "BOOTING":
            assert TRANSITIONS[state][event] == following, (state, event)


def test_progress_is_told_every_report_s():
    world = updated(settings={"report_s": 2})
    assert len(world.progressed) == 4  # 24 blocks of 400 ms
    assert world.progressed[0][1] == 24 and world.progressed[0][0] < world.progressed[-1][0]


# -- booting -------------------------------------------------------------------------------------


def test_booting_every_phase_and_slot_has_its_event():
    expected = {
        (ACTIVATED, "trial"): "trial", (ACTIVATED, "new"): "confirmed",
        (ACTIVATED, "old"): "rolled_back", (DOWNLOADING, "trial"): "trial",
        (OWING, "trial"): "trial", (IDLE, "trial"): "trial", (REBOOTING, "trial"): "trial",
        (OPERATING, "trial"): "trial",
        (REBOOTING, "new"): "rebooted", (REBOOTING, "old"): "rebooted",
    }  # fmt: skip
    for phase in PHASES:
        for slot in ("trial", "new", "old"):
            world = World()
            journal = Journal(world.cells)
            journal.begin(job(), "i", "ota_1", "1.0.0")
            journal.write(phase=phase, step="failed", reason="r", next="ota_1")
            if slot != "old":
                world.slots.running, world.slots.inactive = "ota_1", "ota_0"
            world.slots.boot = lambda: None
            world.slots.trial = slot == "trial"
            world.boot()
            state, event = world.walked()[0]
            assert (state, event) == ("BOOTING", expected.get((phase, slot), "settled"))


def test_booting_table_has_a_row_for_every_phase_and_slot():
    for phase in PHASES:
        for slot in ("trial", "new", "old"):
            assert any(p in ("any", phase) and s in ("any", slot) for p, s, _ in BOOT)


def test_booting_confirmed_before_it_was_noted_reports_success():
    world = updated()
    Cell.cuts = 0  # of the new image's saves, the first: its success
    assert world.boot() == "Cut"
    assert world.slots.running == "ota_1" and not world.slots.trial
    world.walked()
    assert world.boot() == "Waits"
    assert names(world.walked()) == ["BOOTING", "CONNECTING", "REPORTING"]
    assert world.reports[-1] == ("j1", "succeeded", "accepted v2.0.0")


def test_booting_a_trial_whose_activation_was_not_noted_reports_success():
    world = World(job())
    activate = world.slots.activate

    def activated(new):
        activate(new)
        Cell.cuts = 0

    world.slots.activate = activated
    assert world.boot() == "Cut"
    assert Journal(world.cells)["next"]
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "succeeded", "accepted v2.0.0")


def test_activation_that_cannot_be_noted_is_no_failure_as_the_image_will_boot():
    world = World(job())

    def activate(new):
        world.slots.chosen = "ota_1"
        Cell.cuts, Cell.fault = 0, OSError(28)

    world.slots.activate = activate
    assert world.boot() == "Reset"
    assert [step for _, step, _ in world.reports] == ["applying"]
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "succeeded", "accepted v2.0.0")
    assert world.slots.running == "ota_1"


def test_booting_back_in_the_old_image_reports_the_roll_back():
    world = updated()
    world.slots.boot()  # the new image ran and was cut off before it did anything
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_0"
    assert names(world.walked()[-3:]) == ["BOOTING", "CONNECTING", "REPORTING"]
    assert world.reports[-1] == ("j1", "failed", "rolled back: not confirmed in its trial")


# -- a board without trials ----------------------------------------------------------------------


def test_update_without_a_trial_succeeds_once_the_new_image_runs_and_is_healthy():
    world = updated(slots=Staged())
    world.walked()
    assert world.boot() == "Waits"
    assert names(world.walked()) == ["BOOTING", "TRYING", "REPORTING"]
    assert world.reports[-2:] == [("j1", "trying", ""), ("j1", "succeeded", "accepted v2.0.0")]
    assert world.boot() == "Waits"
    assert world.reports[-1][1] == "succeeded" and len(world.reports) == 3


def test_update_that_the_boot_loader_did_not_take_has_failed():
    world = updated(slots=Staged())
    world.slots.takes = False
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "failed", "the boot loader did not take the image")


def test_update_whose_power_fails_around_its_activation_succeeds_without_a_second_download():
    for activated in (False, True):
        world = World(job(), slots=Staged())
        activate = world.slots.activate

        def cut(new):
            if activated:
                activate(new)
            raise Cut

        world.slots.activate = cut
        assert world.boot() == "Cut"
        assert Journal(world.cells)["next"]
        world.slots.activate = activate
        if not activated:
            world.jobs = [job(queued=False)]
            assert world.boot() == "Reset"
        assert world.boot() == "Waits"
        assert world.reports[-1] == ("j1", "succeeded", "accepted v2.0.0")
        assert len(world.fetched) == 24


def test_image_that_is_sick_where_there_is_no_way_back_stays_and_has_failed():
    world = updated(slots=Staged())
    world.walked()
    world.verdicts = [False]
    assert world.boot() == "Waits"
    assert names(world.walked()) == ["BOOTING", "TRYING", "REPORTING"]
    reason = "self-test failed; it stays, because this board cannot go back"
    assert world.reports[-1] == ("j1", "failed", reason)
    assert world.slots.running == "new"


def test_image_where_there_is_no_way_back_waits_for_its_link_without_a_deadline():
    world = updated(slots=Staged())
    world.faults["trying"] = [Retry("no answer")] * 1_000
    world.links = [None] * 1_000  # a second each: far more than trial_s
    assert world.boot() == "Waits"
    assert world.reports[-1][1] == "succeeded"


def test_job_that_requires_a_rollback_is_rejected_where_there_is_none():
    demanding = dict(order(), rollback="required")
    world = World(job(document=demanding), slots=Staged())
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "this board cannot roll back")]
    assert not world.fetched
    world = World(job(document=demanding))
    assert world.boot() == "Reset"
    back = {"operation": "rollback", "size": 1, "sha256": "0" * 64}
    world = World(job(document=back), slots=Staged())
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "this board cannot roll back")]


def test_update_is_refused_while_the_image_that_runs_is_on_trial():
    world = World(job())
    world.slots.trial = True
    update = Update(world.slots, None, world.settings, world.buffer)
    error = raised(Refuse, update.judge, File(1_000, "mqtt_stream"))
    assert error.reason == "the image that runs is on trial"


# -- the trial -----------------------------------------------------------------------------------


def test_trial_of_an_unhealthy_image_is_rolled_back_with_its_reason():
    cases = (
        (False, "self-test failed"),
        (ValueError("pump"), "ValueError('pump',)"),
        (Fail("sensor", 4), "sensor 4"),
    )
    for verdict, reason in cases:
        world = updated()
        world.walked()
        world.verdicts = [verdict]
        assert world.boot() == "Reset"
        assert world.walked() == [("BOOTING", "trial"), ("TRYING", "sick")]
        assert world.slots.trial
        assert world.boot() == "Waits"
        assert world.slots.running == "ota_0"
        assert world.reports[-1] == ("j1", "failed", "rolled back: " + reason)


def test_trial_that_never_connects_is_rolled_back_at_its_deadline():
    world = updated()
    world.links = [Retry("no CONNACK")] * 1_000
    start = world.clock.now
    assert world.boot() == "Reset"
    assert 300_000 <= world.clock.now - start < 310_000
    world.links = []
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "failed", "rolled back: no CONNACK")


def test_trial_with_a_hiccup_of_the_link_is_confirmed():
    world = updated()
    world.links = [Retry("no CONNACK")] * 3
    world.faults["trying"] = [Retry("no answer")] * 2
    assert world.boot() == "Waits"
    assert world.reports[-1][1] == "succeeded"


def test_trial_of_a_withdrawn_job_is_confirmed_all_the_same():
    world = updated()
    world.faults["trying"] = [Gone("CANCELED")]
    world.faults["succeeded"] = [Gone("CANCELED")]
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_1" and not world.slots.trial
    assert world.journal.phase == IDLE and world.reports == [("j1", "applying", "")]


def test_trial_without_a_job_is_confirmed_and_nothing_reported():
    world = World()
    world.slots.chosen = "ota_1"
    assert world.boot() == "Waits"
    assert names(world.walked()) == ["BOOTING", "TRYING", "REPORTING"]
    assert not world.slots.trial and not world.reports


def test_trial_reports_the_job_with_the_version_that_is_pending():
    world = updated()
    world.boot()
    assert world.asked[:1] == ["j1"]


# -- refusing ------------------------------------------------------------------------------------


def test_refused_job_is_rejected_while_queued_and_failed_once_started():
    cases = (
        (order(size=33 * SECTOR), "image larger than the slot 135168 131072"),
        ({"dance": "slow"}, "unknown job document"),
        ({"operation": "dance"}, "unknown operation dance"),
        (["afr_ota"], "job document is not an object"),
        ({"afr_ota": {}}, "job document lacks or misstates protocols"),
    )
    for document, reason in cases:
        for queued, step in ((True, "rejected"), (False, "failed")):
            world = World(job(queued=queued, document=document))
            assert world.boot() == "Waits"
            assert world.walked()[-2:] == [("ACCEPTING", "refused"), ("REPORTING", "reported")]
            assert world.reports == [("j1", step, reason)]
            assert not world.fetched and not any(world.slots.plain.erases)


def test_refused_unsigned_image_and_one_that_nothing_can_check():
    strict = {"allow_unsigned": False}
    signed = order(**{"sig-sha256-ecdsa": "AAAA"})
    for document, reason in ((order(), "no signature"), (signed, "no signer on the board")):
        world = World(job(document=document), settings=strict)
        world.boot()
        assert world.reports == [("j1", "rejected", reason)]


def test_refused_document_that_is_missing():
    missing = job()
    missing.document = None
    world = World(missing)
    world.boot()
    assert world.reports == [("j1", "rejected", "job document is missing or too large")]


def test_refused_document_that_raises_the_unexpected_does_not_stop_the_agent():
    class Hostile(Job):
        def read(self):
            raise TypeError("unhashable")

    for queued, step in ((True, "rejected"), (False, "failed")):
        world = World(Hostile("j1", 1, 1, queued, {}, None, 7), job("j2", document={}))
        assert world.boot() == "Waits"
        assert [report[:2] for report in world.reports] == [("j1", step), ("j2", "rejected")]
        assert "TypeError" in world.reports[0][2]


def test_document_that_the_heap_has_no_room_for_is_looked_at_three_times_more():
    class Large(Job):
        def read(self):
            if self.full:
                self.full -= 1
                raise MemoryError("memory allocation failed")
            Job.read(self)

    for full, outcome in ((3, "Reset"), (4, "Waits")):
        one = Large("j1", 1, 1, True, order(), False, 7)
        one.full, one.again = full, one.document
        world = World(*[one] * 4)
        assert world.boot() == outcome
        rejected = [step for _, step, _ in world.reports if step == "rejected"]
        assert len(rejected) == (outcome == "Waits")


def test_refused_self_test_that_the_journal_knows_nothing_of():
    world = World(job(queued=False, trial=True))
    world.boot()
    ((_, step, reason),) = world.reports
    assert step == "failed" and "trial" in reason and not world.fetched


def test_accepted_job_that_turns_out_to_be_another_is_judged_anew():
    other = job("j0", queued=False, document={"dance": "slow"})
    world = World(job())
    world.accepted = [other]
    assert world.boot() == "Waits"
    assert world.reports == [("j0", "failed", "unknown job document")]


def test_accepted_job_that_is_gone_is_nobodys():
    world = World(job(), job("j2", document={}))
    world.accepted = [Gone("nothing to start")]
    assert world.boot() == "Waits"
    assert ("ACCEPTING", "gone") in world.walked()
    assert [report[0] for report in world.reports] == ["j2"]


def test_accepting_without_an_answer_connects_anew():
    world = World(job(), job())
    world.accepted = [Retry("no answer")]
    assert world.boot() == "Reset"
    path = names(world.walked())
    assert path[:6] == ["BOOTING", "CONNECTING", "IDLE", "ACCEPTING", "CONNECTING", "IDLE"]


# -- a record that cannot be saved ---------------------------------------------------------------


def ended(world, document):
    """Boot until the job, which the cloud hands out while it is open, has an outcome: that."""

    left = [document] * 20

    async def next_job(poll_ms):
        if outcomes():
            raise Waits
        return job(document=left.pop())

    def outcomes():
        return [
            step for _, step, _ in world.reports if step in ("succeeded", "failed", "rejected")
        ]

    world.next_job = next_job
    for _ in range(8):
        try:
            end = world.boot()
        except (MemoryError, OSError):  # it ends the agent: main.py resets the board
            continue
        if end == "Waits":
            return outcomes()
    raise AssertionError("no end: %s" % world.reports)


def test_job_ends_whichever_save_of_the_journal_has_no_room():
    kinds = ((None, "succeeded"), ({"operation": "echo"}, "succeeded"), ({"what": 1}, "rejected"))
    for document, outcome in kinds:
        for fault in (MemoryError(), OSError(28)):
            saves, reached = 0, True
            while reached:
                world = World()
                Cell.cuts, Cell.fault = saves, fault
                said = ended(world, document)  # twice, where it could not be noted that it was
                reached = Cell.cuts is None
                step = "failed" if reached and "failed" in said else outcome
                assert set(said) == {step} and len(said) <= 1 + reached, (saves, said)
                assert world.journal.phase == IDLE and world.journal["step"] == step
                saves += 1
            assert saves > 2


class Full(Cell):
    """A cell on a file system that may be full."""

    full = False

    def save(self, data):
        if self.full:
            raise OSError(28)
        super().save(data)

    @staticmethod
    def of(world):
        """The cells of a world, full from now on."""
        for cell in world.cells:
            cell.full = True


def test_board_whose_file_system_is_full_stays_in_reach_and_reports():
    world = World(job(document={}))
    world.cells = (Full(), Full())
    world.faults["rejected"] = [Cut()]
    assert world.boot() == "Cut"
    Full.of(world)
    world.jobs = [job("j2", document={}), job("j3", document={"operation": "echo"}), job("j4")]
    assert world.boot() == "Waits"
    steps = [report[:2] for report in world.reports]
    assert steps == [("j1", "rejected"), ("j2", "rejected"), ("j3", "failed"), ("j4", "failed")]
    kept = Journal(world.cells)
    assert kept.phase == OWING and kept["job"] == "j1"
    for cell in world.cells:
        cell.full = False
    world.jobs = [job("j5", document={})]
    assert world.boot() == "Waits"  # j1 is told again
    assert [report[0] for report in world.reports[4:]] == ["j1", "j5"]
    assert Journal(world.cells)["job"] == "j5"


def test_trial_on_a_full_file_system_ends_with_a_verdict_that_is_told():
    for healthy, step in ((True, "succeeded"), (False, "failed")):
        world = World(job())
        world.cells = (Full(), Full())
        assert world.boot() == "Reset"
        Full.of(world)
        world.verdicts = [healthy]
        if not healthy:
            raised(OSError, world.boot)  # ends the agent: main.py resets the board
        assert world.boot() == "Waits"
        assert world.reports[-1][1] == step


def test_record_that_owes_nothing_is_settled_and_its_job_judged_anew():
    world = World()
    Journal(world.cells).take(job(), phase=OWING)
    assert ended(world, {"what": 1}) == ["rejected"]


# -- the same job again --------------------------------------------------------------------------


def test_same_execution_again_runs_once_and_is_told_again():
    world = updated()
    world.jobs = [job(queued=False)]
    assert world.boot() == "Waits"
    assert world.walked()[-2:] == [("ACCEPTING", "known"), ("REPORTING", "reported")]
    assert len(world.fetched) == 24
    assert [report[1] for report in world.reports[2:]] == ["succeeded"] * 2


def test_same_job_as_another_execution_runs():
    for again in (job(number=2), job(stamp=8)):
        world = updated(settings={"allow_same_version": True})
        world.jobs = [again]
        assert world.boot() == "Reset"
        assert len(world.fetched) == 48


def test_refused_execution_again_is_refused_again_without_being_read():
    world = World(job(document={}), job(document={}))
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "unknown job document")] * 2


# -- downloading ---------------------------------------------------------------------------------


def test_download_with_the_link_lost_goes_on_where_it_was():
    world = World(job(), job(queued=False))
    world.watches = [None] * 9 + [Retry("the broker closed the connection")]
    assert world.boot() == "Reset"
    assert world.fetched == list(range(24))
    erases = world.slots.plain.erases
    assert (erases[0], max(erases[1:]), world.closed) == (2, 1, 2)  # the head's place twice


def test_download_cut_by_power_goes_on_at_its_last_checkpoint():
    world = World(job())
    world.watches = [None] * 20 + [Cut()]
    assert world.boot() == "Cut"
    assert world.fetched == list(range(21))
    world.fetched.clear()
    world.jobs = [job(queued=False)]
    assert world.boot() == "Reset"
    assert world.fetched == list(range(16, 24))
    assert bytes(world.slots.flash["ota_1"].data[:SIZE]) == bytes(world.data)


def test_download_cut_at_any_save_of_the_journal_ends_well_and_is_reported_once():
    saves, ended = 0, False
    while not ended:
        world = World(job())
        Cell.cuts = saves
        end = world.boot()
        runs = 0
        while end != "Waits":
            runs += 1
            assert runs < 6
            settled = world.reports and world.reports[-1][1] in ("succeeded", "failed")
            world.jobs = [] if settled else [job(queued=False)]
            if world.slots.trial or world.slots.chosen:
                world.jobs = []
            end = world.boot()
        ended = Cell.cuts is not None
        Cell.cuts = None
        outcomes = [step for _, step, _ in world.reports if step in ("succeeded", "failed")]
        assert outcomes and len(set(outcomes)) == 1 and len(outcomes) <= 2, (saves, world.reports)
        assert world.slots.running == ("ota_1" if outcomes[0] == "succeeded" else "ota_0")
        saves += 1
    assert saves > 5


def test_download_of_another_image_under_the_same_job_starts_anew():
    world = World(job(document=order(**{"certfile": "x"})))
    world.watches = [None] * 20 + [Cut()]
    world.boot()
    world.fetched.clear()
    world.jobs = [job(queued=False, document=order(size=SIZE - SECTOR))]
    world.data = pattern(SIZE - SECTOR, 9)
    assert world.boot() == "Reset"
    assert world.fetched == list(range(23))


def test_download_withdrawn_is_left_without_a_word():
    world = World(job())
    world.watches = [None, None, Gone("CANCELED")]
    assert world.boot() == "Waits"
    assert world.walked()[-1] == ("DOWNLOADING", "gone")
    assert not world.reports and world.closed == 1


def test_download_that_fails_is_reported_with_its_reason():
    cases = (
        (Fail("file size is not the stream's", 60), "file size is not the stream's 60"),
        (KeyError("x"), "internal error: KeyError('x',)"),
        (OSError(5), "internal error: OSError(5,)"),
    )
    for error, reason in cases:
        world = World(job())
        world.watches = [None, error]
        world.boot()
        assert world.walked()[-2:] == [("DOWNLOADING", "failed"), ("REPORTING", "reported")]
        assert world.reports == [("j1", "failed", reason)]
        assert world.slots.running == "ota_0" and not world.slots.chosen and world.closed == 1


def test_reason_of_any_length_is_told_and_kept_cut_off():
    long = "x" * 3_000
    cases = (
        ({"afr_ota": {"protocols": [long], "files": [{}]}}, None),
        ({"operation": "echo", "text": long[:512]}, None),
        (order(), Fail(long)),
        (order(), Fail("not so:", long, long)),
        (order(), ValueError(long)),
    )
    for document, error in cases:
        world = World(job(document=document))
        world.watches = [error]
        assert world.boot() == "Waits"
        ((_, _, reason),) = world.reports
        assert 10 < len(reason) <= 256, reason
        assert max(len(cell.data) for cell in world.cells) < 600


def test_download_of_a_wrong_image_fails_before_it_is_written():
    world = World(job(), data=bytearray(b"\xff" * SIZE))
    world.boot()
    assert world.reports == [("j1", "failed", "not an app image")]
    assert not any(world.slots.plain.erases) and not world.fetched


def test_download_of_the_running_or_an_older_version_fails_before_it_is_written():
    for running, reason in (("2.0.0", "same version 2.0.0"), ("3.0", "downgrade 3.0 to 2.0.0")):
        world = World(job())
        world.slots.version = running
        world.boot()
        assert world.reports == [("j1", "failed", reason)]
        assert not any(world.slots.plain.erases)


# -- verifying and activating --------------------------------------------------------------------


def test_verifying_reads_the_flash_back():
    world = World(job())
    world.close = lambda: spoil(world)
    world.boot()
    assert world.walked()[-2:] == [("VERIFYING", "failed"), ("REPORTING", "reported")]
    assert world.reports == [("j1", "failed", "not an app image")]


async def spoil(world):
    world.slots.plain.data[32 * SECTOR] = 0xFF  # where the head waits


def test_verifying_a_signature_that_no_signer_made_fails():
    signed = order(**{"sig-sha256-ecdsa": "AAAA"})
    world = World(job(document=signed), settings={"signers": ["/gone.pem"]})
    world.boot()
    ((_, step, reason),) = world.reports
    assert step == "failed" and reason == "no signer ecdsa" and not world.slots.chosen


def test_signature_that_is_no_base64_is_refused_before_a_byte_is_fetched():
    signed = order(**{"sig-sha256-ecdsa": "*"})
    world = World(job(document=signed), settings={"signers": ["/gone.pem"]})
    world.boot()
    assert world.reports[0][1:] == ("rejected", "signature: bad base64 length 1")
    assert not any(world.slots.plain.erases)


def test_activating_refused_by_the_boot_loader_fails():
    world = World(job())
    world.slots.refuses = "image refused by the boot loader"
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "failed", "image refused by the boot loader")
    assert world.journal.phase == IDLE


def test_activating_a_withdrawn_job_changes_nothing():
    world = World(job())
    world.faults["applying"] = [Gone("CANCELED")]
    assert world.boot() == "Waits"
    assert world.walked()[-1] == ("ACTIVATING", "gone")
    assert not world.slots.chosen and not world.reports


def test_activating_with_the_link_lost_comes_back_to_it_without_a_download():
    world = World(job(), job(queued=False))
    world.faults["applying"] = [Retry("no answer")]
    assert world.boot() == "Reset"
    assert world.fetched == list(range(24)) and world.slots.chosen == "ota_1"


# -- which slot has a head: slots.target ----------------------------------------------------------


def heads(world):
    return [label for label in ("ota_0", "ota_1") if world.slots.headed(label)]


def test_heads_of_both_slots_stay_after_an_update_and_on_trial():
    world = updated()
    assert heads(world) == ["ota_0", "ota_1"]
    world.slots.boot()
    assert world.slots.trial
    world.slots.chosen = "ota_1"  # the boot that follows is that of the trial, once more
    world.slots.running, world.slots.inactive = "ota_0", "ota_1"
    world.slots.trial = False
    assert world.boot() == "Waits" and world.slots.running == "ota_1"
    assert heads(world) == ["ota_0", "ota_1"]
    assert world.boot() == "Waits" and heads(world) == ["ota_0", "ota_1"]


def test_head_of_an_image_that_was_not_proven_is_never_there():
    signed = order(**{"sig-sha256-ecdsa": "AAAA"})
    world = World(job(document=signed), settings={"signers": ["/gone.pem"]})
    world.boot()
    assert world.reports[-1][1] == "failed" and heads(world) == ["ota_0"]
    world = World(job())
    world.watches = [None] * 20 + [Cut()]
    assert world.boot() == "Cut" and heads(world) == ["ota_0"]
    world.jobs = [job(queued=False)]
    world.watches = [Gone("CANCELED")]
    assert world.boot() == "Waits" and heads(world) == ["ota_0"]


def test_head_of_an_image_that_the_boot_loader_refuses_is_erased():
    world = World(job())
    world.slots.refuses = "image refused by the boot loader"
    assert world.boot() == "Waits"
    assert heads(world) == ["ota_0"]


def test_activation_that_meets_a_full_heap_is_done_again():
    world, slots = World(job(), job(queued=False)), Slots()
    world.slots, activate = slots, slots.activate

    def activated(new):
        activate(new)
        slots.activate, slots.chosen = activate, None
        Cell.cuts, Cell.fault = 0, MemoryError()

    slots.activate = activated
    assert world.boot() == "Reset"  # a hiccup: it is proven once more, and activated
    assert heads(world) == ["ota_0", "ota_1"]


def test_head_of_an_image_that_failed_its_trial_is_erased_at_the_next_start():
    world = updated()
    world.verdicts = [False]
    assert world.boot() == "Reset"  # sick
    assert heads(world) == [
        "ota_0",
        "ota_1",
    ]  # from the one slot it runs, the other is the way back
    assert world.boot() == "Waits" and world.slots.running == "ota_0"
    assert heads(world) == ["ota_0"]
    assert world.reports[-1] == ("j1", "failed", "rolled back: self-test failed")


def test_head_is_gone_before_the_failure_is_owed_wherever_the_power_fails():
    world = updated()
    world.slots.boot()
    Cell.cuts = 0  # the boot loader went back; the first save then is what is owed
    assert world.boot() == "Cut"
    assert Journal(world.cells).phase == ACTIVATED and heads(world) == ["ota_0"]
    assert world.boot() == "Waits" and world.reports[-1][1] == "failed"
    assert heads(world) == ["ota_0"]


def left_with_a_head():
    """A world whose power failed when the head was in place and nobody was to boot it yet."""
    world = World(job())
    activate = world.slots.activate

    def cut(new):
        world.slots.target().release()
        raise Cut

    world.slots.activate = cut
    assert world.boot() == "Cut" and heads(world) == ["ota_0", "ota_1"]
    world.slots.activate = activate
    world.fetched.clear()
    return world


def test_head_that_a_cut_left_is_erased_at_the_next_start_and_the_job_goes_on():
    world = left_with_a_head()
    world.links = [Waits()]
    assert world.boot() == "Waits" and heads(world) == ["ota_0"]
    world.jobs = [job(queued=False)]
    assert world.boot() == "Reset" and not world.fetched
    assert world.boot() == "Waits" and world.reports[-1][1] == "succeeded"


def test_head_that_a_cut_left_is_gone_where_the_job_was_canceled_meanwhile():
    world = left_with_a_head()
    assert world.boot() == "Waits" and heads(world) == ["ota_0"]
    world = left_with_a_head()
    world.jobs = [job(id="other", stamp=9, document={"operation": "echo"})]
    assert world.boot() == "Waits" and heads(world) == ["ota_0"]
    assert world.reports[-1][1] == "succeeded"


def test_head_of_what_is_staged_is_erased_where_the_boot_loader_does_not_take_it():
    world = updated(slots=Staged())
    world.slots.takes = False
    assert world.slots.headed("ota_1")
    assert world.boot() == "Waits"
    assert not world.slots.headed("ota_1")


# -- reporting -----------------------------------------------------------------------------------


def test_report_that_is_not_accepted_is_made_again_after_the_reconnect():
    world = World(job(document={}))
    world.faults["rejected"] = [Retry("no answer")] * 3
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "unknown job document")]
    assert names(world.walked()).count("REPORTING") == 4


def test_report_outlives_a_reset():
    world = World(job(document={}))
    world.faults["rejected"] = [Cut()]
    assert world.boot() == "Cut"
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "unknown job document")]
    assert world.boot() == "Waits" and len(world.reports) == 1


def test_report_nobody_wants_any_more_is_settled():
    world = World(job(document={}))
    world.faults["rejected"] = [Gone("TerminalStateReached")]
    assert world.boot() == "Waits"
    assert world.walked()[-1] == ("REPORTING", "gone")
    assert world.journal.phase == IDLE and not world.reports


# -- errors nobody foresaw -----------------------------------------------------------------------


def test_unexpected_error_without_a_job_is_raised():
    for place in ("next", "reach"):
        world = World(ValueError("bug"))
        if place == "reach":
            world.links = [ValueError("bug")]
        assert str(raised(ValueError, world.boot)) == "bug"


def test_interrupt_in_the_middle_of_a_job_is_not_swallowed():
    world = World(job())
    world.watches = [KeyboardInterrupt()]
    raised(KeyboardInterrupt, world.boot)
    assert not world.reports


def test_lost_link_in_idle_connects_anew():
    world = World(Retry("no PINGRESP"), job())
    assert world.boot() == "Reset"
    assert names(world.walked())[:5] == ["BOOTING", "CONNECTING", "IDLE", "CONNECTING", "IDLE"]


def test_refusal_after_the_start_is_said_as_failed():
    world = World(job())
    world.accepted = [job(queued=False, document=order(size=33 * SECTOR))]
    world.boot()
    assert world.reports[0][1] == "failed"


def test_download_that_gets_nowhere_has_failed_after_16_attempts():
    world = World(*[job(queued=False) for _ in range(16)])
    world.silences = [Retry("untrusted server")] * 16
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "failed", "download made no progress: untrusted server")]


def test_attempts_at_a_job_that_was_withdrawn_are_not_the_next_ones():
    world = World(*[job(queued=False) for _ in range(16)], *[job("j2") for _ in range(16)])
    silence = Retry("untrusted server")
    world.silences = [silence] * 15 + [Gone("CANCELED")] + [silence] * 16
    assert world.boot() == "Waits"
    assert world.reports == [("j2", "failed", "download made no progress: untrusted server")]
    assert not world.silences and world.agent.work.fruitless == 0


def test_download_that_gets_on_now_and_then_is_tried_for_ever():
    world = World(*[job(queued=False) for _ in range(41)])
    silence, lost = Retry("stream is silent"), Retry("not linked")
    world.silences = [silence] * 15 + [None] + [silence] * 14 + [None] + [silence] * 9
    world.watches = [None, None, lost, None, None, lost]
    assert world.boot() == "Reset"
    assert world.fetched == list(range(24))


def verdicts(state, times, worn=False):
    """What a heap comes to that is full so often in that state."""
    heap = Heap()
    heap.worn = worn
    return [meaning(state, MemoryError(), heap) for _ in range(times)]


def test_heap_full_in_a_download_is_tried_again_and_fails_the_fourth_time():
    for state in ("DOWNLOADING", "VERIFYING"):
        assert verdicts(state, 4) == ["lost"] * 3 + ["failed"]
    assert verdicts("BOOTING", 1) == [None]


def test_heap_full_again_is_a_reset_where_the_heap_is_worn_or_no_job_can_fail():
    for state, rows in TRANSITIONS.items():
        assert ("starved" in rows) == ("lost" in rows), state
        if "starved" in rows:
            assert verdicts(state, 2, True) == ["lost", "starved"]
            end = "failed" if "failed" in rows else "starved"
            assert verdicts(state, 4) == ["lost"] * 3 + [end]


def test_heap_that_was_full_counts_anew_for_the_next_job_and_stays_worn():
    heap = Heap()
    heap.worn = True
    assert [heap.verdict(TRANSITIONS["DOWNLOADING"]) for _ in range(2)] == ["lost", "starved"]
    heap.begin_job()
    assert [heap.verdict(TRANSITIONS["DOWNLOADING"]) for _ in range(2)] == ["lost", "starved"]


def test_heap_is_hopeless_where_the_next_time_is_the_last_and_no_reset_helps():
    heap = Heap()
    for times in range(3):
        assert not heap.hopeless(), times
        heap.verdict(TRANSITIONS["ACCEPTING"])
    assert heap.hopeless()
    heap.worn = True
    assert not heap.hopeless()


def starving(world, times):
    """The world's heap is full that often when it fetches, before anything comes."""
    world.silences = [MemoryError() for _ in range(times)]
    world.jobs += [job(queued=False) for _ in range(times)]
    return world


def test_heap_that_an_earlier_job_has_worn_is_made_new_by_one_reset():
    world = starving(World(job("j0", document={}), job()), 2)
    assert world.boot() == "Reset"
    assert world.walked()[-1] == ("DOWNLOADING", "starved") and not world.silences
    assert [report[:2] for report in world.reports] == [("j0", "rejected")]
    assert world.held == ["rejected"]  # the application was asked
    world.jobs.clear()
    starving(world, 4)
    assert world.boot() == "Waits"  # it was not for the earlier job
    assert [report[:2] for report in world.reports[1:]] == [("j1", "failed")]


def test_heap_that_a_download_has_worn_is_made_new_once_for_each_checkpoint():
    size = 2 * 65_536
    world = World(data=pattern(size))
    world.jobs = [job(document=order(size), queued=False) for _ in range(2 + 4)]
    fetch = world.fetch

    async def starved(image, watch):
        async def full():
            await watch()
            if image.received > 70_000:
                raise MemoryError

        await fetch(image, full)

    world.fetch = starved
    assert world.boot() == "Reset" and len(world.jobs) == 4
    assert world.boot() == "Waits" and not world.jobs
    assert [report[:2] for report in world.reports] == [("j1", "failed")]


def test_download_whose_end_the_heap_has_no_room_to_note_fails_and_does_not_reset_for_ever():
    world = World()

    async def close():
        raise MemoryError

    world.close = close
    world.jobs = [job(queued=False) for _ in range(2 + 4)]
    assert world.boot() == "Reset" and len(world.jobs) == 4  # for its checkpoint
    assert world.boot() == "Waits" and not world.jobs
    assert [report[:2] for report in world.reports] == [("j1", "failed")]


def test_outcome_that_could_not_be_noted_as_told_wears_no_heap():
    """Else a board with a full file system would reset for each document that is too large."""
    world = World(job("j0", document={}))
    world.faults["rejected"] = [Cut()]
    assert world.boot() == "Cut"
    lost = Job("j1", 1, 1, True, None, False, 7)
    save = Cell.save
    Cell.save = full
    try:
        world.jobs = [lost]
        assert world.boot() == "Waits"
    finally:
        Cell.save = save
    assert [report[:2] for report in world.reports] == [("j0", "rejected"), ("j1", "rejected")]


def full(cell, data):
    raise OSError(28)


def test_outcome_that_the_heap_has_no_room_to_tell_is_told_after_a_reset():
    world = World(job(document={}))
    world.faults["rejected"] = [MemoryError() for _ in range(4)]
    assert world.boot() == "Reset"
    assert world.boot() == "Waits"
    assert [report[:2] for report in world.reports] == [("j1", "rejected")]


def test_document_that_a_worn_heap_had_no_room_for_is_asked_for_after_a_reset():
    lost = Job("j1", 1, 1, True, None, False, 7)
    world = World(job("j0", document={}), lost, lost)
    assert world.boot() == "Reset"
    world.jobs = [job()]
    assert world.boot() == "Reset" and world.slots.chosen
    world = World(lost)  # nothing to be gained by one
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "rejected", "job document is missing or too large")]


def test_error_means_only_what_its_state_has_a_row_for():
    from sluice.agent.table import meaning

    assert (
        meaning("DOWNLOADING", Refuse("no")) == "failed"
    )  # and not "refused", which ends the walk
    assert meaning("ACTIVATING", Gone("CANCELED")) == "gone"
    for fault in (Fail("x"), Refuse("x"), Gone("x")):
        assert meaning("IDLE", fault) is None


def test_heap_full_while_a_job_is_judged_is_tried_again_and_refused_the_fourth_time():
    class Large(Job):
        def read(self):
            raise MemoryError

    def large():
        return Large("j1", 1, 1, True, {}, None, 7)

    world = World(large(), large(), job())
    assert world.boot() == "Reset"
    world = World(*[large() for _ in range(4)])
    assert world.boot() == "Waits"
    assert [report[1] for report in world.reports] == ["rejected"] and not world.jobs


# -- what flash holds, and what nobody wrote ------------------------------------------------------


def test_boot_with_a_record_of_strange_members_goes_to_the_cloud_and_takes_jobs():
    sound = {"seq": 9, "phase": OWING, "job": "x", "number": 1, "stamp": 1, "step": "failed",
             "reason": "r"}  # fmt: skip
    for phase in PHASES:
        for changes in (
            {"step": "zzz"}, {"job": None}, {"step": ["failed"]}, {"reason": 5}, {"written": True},
            {"number": "1"}, {"starts": 5}, {"home": {}}, {"next": [1]}, {"runs": "3"},
            {"version": 7}, {"slot": []},
        ):  # fmt: skip
            world = World(job(document={"operation": "echo"}))
            world.cells[1].data = recorded(dict(sound, phase=phase, **changes))
            assert world.boot() == "Waits", (phase, changes)
            assert world.reports[-1] == ("j1", "succeeded", "echo"), (phase, changes)


# -- withdrawn during the trial ------------------------------------------------------------------


def withdrawn(status=None, code="InvalidStateTransition"):
    """What a dialect raises for a job that the cloud has ended."""
    gone = Gone(code)
    gone.status = status
    return gone


def test_trial_of_a_job_that_the_cloud_ended_keeps_a_healthy_image_and_says_so():
    for status, code, told in (
        ("CANCELED", "InvalidStateTransition", "CANCELED"),
        ("TIMED_OUT", "TerminalStateReached", "TIMED_OUT"),
        (None, "ResourceNotFound", "ResourceNotFound"),  # deleted
    ):
        world = updated()
        world.walked()
        world.faults["trying"] = [withdrawn(status, code)]
        world.faults["succeeded"] = [withdrawn(status, code)]
        assert world.boot() == "Waits"
        assert world.slots.running == "ota_1" and not world.slots.trial
        said = "accepted v2.0.0; but the cloud had ended the job: " + told
        kept = Journal(world.cells)
        assert (kept.phase, kept["step"], kept["reason"]) == (IDLE, "succeeded", said)
        assert kept["home"] == "ota_1", "so that a rollback may follow"
        (line,) = [line for line in world.lines if "ended the job" in line and line[0] == "W"]
        assert said in line and line.endswith("runs 2.0.0")
        assert world.boot() == "Waits" and world.slots.running == "ota_1"
        assert Journal(world.cells)["reason"] == said


def test_trial_of_a_job_that_the_cloud_ended_rolls_a_sick_image_back():
    world = updated()
    world.faults["trying"] = [withdrawn("CANCELED")]
    world.faults["failed"] = [withdrawn("CANCELED")]
    world.verdicts = [False]
    assert world.boot() == "Reset" and world.boot() == "Waits"
    assert world.slots.running == "ota_0"
    assert Journal(world.cells)["reason"] == (
        "rolled back: self-test failed; but the cloud had ended the job: CANCELED"
    )


def test_report_of_a_job_that_the_cloud_ended_says_so_once_however_often_it_is_asked():
    world = updated(job(queued=False), job(queued=False))
    world.faults["succeeded"] = [withdrawn("CANCELED") for _ in range(3)]
    assert world.boot() == "Waits"
    assert Journal(world.cells)["reason"].count("ended the job") == 1


# -- a heap that was full while there was no job -------------------------------------------------


def test_heap_that_was_full_while_idle_does_not_count_for_the_job_that_comes():
    world = World(*([MemoryError()] * 3 + [job(document={"operation": "echo"})]))
    world.faults["succeeded"] = [MemoryError()]
    assert world.boot() == "Waits"
    assert world.reports[-1] == ("j1", "succeeded", "echo")
    assert verdicts("IDLE", 1)[0] == world.agent.heap.verdict(TRANSITIONS["IDLE"]) == "lost"
    worn = World(*([MemoryError()] * 2 + [job("j9", document={"operation": "echo"})] * 1))
    worn.jobs.insert(0, job("j0", document={"operation": "echo"}))  # its verdict wears the heap
    worn.faults["succeeded"] = [None, MemoryError()]
    assert worn.boot() == "Reset", "the second time in a row while idle a reset gives a new heap"


def test_heap_that_is_full_in_a_job_counts_however_often_the_job_is_handed_out():
    world = World(*[job(queued=False, document={"operation": "echo"}) for _ in range(8)])

    def read():
        raise MemoryError

    for one in world.jobs:
        one.read = read
    assert world.boot() == "Waits"
    assert world.reports[0] == ("j1", "failed", "internal: MemoryError")
