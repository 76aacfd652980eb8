"""Jobs that ask for an operation: from their documents to the verdict, through resets and cuts."""

import hashlib
import os
import sys
from binascii import hexlify

import vfs
from doubles import SECTOR, raised, run
from test_agent import SIZE, Cell, Cut, World, job, names, updated

from sluice.agent.agent import Heap
from sluice.agent.states.operate import operating
from sluice.errors import Fail, Gone, Refuse, Retry
from sluice.job import Job
from sluice.jobs.documents import operation, steps
from sluice.journal import DOWNLOADING, IDLE, Journal

HEAP = "2m"


def asked(name, **words):
    """A job of an operation."""
    words["operation"] = name
    return job(document=words)


def outcome(world):
    return world.reports[-1][1:]


def left(world):
    """The hash of what the other slot holds, and its size: what a rollback is asked with."""
    data = world.slots.plain.data[:SIZE]
    return {"sha256": hexlify(hashlib.sha256(data).digest()).decode(), "size": SIZE}


# -- documents -----------------------------------------------------------------------------------


def test_operation_of_no_known_name_is_refused():
    for name in ("dance", "Echo", "a", "x" * 32):
        error = raised(Refuse, operation.read, {"operation": name}, Job("j", 1))
        assert str(error) == "unknown operation " + name


def test_operation_whose_name_is_a_path_is_refused_without_a_look():
    for name in (
        "../boot",
        "sluice.agent.agent",
        "/boot",
        "a b",
        "_x",
        "1a",
        "caf\u00e9",
        "a\n",
        "a/b",
    ):
        error = raised(Refuse, operation.read, {"operation": name}, Job("j", 1))
        assert str(error) == "not the name of an operation", name


def test_operation_whose_name_is_no_text_is_refused():
    for name in (7, None, ["echo"], {}, True, "", "x" * 33):
        error = raised(Refuse, operation.read, {"operation": name}, Job("j", 1))
        assert "operation" in str(error)


def test_operation_that_is_read_keeps_its_order():
    one = Job("j", 1, document={"operation": "echo", "text": "hi"})
    one.read()
    assert one.kind == "operation" and one.order["text"] == "hi"


def step(name="Reboot", handler="reboot.sh", type="runHandler", **more):
    """A managed template's document as it is delivered."""
    action = {"name": name, "type": type, "input": {"handler": handler}, "runAsUser": ""}
    return dict({"version": "1.0", "steps": [{"action": action}]}, **more)


def test_steps_of_the_reboot_template_are_the_reboot_operation():
    one = Job("j", 1)
    steps.read(step(), one)
    assert one.kind == "operation" and one.order == {"operation": "reboot"}


def test_steps_of_other_templates_are_refused_by_name():
    for name, handler in (
        ("Install-Application", "install-packages.sh"),
        ("Stop-Application", "stop-services.sh"),
        ("Reboot", "/bin/reboot.sh"),
    ):
        error = raised(Refuse, steps.read, step(name, handler), Job("j", 1))
        assert str(error) == "action not supported " + name
    error = raised(Refuse, steps.read, step(type="runCommand"), Job("j", 1))
    assert str(error) == "action not supported Reboot"


def test_steps_of_the_download_template_are_the_download_operation_with_its_words():
    document = step("Download-File", "download-file.sh")
    document["steps"][0]["action"]["input"]["args"] = ["https://h/f", "/f"]
    one = Job("j", 1)
    try:
        steps.read(document, one)
    except Refuse as error:  # a board without it says so
        assert str(error) == "unknown operation download"
    [file] = one.files
    assert (file.url, file.path) == ("https://h/f", "/f") and one.path == "sluice.files.place"
    for args in ([], ["https://h/f"], ["a", "b", "c"], "ab"):
        document["steps"][0]["action"]["input"]["args"] = args
        error = raised(Refuse, steps.read, document, Job("j", 1))
        assert str(error) == "job document %s args" % (
            "lacks or misstates" if args == "ab" else "is out of bounds at"
        )


def test_steps_that_are_more_than_one_are_refused():
    two = step()
    two["steps"] *= 2
    for document in (two, step(finalStep={"action": {}})):
        assert str(raised(Refuse, steps.read, document, Job("j", 1))) == "more than one step"


