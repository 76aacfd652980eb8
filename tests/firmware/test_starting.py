"""What is done once before there is an agent: files of a job, and the application."""

import asyncio
import os
import sys

from doubles import raised
from medium import Board, fill, read, write

from sluice import failures, journal, log, starting
from sluice.errors import Fail
from sluice.files import staging
from sluice.job import File, Job
from sluice.journal import ACTIVATED

DIFFERS = True  # imports

HEAP = "4m"


def application(source, trial, starts=0):
    """starting.application on a board with that app.py; without one for None."""
    lines = []
    with Board(files={} if source is None else {"app.py": source}):
        sys.modules.pop("app", None)
        sys.path.insert(0, "/")
        log.to(lines.append)
        try:
            return starting.application(trial, starts), lines
        finally:
            log.to(print)
            sys.path.pop(0)


def test_application_that_is_broken_ends_a_trial_and_is_passed_over_otherwise():
    for source, kind in (
        (b"x = 1 +", SyntaxError), (b"import nothing", ImportError), (b"{}[1]", KeyError),
        (b"import sys; sys.exit()", SystemExit), (b"raise SystemExit(3)", SystemExit),
    ):  # fmt: skip
        raised(kind, application, source, True)
        for trial in (False, None):
            app, lines = application(source, trial)
            fault = raised(Fail, asyncio.run, app.main(None))
            assert str(fault).startswith(kind.__name__), source
            fault = raised(Fail, asyncio.run, app.healthy())
            assert str(fault).startswith("application failed: "), source


def test_application_that_is_broken_forges_no_line_and_moves_no_terminal():
    source = b"raise ValueError('bad\\r\\nE 1 main forged\\x1b[2J')"
    printed = []
    failures.print = printed.append
    sys.modules["sluice.failures"] = failures
    _, lines = application(source, False)
    assert printed[0].startswith("Traceback")
    assert printed[-1] == "ValueError: bad\\x0d\\x0aE 1 main forged\\x1b[2J"
    for line in lines + printed:
        assert all(32 <= c < 127 for c in line.encode()), line


def test_application_is_left_out_after_three_starts_that_came_to_nothing():
    for starts in range(4):
        assert application(b"x = 5", False, starts)[0].x == 5
    for trial in (False, None, True):
        app, lines = application(b"x = 5", trial, 4)
        assert not hasattr(app, "x")
        assert str(raised(Fail, asyncio.run, app.main(None))) == "did not start, times 3"
        why = str(raised(Fail, asyncio.run, app.healthy()))
        assert why == "application failed: did not start, times 3"


def test_application_that_is_missing_is_none_on_trial_too():
    assert application(None, True) == application(None, False) == (None, [])
    assert application(b"x = 5", True)[0].x == 5


class Slots:
    running = "ota_0"
    trial = False


def test_start_on_a_full_file_system_goes_on_off_trial_and_its_files_have_failed():
    job = Job("j", 1)
    job.files = [File(4, "http_range")]
    job.files[0].path = "/new"
    log.to(lambda line: None)
    try:
        with Board():
            staging.begin(job, "i")
            write(staging.name(0), b"data")
            staging.activate(job, trial=True)
            fill()
            Slots.trial = True
            raised(OSError, starting.taken_back, Slots)
            Slots.trial = False
            assert starting.taken_back(Slots) is False
            assert staging.record().phase == ACTIVATED
            assert staging.rebooted()[0] == "failed"
    finally:
        log.to(print)


class Cell:
    """A cell of the journal that is no file, as a W800's."""

    def __init__(self, data):
        self.data = data
        self.fault = None

    def load(self):
        if self.fault:
            raise self.fault
        return self.data

    def save(self, data):
        self.data = data


class Keys:
    """A board with such cells."""

    def __init__(self):
        self.pair = (Cell(b"first"), Cell(b"second" * 1_000))

    def cells(self):
        return self.pair


def set_aside(board):
    log.to(lambda line: None)
    try:
        starting.set_aside(board)
    finally:
        log.to(print)


def test_journal_is_set_aside_whatever_it_holds_and_wherever_it_lies():
    with Board():
        for path in ("/journal.0", "/journal.1", "/staged/journal.0", "/staged/journal.1"):
            write(path, b"of " + path.encode())
        set_aside(None)
        assert read("/journal.aside").split(b"\n")[:4] == [
            b"of /journal.0", b"of /journal.1", b"of /staged/journal.0", b"of /staged/journal.1",
        ]  # fmt: skip
        assert read("/journal.0") == read("/staged/journal.1") == b""
        assert journal.Journal(journal.cells(None)).phase == journal.IDLE
        assert staging.record().phase == journal.IDLE
    with Board():
        keys = Keys()
        set_aside(keys)
        assert [cell.data for cell in keys.pair] == [b"", b""]
        assert read("/journal.aside").startswith(b"first\nsecondsecond")
        assert len(read("/journal.aside")) < 2_200
        assert "staged" not in os.listdir("/")


def test_journal_is_emptied_though_it_cannot_be_kept():
    for fault in (MemoryError(), None):
        with Board():
            keys = Keys()
            keys.pair[0].fault = fault
            if not fault:
                fill()
            set_aside(keys)
            assert [cell.data for cell in keys.pair] == [b"", b""]
