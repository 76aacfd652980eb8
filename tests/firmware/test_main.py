"""The guard: what it starts, counts, and does about what fails. Each start is an import of it."""

import builtins
import os
import sys

from medium import Board, fill, read, write
from tree_samples import app, note, noted, unmounted

HEAP = "4m"
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
BROKEN = (ValueError("broken"), ImportError("lacks"), MemoryError(), SystemExit(), None)


class Reset(BaseException):
    """The board resets: nothing after it runs."""


class Module:
    """Stands for a module."""

    def __init__(self, **names):
        for name, value in names.items():
            setattr(self, name, value)


class Chip:
    """Resets, a watchdog, otadata, and a clock; what happened, in words."""

    def __init__(self, cause=PWRON, state=None, esp32=True):
        self.said = []
        self.slept_ms = self.fed = 0
        self.interrupt_ms = None  # when Ctrl-C comes
        self.watchdog = None  # what the module `run` armed
        self.held = None  # what `run` was given: the buffer's size, the counts
        self.runs = self.trial = None  # and of the trees
        self.cause = cause
        self.state = state
        self.esp32 = esp32
        self.faults = []
        self.loaded = None  # the module `app`, once `run` has run

    # machine
    def reset(self):
        self.said.append("reset")
        raise Reset

    def arm(self, timeout):
        self.said.append("watchdog %d" % timeout)

    def sleep_ms(self, wait_ms):
        self.slept_ms += wait_ms
        if self.interrupt_ms is not None and self.slept_ms >= self.interrupt_ms:
            raise KeyboardInterrupt

    # esp32
    def find(self, kind, subtype):
        assert (kind, subtype) == (1, 0)
        return [self]

    def readblocks(self, sector, record, offset):
        if self.state == "broken":
            raise OSError(5)
        record[24:28] = b"\xff" * 4
        if self.state is not None and sector == self.state[0]:
            record[24] = self.state[1]
            record[25:28] = bytes(3)

    # run
    def feed(self):
        self.fed += 1

    def rest(self):
        self.said.append("rests")

    def failed(self, error, counts, note):
        self.faults.append(error)

    def modules(self, run):
        esp32 = Module(Partition=Module(find=self.find))
        machine = Module(
            reset=self.reset, WDT=self.arm, reset_cause=lambda: self.cause,
            PWRON_RESET=1, HARD_RESET=2, WDT_RESET=3, DEEPSLEEP_RESET=4, SOFT_RESET=5,
        )  # fmt: skip
        found = {"machine": machine, "time": Module(sleep_ms=self.sleep_ms)}
        found["sluice.run"] = run
        found["board"] = Module(reset=self.reset)
        found["sluice.console.prompt"] = Module()
        found["esp32"] = esp32
        return {name: module for name, module in found.items() if module}


def start(chip, outcome=None, run=True):
    """Import main.py on that chip; what ended it: Reset, SystemExit or KeyboardInterrupt.

    outcome  what `run.run` raises; None: it returns
    run      whether the module `run` can be imported
    """

    def running(buffer, counts, note, runs, trial):
        chip.held = (len(buffer), list(counts))
        chip.runs, chip.trial = runs, trial
        chip.beside = "trees" in sys.modules
        chip.note = note
        if chip.loaded:
            sys.modules["app"] = chip.loaded
        if outcome:
            raise outcome

    code = run and Module(run=running, failed=chip.failed, rest=chip.rest, watchdog=chip.watchdog)
    path, modules = sys.path[:], sys.modules.copy()
    sys.path.insert(0, "")
    names = ("main",) if chip.esp32 else ("main", "esp32")
    for name in ("sluice.run", "board", "sluice.console.prompt") + names:
        sys.modules.pop(name, None)
    sys.modules.update(chip.modules(code))
    if not chip.esp32:
        del sys.modules["esp32"]
    try:
        __import__("main")
    except BaseException as error:
        chip.path = sys.path[:]
        chip.greeted = "main" and sys.modules.get("sluice.console.prompt") is not None
        return type(error)
    finally:
        sys.path[:] = path
        unmounted()
        for name in list(sys.modules):
            if name not in modules:
                del sys.modules[name]
        sys.modules.update(modules)


def counted():
    try:
        return read("/starts")
    except OSError:
        return None