def test_steps_that_are_misstated_are_refused():
    broken = (
        step(version="2.0"), step(version=1), step(steps=[]), step(steps={}), step(steps=[1]),
        step(steps=[{}]), step(steps=[{"action": 1}]), step(steps=[{"action": {}}]),
        step(conditions=[{"key": "x"}]), step(name=7), step(handler=None), step(type=None),
        {"steps": [{"action": {"name": "x", "type": "runHandler", "input": 3}}], "version": "1.0"},
    )  # fmt: skip
    for document in broken:
        raised(Refuse, steps.read, document, Job("j", 1))


# -- walking -------------------------------------------------------------------------------------


def test_operation_walks_to_its_report():
    world = World(asked("echo", text="hello"))
    assert world.boot() == "Waits"
    assert world.walked()[-3:] == [
        ("ACCEPTING", "operation"), ("OPERATING", "done"), ("REPORTING", "reported"),
    ]  # fmt: skip
    assert world.reports == [("j1", "succeeded", "hello")]


def test_operation_asked_wrongly_is_rejected_while_queued_and_failed_once_started():
    for queued, step in ((True, "rejected"), (False, "failed")):
        world = World(job(queued=queued, document={"operation": "echo", "text": 5}))
        world.boot()
        assert world.reports == [("j1", step, "job document lacks or misstates text")]


def test_operation_delivered_again_is_answered_and_not_run_again():
    again = job(queued=False, document={"operation": "echo", "text": "other words"})
    world = World(asked("echo", text="hello"), again)
    world.boot()
    assert world.reports == [("j1", "succeeded", "hello")] * 2
    assert names(world.walked()).count("OPERATING") == 1


def test_operation_whose_verdict_is_not_accepted_is_not_run_again():
    world = World(asked("echo", text="hello"))
    world.faults["succeeded"] = [Retry("no answer"), Cut()]
    assert world.boot() == "Cut"
    assert world.boot() == "Waits"
    assert world.reports == [("j1", "succeeded", "hello")]
    assert names(world.walked()).count("OPERATING") == 1


# -- the user's own ------------------------------------------------------------------------------


class Memory:
    """A block device for a file system of 32 KiB."""

    def __init__(self):
        self._data = bytearray(32_768)

    def readblocks(self, n, buf, offset=0):
        at = n * 512 + offset
        buf[:] = self._data[at : at + len(buf)]

    def writeblocks(self, n, buf, offset=0):
        at = n * 512 + offset
        self._data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: len(self._data) // 512, 5: 512, 6: 0}.get(op)


def own(source, name="blink", times=1):
    """Run a job of that name, handed out so many times, on a board whose /operations has such a
    file; the world."""
    world = World(*(asked(name, times=3) for _ in range(times)))
    with_own(source, name, world.boot)
    assert not world.jobs
    return world


def with_own(source, name, act):
    """Do something on a board whose /operations has such a file."""
    memory = Memory()
    vfs.VfsLfs2.mkfs(memory)
    vfs.mount(vfs.VfsLfs2(memory), "/board")
    os.mkdir("/board/operations")
    with open("/board/operations/%s.py" % name, "w") as file:
        file.write(source)
    sys.path.insert(0, "/board")
    try:
        act()
    finally:
        sys.path.pop(0)
        vfs.umount("/board")
        for path in list(sys.modules):
            if path.startswith("operations"):
                del sys.modules[path]


def test_own_operation_runs_with_its_words():
    world = own("async def run(job, device):\n    return 'blinked %d' % job.order['times']\n")
    assert world.reports == [("j1", "succeeded", "blinked 3")]


def test_own_operation_that_returns_nothing_is_done():
    world = own("async def run(job, device):\n    await device.pause()\n")
    assert world.reports == [("j1", "succeeded", "done")]


def test_own_operation_never_takes_the_place_of_a_built_in_one():
    world = own("async def run(job, device):\n    return 'mine'\n", "echo")
    assert world.reports == [("j1", "succeeded", "echo")]


def test_own_operation_is_judged_by_its_own_check_before_the_start():
    check = "from sluice.errors import Refuse\ndef check(job):\n    raise Refuse('not today')\n"
    world = own(check + "async def run(job, device):\n    pass\n")
    assert world.reports == [("j1", "rejected", "not today")]


def test_own_operation_that_exits_when_it_is_judged_is_refused_and_no_loop_of_soft_resets():
    run = "async def run(job, device):\n    pass\n"
    for source in ("import sys\nsys.exit()\n", "def check(job):\n    raise SystemExit\n" + run):
        world = own(source)
        assert world.reports == [("j1", "rejected", "operation exits blink")]


