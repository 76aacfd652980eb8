"""What a file system on flash shows after the power failed inside a rename between two folders.

LittleFS 2.10 and later note a move that was torn, and hide folders that were finished until the
first call that writes. So the agent makes one such call after the mount, before it looks.
"""

import sys
import time

import vfs
from medium import Board, Chip, PowerCut, tree
from test_main import DEEPSLEEP, HARD, PWRON, SOFT, WDT, Module
from test_main import Chip as Machine
from test_main import start as started
from test_staging import OLD, Slots, after, quiet, staged

from sluice.errors import Fail
from sluice.files import staging

DIFFERS = True
HEAP = "6m"
STEPS = (  # as files of a job are put in place
    ("mkdir", "/data"),
    ("mkdir", "/data/deep"),
    ("rename", "/app.py", "/staged/0.old"),
    ("rename", "/staged/0", "/app.py"),
    ("rename", "/staged/1", "/data/deep/map"),
)
MADE = ("/data", "/data/deep", "/staged/0.old")  # what is there after each of the first steps
FILES = {"app.py": b"x" * 7, "keep.txt": b"y" * 9, "staged/0": b"z" * 7, "staged/1": bytes(9000)}


def mounted(chip):
    return vfs.VfsLfs2(chip, progsize=32, readsize=32, lookahead=32)


def torn(cut):
    """(the flash after a power cut at that operation, steps that were completed by then)."""
    chip = Board(files=FILES).chip
    files = mounted(chip)
    chip.left, done = cut, 0
    try:
        for name, *paths in STEPS:
            getattr(files, name)(*paths)
            done += 1
    except PowerCut:
        pass
    after = Chip()
    after.data = bytearray(chip.data)
    return after, done


def there(files, path):
    try:
        files.stat(path)
        return True
    except OSError:
        return False


def missing(files, done):
    """What was finished before the cut, and is not to be seen."""
    return [path for path in MADE[:done] if not there(files, path)]


def lost(write):
    """{cut: what is not to be seen after it} at each operation, with `write` after the mount."""
    cut, done, found = 0, 0, {}
    while done < len(STEPS):
        chip, done = torn(cut)
        files = mounted(chip)
        write(files)
        if done < 4 and missing(files, done):  # the third file goes on its way in the fourth step
            found[cut] = missing(files, done)
        cut += 1
    assert cut > 10  # operations were cut at, and the last one was not
    return found


def removes_nothing(files):
    """The call that writes nothing that anybody sees."""
    try:
        files.remove("/.mend")
    except OSError:
        pass


def makes_and_removes(files):
    files.mkdir("/.mend")
    files.rmdir("/.mend")


def test_finished_folders_are_seen_after_a_call_that_writes():
    assert lost(makes_and_removes) == {}


def test_removing_what_is_not_there_is_such_a_call():
    assert lost(removes_nothing) == {}


def test_looking_alone_is_none_where_a_torn_move_hides_folders():
    """Or the two above would prove nothing; LittleFS of MicroPython 1.25 and before hides none."""
    version = sys.implementation[1][:2]
    hidden = lost(lambda files: there(files, "/keep.txt"))
    assert bool(hidden) == (version >= (1, 26)), (version, hidden)


# -- the firmware's own start ---------------------------------------------------------------------

GUARDS = ("main", "os", "machine", "time", "esp32")  # the guard, and what it imports first
CAUSES = (PWRON, DEEPSLEEP, HARD, WDT, SOFT)


class Start(Machine):
    """A chip that starts by main.py, run.py and starting.py, up to where the agent is made."""

    def modules(self, run):
        found = Machine.modules(self, None)
        found["board"].slots = Slots
        found["board"].NAME = "BOARD"
        found["board"].watchdog = lambda timeout_ms: None
        settings = {"log": "E", "watchdog_s": 0, "trial_s": 300}
        found["sluice.lastgood"] = Module(load=lambda trial: settings)
        for name in ("time", "ticks_ms", "ticks_us", "ticks_add", "ticks_diff"):
            setattr(found["time"], name, getattr(time, name))
        found["sluice.wiring"] = Module(build=self.build)
        return found

    def build(self, *words):
        self.said.append("made")
        raise Fail("that is enough")


def start(cause):
    """One start; whether it came to the making of the agent."""
    chip = Start(cause)
    quiet(started, chip, None, False)
    return "made" in chip.said


class Witness:
    """A file system that notes what it is asked for."""

    def __init__(self, files, calls):
        self.files, self.calls = files, calls

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def __getattr__(self, name):
        def call(*words):
            self.calls.append((name,) + words)
            return getattr(self.files, name)(*words)

        return call


def test_start_makes_a_call_that_writes_before_it_looks_whatever_led_to_it():
    for cause in CAUSES:
        for state in (None, (0, 1)):
            calls, board = [], Board(files={})
            board.mends, board.over = False, lambda files: Witness(files, calls)
            with board:
                del calls[:]
                chip = Start(cause, state)
                quiet(started, chip, None, False)
            asked = [call for call in calls if call[0] != "chdir" and call[0] != "getcwd"]
            while asked[0][0] == "stat" and asked[0][1].lstrip("/").split(".")[0] in GUARDS:
                asked.pop(0)  # the interpreter looks for these in the root
            assert asked[0] == ("remove", "/.mend"), (cause, asked[:4])
            assert [call for call in asked if call[0] == "open"], "it looked, later"


def promised_and_cut(cut):
    """A board whose power failed at that operation of putting files in place; None: it did not."""
    before = Board(files=OLD)
    with before:
        staging.activate(staged())
    with before:
        before.cut_after(cut)
        try:
            quiet(staging.at_start, Slots())
            return None
        except PowerCut:
            pass
    board = Board(files={})
    board.mends = False
    board.chip.data[:] = before.chip.data  # no file of the one before is open on it
    return board


def test_start_after_a_cut_has_all_files_of_a_job_in_place():
    cut = 0
    board = promised_and_cut(cut)
    while board:
        with board:
            assert start(CAUSES[cut % 2]), "neither is counted, which would write"
            found = tree()
            assert found == after(), (cut, sorted(found))
        cut += 1
        board = promised_and_cut(cut)
    assert cut > 20