def test_whatever_fails_on_trial_ends_in_a_reset_that_takes_it_back():
    for sector in (0, 1):
        for outcome in BROKEN:
            with Board():
                chip = Chip(HARD, (sector, 1))
                assert start(chip, outcome) is Reset, outcome
                assert chip.said == ["watchdog 300000", "reset"] and chip.slept_ms == 10_000
                assert len(chip.faults) == 1 and not chip.fed


def test_fault_that_cannot_be_told_of_is_named_and_its_words_are_not_printed():
    """They may be anybody's. Where there is no `run`, nobody was heard yet."""
    for error, run, found in (
        (ValueError("\x1b[2J"), True, ["ValueError"]), (MemoryError(), True, []),
        (None, False, []), (SystemExit("\x1b[2J"), True, ["SystemExit"]),
    ):  # fmt: skip
        with Board():
            chip, printed = Chip(HARD, (0, 1)), []
            chip.failed = unable
            builtins.print, was = lambda *words: printed.append(words[0]), print
            try:
                assert start(chip, error, run) is Reset
            finally:
                builtins.print = was
            assert printed == found + ["The board starts again in"], error


def test_pause_that_a_full_heap_cuts_short_ends_in_the_reset():
    with Board():
        chip = Chip(HARD)
        chip.modules, modules = (
            lambda run: dict(modules(run), time=Module(sleep_ms=full)),
            chip.modules,
        )
        assert start(chip, MemoryError()) is Reset and chip.said == ["reset"]


def full(*words):
    raise MemoryError


def test_application_is_let_go_of_before_a_fault_is_told_of_because_it_may_hold_the_heap():
    with Board():
        chip, told = Chip(HARD), []
        chip.failed = lambda error, counts, note: told.append("app" in sys.modules)
        chip.loaded = Module()
        assert start(chip, MemoryError()) is Reset
        assert chip.said == ["reset"] and told == [False]


def unable(error, counts, note):
    raise MemoryError


def test_firmware_that_cannot_be_imported_ends_in_a_reset_on_trial_and_off_it():
    for state in ((0, 1), (0, 2), None):
        with Board():
            chip = Chip(HARD, state)
            sys.path.append("/nothing")
            assert start(chip, run=False) is Reset
            assert chip.said[-1] == "reset"
            assert chip.slept_ms == (10_000 if state == (0, 1) else 20_000)


def test_trial_is_what_otadata_says_and_what_it_cannot_say():
    for state, trial in (
        (None, False), ((0, 2), False), ((1, 3), False), ((0, 4), False), ((0, 0), False),
        ((0, 1), True), ((1, 1), True), ("broken", True),
    ):  # fmt: skip
        with Board():
            chip = Chip(HARD, state)
            start(chip)
            assert ("watchdog 300000" in chip.said) is trial, state
    with Board():
        chip = Chip(HARD, (0, 1), esp32=False)
        start(chip)
        assert "watchdog 300000" not in chip.said