def test_own_operation_that_raises_is_a_verdict():
    cases = (
        ("from sluice.errors import Fail\n", "Fail('lamp', 4)", "lamp 4"),
        ("from sluice.errors import Refuse\n", "Refuse('no lamp')", "no lamp"),
        ("", "ValueError('lamp')", "internal error: ValueError('lamp',)"),
    )
    for imports, error, reason in cases:
        world = own(imports + "async def run(job, device):\n    raise " + error + "\n")
        assert world.reports == [("j1", "failed", reason)]


def test_own_operation_that_gets_nowhere_has_failed_after_16_attempts():
    silent = (
        "from sluice.errors import Retry\n"
        "async def run(job, device):\n"
        "    raise Retry('no answer')\n"
    )
    world = own(silent, times=16)
    assert world.reports == [("j1", "failed", "operation made no progress: no answer")]


def test_own_operation_that_loses_the_link_is_run_again():
    world = own(
        "from sluice.errors import Retry\n"
        "async def run(job, device):\n"
        "    device.settings['runs'] = device.settings.get('runs', 0) + 1\n"
        "    if device.settings['runs'] < 3:\n"
        "        raise Retry('no PINGRESP')\n",
        times=3,
    )
    assert names(world.walked()).count("OPERATING") == 3
    assert world.reports == [("j1", "succeeded", "done")]


def test_own_operation_that_finds_the_heap_full_is_run_again_and_says_so_in_the_end():
    """It was not cut off by a reset; and what it had loaded of the agent's does not stay."""
    source = (
        "async def run(job, device):\n"
        "    import sluice.files.staged\n"
        "    device.settings['runs'] = device.settings.get('runs', 0) + 1\n"
        "    if device.settings['runs'] < %d:\n"
        "        raise MemoryError('full')\n"
    )
    world = own(source % 9, times=4)
    assert world.reports == [("j1", "failed", "internal error: MemoryError('full',)")]
    assert "sluice.files.staged" not in sys.modules
    world = own(source % 4, times=4)
    assert world.reports == [("j1", "succeeded", "done")]
    assert world.journal["runs"] == 16


def test_own_operation_that_cannot_be_loaded_is_rejected_with_the_cause():
    for source, reason in (
        ("import lamp\n", "internal: ImportError(\"no module named 'lamp'\",)"),
        ("async def run(\n", "internal: SyntaxError('invalid syntax',)"),
        ("async def walk(job, device):\n    pass\n", "internal: AttributeError("),
    ):
        world = own(source)
        ((_, step, said),) = world.reports
        assert step == "rejected" and said.startswith(reason), said


def test_own_operation_that_resets_the_board_itself_does_not_loop():
    source = "async def run(job, device):\n    device.reset()\n"
    ends = []
    with_own(source, "blink", lambda: ends.append(loop()))
    (((resets, world),)) = ends
    assert resets == 3
    assert world.reports == [("j1", "failed", "cut off by a reset, times 3")]


def test_own_operation_that_the_power_cuts_off_is_begun_again_as_often_as_that():
    source = (
        "async def run(job, device):\n"
        "    device.settings['runs'] = device.settings.get('runs', 0) + 1\n"
        "    if device.settings['runs'] < %d:\n"
        "        device.reset()\n"
    )
    for times, cuts, end in (
        (6, 5, ("j1", "succeeded", "done")),
        (99, 33, ("j1", "failed", "cut off by a reset, times 3")),  # it may be what cuts the power
    ):
        ends = []
        with_own(source % times, "blink", lambda ends=ends: ends.append(loop(powered=True)))
        (((seen, world),)) = ends
        assert seen == cuts and world.reports == [end], (seen, world.reports)


def loop(powered=False):
    """(resets, world): until nothing more happens, a job that is handed out at each boot."""
    world, resets = World(asked("blink")), 0
    world.powered = powered
    while world.boot() == "Reset":
        resets += 1
        assert resets < 50
        world.jobs = [asked("blink")]
    return resets, world


# -- reboot --------------------------------------------------------------------------------------


def resets(world):
    return names(world.walked()).count("RESETTING")


def test_reboot_says_so_before_and_succeeds_after():
    world = World(asked("reboot"))
    assert world.boot() == "Reset"
    assert world.walked()[-1] == ("OPERATING", "reboot")
    assert world.reports == [("j1", "rebooting", "")]
    assert world.boot() == "Waits"
    assert world.walked()[:3] == [
        ("BOOTING", "rebooted"), ("CONNECTING", "owes"), ("REPORTING", "reported"),
    ]  # fmt: skip
    assert outcome(world) == ("succeeded", "rebooted") and world.journal.phase == IDLE


def test_reboot_delivered_again_does_not_reboot_again():
    world = World(asked("reboot"))
    world.boot()
    again = [job(queued=False, document={"operation": "reboot"}) for _ in range(3)]
    world.jobs = again
    assert world.boot() == "Waits"
    assert [step for _, step, _ in world.reports] == ["rebooting"] + ["succeeded"] * 4
    world.jobs = [job(queued=False, document={"operation": "reboot"})]
    assert world.boot() == "Waits"
    assert [step for _, step, _ in world.reports].count("rebooting") == 1


def test_reboot_as_another_execution_reboots():
    world = World(asked("reboot"))
    world.boot()
    world.jobs = [job(number=2, document={"operation": "reboot"})]
    assert world.boot() == "Reset"


def test_reboot_that_the_cloud_did_not_accept_is_not_done():
    world = World(asked("reboot"))
    world.faults["rebooting"] = [Gone("CANCELED")]
    assert world.boot() == "Waits"
    assert world.walked()[-1] == ("OPERATING", "gone")
    assert not world.reports and not resets(world)


def test_reboot_with_the_link_lost_before_it_happens_once():
    world = World(asked("reboot"), job(queued=False, document={"operation": "reboot"}))
    world.faults["rebooting"] = [Retry("no answer")]
    assert world.boot() == "Reset"
    assert world.boot() == "Waits"
    assert [step for _, step, _ in world.reports] == ["rebooting", "succeeded"]


def test_reboot_with_the_power_cut_at_any_save_is_ordered_once_and_told():
    for saves in range(4):
        world = World(asked("reboot"))
        Cell.cuts = saves
        ends = [world.boot()]
        while ends[-1] != "Waits" or len(ends) == 1:
            told = outcome(world)[0] == "succeeded" if world.reports else False
            world.jobs = [] if told else [job(queued=False, document={"operation": "reboot"})]
            ends.append(world.boot())
            assert len(ends) < 6, ends
        Cell.cuts = None
        assert ends.count("Reset") == 1, ends
        assert outcome(world) == ("succeeded", "rebooted")


def test_reboot_into_a_new_image_confirms_it_and_is_told():
    world = World(asked("reboot"))
    assert world.boot() == "Reset"
    world.slots.chosen = "ota_1"  # as someone may have set on the console
    assert world.boot() == "Waits"
    assert names(world.walked()[-3:]) == ["BOOTING", "TRYING", "REPORTING"]
    assert not world.slots.trial and outcome(world) == ("succeeded", "rebooted")


# -- roll back -----------------------------------------------------------------------------------


def changed():
    """A world after an update: ota_1 runs, ota_0 holds what ran before."""
    world = updated()
    assert world.boot() == "Waits" and world.slots.running == "ota_1"
    world.walked()
    world.reports.clear()
    world.held.clear()
    world.verdicts = [True] * 3
    return world


def order(world, **changes):
    return job("back", document=dict(left(world), operation="rollback", **changes))


def test_rollback_goes_to_the_other_slot_on_trial_and_succeeds():
    world = changed()
    fetched = len(world.fetched)
    world.jobs = [order(world)]
    assert world.boot() == "Reset"
    assert names(world.walked()[-3:]) == ["ACCEPTING", "OPERATING", "ACTIVATING"]
    assert world.boot() == "Waits"
    assert names(world.walked()) == ["BOOTING", "TRYING", "REPORTING"]
    assert world.slots.running == "ota_0" and not world.slots.trial
    assert world.held == ["applying"]  # once, before the reset that was ordered
    assert [step for _, step, _ in world.reports] == ["applying", "trying", "succeeded"]
    assert len(world.fetched) == fetched


def test_rollback_delivered_again_stays():
    world = changed()
    one = order(world)
    document = dict(one.document)
    world.jobs = [one]
    world.boot()
    world.jobs = [job("back", queued=False, document=document), job("b2", document=document)]
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_0"
    assert world.reports[-2:] == [
        ("back", "succeeded", "accepted v2.0.0"),
        ("b2", "failed", "the other slot holds another image"),
    ]