def test_pause_off_trial_grows_to_fifteen_minutes_and_is_fed():
    with Board():
        paused = []
        for _ in range(9):
            chip = Chip(HARD)
            chip.watchdog = chip
            assert start(chip, ValueError("broken")) is Reset
            paused.append(chip.slept_ms // 1_000)
            assert chip.fed == paused[-1]
        assert paused == [20, 40, 80, 160, 320, 900, 900, 900, 900]


def test_soft_reset_of_the_applications_own_goes_on_off_trial_and_counts():
    with Board():
        assert start(Chip(PWRON), SystemExit()) is SystemExit
        assert counted() is None
        for number in range(1, 4):
            assert start(Chip(SOFT), SystemExit()) is SystemExit
            assert counted() == b"%d0" % number


def test_start_counts_by_what_led_to_it():
    with Board():
        for cause, count in (
            (PWRON, None), (DEEPSLEEP, None), (0, None), (HARD, b"10"), (PWRON, b"10"),
            (WDT, b"20"), (DEEPSLEEP, b"20"), (SOFT, b"30"), (PWRON, b"30"),
        ):  # fmt: skip
            chip = Chip(cause)
            start(chip)
            assert counted() == count, cause
            assert chip.held == (4_100, [int(chr(digit)) for digit in count or b"00"])


def test_counts_end_at_nine_and_what_is_no_count_is_none():
    for kept, count in (
        (b"99", b"99"), (b"83", b"93"), (b"", b"10"), (b"7", b"10"), (b"x5", b"10"),
        (b"5x", b"10"), (b"\xff\x00", b"10"), (b"30" * 50_000, b"40"),
    ):  # fmt: skip
        with Board():
            write("/starts", kept)
            start(Chip(WDT))
            assert counted() == count, kept[:4]


def test_ctrl_c_clears_the_counts_and_brings_the_prompt_wherever_it_comes():
    for outcome, wait_ms in ((KeyboardInterrupt(), None), (ValueError("broken"), 5_000)):
        for state, rests in ((None, ["rests"]), ((0, 1), [])):
            with Board():
                write("/starts", b"52")
                chip = Chip(WDT, state)
                chip.watchdog, chip.interrupt_ms = chip, wait_ms
                assert start(chip, outcome) is KeyboardInterrupt
                assert counted() == b"00" and chip.said[-1:] == (rests or ["watchdog 300000"])


def test_root_comes_last_where_modules_are_looked_for():
    with Board():
        chip = Chip()
        start(chip)
        assert chip.path[-1] == "" and chip.path.count("") == 1


def test_full_or_failing_file_system_does_not_stop_a_start():
    for first in (True, False):
        with Board() as board:
            if first:
                fill()
            else:
                write("/starts", b"00")
                fill()
            for number in range(1, 60):
                chip = Chip(WDT)
                assert start(chip) is Reset and chip.held[1][0] in (1, min(number, 9))
            if not first:
                assert counted() == b"90", "a file that is there already takes another count"
            board.chip.writeblocks = lambda *words: -5
            chip = Chip(WDT)
            assert start(chip) is Reset and chip.held[1][0]


def test_start_that_is_in_order_writes_nothing():
    with Board() as board:
        write("/starts", b"00")
        board.chip.operations = 0
        start(Chip(PWRON))
        assert board.chip.operations == 0
        start(Chip(HARD))
        assert 0 < board.chip.operations <= 8, board.chip.operations
        assert os.listdir("/").count(".mend") == 0


# -- trees ---------------------------------------------------------------------------------------


def trial(board):
    """Put an application on the board that is to be tried, and the one before; their entries."""
    old, new = app("a", b"X = 'old'"), app("b", b"X = 'new'", "2.0.0")
    note(app=[new, old], new=["app"])
    return new, old


def test_board_without_trees_is_told_so_and_keeps_nothing_of_their_module():
    with Board():
        chip = Chip()
        start(chip)
        assert (chip.runs, chip.trial, chip.beside) == ({}, False, False)


def test_tree_that_runs_is_told_and_is_no_trial():
    with Board():
        entry = app("a", b"X = 5")
        note(app=[entry])
        chip = Chip(HARD)
        assert start(chip, ValueError("broken")) is Reset
        assert (chip.runs, chip.trial, chip.beside) == ({"app": entry}, False, False)
        assert chip.path[0] == "/.app" and chip.path[-1] == ""
        assert chip.said == ["reset"] and chip.slept_ms == 20_000


def test_whatever_fails_on_trial_of_a_tree_ends_in_a_reset_that_takes_it_back():
    for outcome in BROKEN:
        with Board() as board:
            new, old = trial(board)
            chip = Chip(HARD)
            chip.watchdog = chip
            assert start(chip, outcome) is Reset, outcome
            assert chip.runs == {"app": new} and chip.trial is True
            assert chip.said == ["watchdog 300000", "reset"] and chip.slept_ms == 10_000
            assert not chip.fed, "what hangs on trial is left to the watchdog"
            chip = Chip(HARD)
            start(chip)
            assert chip.runs == {"app": old} and chip.trial is False


def test_agent_that_cannot_be_imported_on_trial_of_a_tree_ends_in_a_reset():
    with Board() as board:
        new, old = trial(board)
        chip = Chip(HARD)
        sys.path.append("/nothing")
        assert start(chip, run=False) is Reset
        assert chip.said == ["watchdog 300000", "reset"] and chip.slept_ms == 10_000
        assert noted()["tried"]


def test_tree_on_trial_that_cannot_be_taken_onto_the_path_ends_in_a_reset():
    with Board() as board:
        new, old = trial(board)
        write("/app.b", b"something else")
        chip = Chip(HARD)
        assert start(chip) is Reset and chip.held is None and chip.said == ["reset"]
        chip = Chip(HARD)
        start(chip)
        assert chip.runs == {"app": old}


def test_ctrl_c_on_trial_of_a_tree_leaves_the_watchdog_unfed():
    with Board() as board:
        trial(board)
        chip = Chip(HARD)
        chip.watchdog = chip
        assert start(chip, KeyboardInterrupt()) is KeyboardInterrupt
        assert chip.said == ["watchdog 300000"], chip.said