def test_rollback_can_go_there_and_back():
    world = changed()
    for slot in ("ota_0", "ota_1"):
        world.jobs = [order(world)]
        world.jobs[0].stamp = slot  # another execution
        assert world.boot() == "Reset"
        assert world.boot() == "Waits"
        assert world.slots.running == slot and outcome(world)[0] == "succeeded"


def test_rollback_to_another_image_than_the_slot_holds_fails():
    world = changed()
    hash = left(world)["sha256"]
    for changes, reason in (
        ({"sha256": "0" * 64}, "the other slot holds another image"),
        ({"size": SIZE - 1}, "the other slot holds another image"),
        ({"size": 33 * SECTOR + 1}, "image larger than the slot 135169"),
    ):
        world.jobs = [order(world, **changes)]
        world.jobs[0].stamp = len(world.reports)
        assert world.boot() == "Waits"
        assert outcome(world) == ("failed", reason)
    world.jobs = [order(world, sha256=hash.upper())]
    assert world.boot() == "Reset"


def test_rollback_that_does_not_say_to_what_is_rejected():
    for changes in ({"sha256": None}, {"sha256": "0" * 63}, {"size": 0}, {"size": "1"}):
        world = changed()
        world.jobs = [order(world, **changes)]
        assert world.boot() == "Waits"
        assert outcome(world)[0] == "rejected"


def test_rollback_is_refused_where_the_board_does_not_allow_it():
    for queued, step in ((True, "rejected"), (False, "failed")):
        world = changed()
        world.settings["allow_rollback"] = False
        one = order(world)
        world.jobs = [one]
        one.queued = queued
        assert world.boot() == "Waits" and world.slots.running == "ota_1"
        assert outcome(world) == (step, "rollback is not allowed")
    world = updated()
    world.settings["allow_rollback"] = False
    world.verdicts = [False]
    assert world.boot() == "Reset" and world.boot() == "Waits", "a trial is another matter"
    assert world.slots.running == "ota_0"


def test_rollback_whose_signature_is_none_or_another_images_is_refused_or_fails():
    for changes, reason in (
        ({"signature": 5}, "job document lacks or misstates signature"),
        ({"sig-sha256-rsa": "A" * 1025}, "job document is out of bounds at sig-sha256-rsa"),
    ):
        world = changed()
        world.jobs = [order(world, **changes)]
        assert world.boot() == "Waits"
        assert outcome(world) == ("rejected", reason)
    world = changed()
    world.settings["signers"] = ["/gone.pem"]
    world.jobs = [order(world, signature="AAAA")]
    assert world.boot() == "Waits" and world.slots.running == "ota_1"
    assert outcome(world) == ("failed", "no signer ecdsa")
    assert world.journal["home"] == "ota_1", "the next order may bring a better one"


def test_rollback_on_a_board_that_was_never_updated_fails():
    world = World()
    world.jobs = [order(world)]
    assert world.boot() == "Waits"
    assert outcome(world) == ("failed", "the other slot does not hold what ran before")


def test_rollback_never_runs_an_image_whose_proof_or_trial_failed():
    """What a signer did not sign is in the slot after its download, to the last byte."""
    signed = {"filesize": SIZE, "fileid": 0, "sig-sha256-ecdsa": "AAAA"}
    unproven = {"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": [signed]}}
    world = World(job(document=unproven), settings={"signers": ["/gone.pem"]})
    world.boot()
    assert outcome(world)[0] == "failed"
    world.jobs = [order(world)]
    assert world.boot() == "Waits"
    assert outcome(world) == ("failed", "the other slot does not hold what ran before")

    world = updated()
    world.verdicts = [False]
    assert world.boot() == "Reset" and world.boot() == "Waits"
    world.jobs = [order(world)]
    assert world.boot() == "Waits" and world.slots.running == "ota_0"
    assert outcome(world) == ("failed", "the other slot does not hold what ran before")


def test_rollback_after_a_download_began_fails_even_if_other_jobs_came_between():
    world = changed()
    second = job("j2", stamp=9)
    world.settings["allow_same_version"] = True
    world.watches = [None, Gone("CANCELED")]
    world.jobs = [second, job("e", document={"operation": "echo"})]
    assert world.boot() == "Waits"
    world.jobs = [order(world)]
    assert world.boot() == "Waits"
    assert outcome(world) == ("failed", "the other slot does not hold what ran before")


def test_rollback_keeps_the_heads_of_images_that_ran_even_where_its_trial_fails():
    world = changed()
    world.slots.flash["ota_0"].data[:SIZE] = bytes(range(7, 247)) + bytes(SIZE - 240)
    world.verdicts = [False]
    one = order(world)
    world.jobs = [one]
    assert world.boot() == "Reset" and world.boot() == "Reset"  # on trial, and sick
    assert world.boot() == "Waits" and world.slots.running == "ota_1"
    assert outcome(world) == ("failed", "rolled back: self-test failed")
    assert world.slots.headed("ota_0") and world.slots.headed("ota_1")
    assert world.slots.flash["ota_0"].erases == [0] * 33


def test_rollback_after_other_operations_still_works():
    world = changed()
    world.jobs = [job("e", document={"operation": "echo"}), job("x", document={})]
    assert world.boot() == "Waits"
    world.jobs = [order(world)]
    assert world.boot() == "Reset"


def test_rollback_whose_trial_fails_comes_back_and_says_so():
    world = changed()
    world.jobs = [order(world)]
    world.boot()
    world.verdicts = [False]
    assert world.boot() == "Reset"
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_1"
    assert outcome(world) == ("failed", "rolled back: self-test failed")


def test_rollback_with_the_link_lost_before_it_is_activated_is_done_all_the_same():
    world = changed()
    one = order(world)
    world.jobs = [one, job("back", queued=False, document=one.document)]
    world.faults["applying"] = [Retry("no answer")]
    assert world.boot() == "Reset"
    assert world.boot() == "Waits"
    assert world.slots.running == "ota_0" and outcome(world)[0] == "succeeded"


def test_rollback_with_the_power_cut_at_any_save_ends_in_one_verdict():
    for saves in range(5):
        world = changed()
        document = order(world).document
        world.jobs = [job("back", document=document)]
        Cell.cuts = saves
        runs = 0
        while world.boot() != "Waits":
            runs += 1
            assert runs < 6
            going = world.slots.trial or world.slots.chosen
            world.jobs = [] if going else [job("back", queued=False, document=document)]
        Cell.cuts = None
        verdicts = {step for _, step, _ in world.reports if step in ("succeeded", "failed")}
        assert len(verdicts) == 1, (saves, world.reports)
        assert world.slots.running == ("ota_0" if "succeeded" in verdicts else "ota_1")
        assert not world.slots.trial


def test_rollback_refuses_a_started_job_with_its_reason():
    world = changed()
    device = Device(world)
    one = job("back", document={"operation": "rollback"})
    one.order = {"size": SIZE, "sha256": "0" * 64}
    from sluice.jobs.operations import rollback

    assert raised(Fail, rollback.run, one, device).reason == "the other slot holds another image"
    assert device.journal.phase == IDLE, "nothing was noted"
    run(device.pause())


class Device:
    """What an operation is handed, as far as rollback needs it."""

    def __init__(self, world):
        self.journal, self.slots = Journal(world.cells), world.slots
        self.buffer = bytearray(SECTOR)

    async def pause(self):
        pass


# -- the heap ------------------------------------------------------------------------------------


class Bringing:
    """As much of an agent as OPERATING needs, and an operation that brings what is to be tried."""

    powered, begun, fruitless, path = False, False, 0, "bringing"
    id, number, stamp = "j1", 1, 7

    def __init__(self, cells):
        self.journal, self.heap = Journal(cells), Heap()
        self.job = self.work = self.starts = self

    @staticmethod
    async def run(job, agent):
        agent.journal.take(job, phase=DOWNLOADING)


def test_what_an_operation_brings_wears_the_heap_once_and_no_start_after_that():
    cells = Cell(), Cell()
    sys.modules["bringing"] = Bringing
    try:
        one = Bringing(cells)
        assert run(operating(one)) == "genuine" and one.heap.worn
        assert run(operating(one)) == "genuine" and one.heap.worn, "the link was lost meanwhile"
        after = Bringing(cells)
        assert run(operating(after)) == "genuine" and not after.heap.worn, "resets for ever"
    finally:
        del sys.modules["bringing"]
