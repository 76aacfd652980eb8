"""What is done once before there is an agent: files of a job, and the application."""

import sys

import starting
from doubles import raised
from medium import Board, fill, write

from ota import log, staging
from ota.job import File, Job
from ota.journal import ACTIVATED

DIFFERS = True  # imports

HEAP = "1m"


def application(source, trial):
    """starting.application on a board with that app.py; without one for None."""
    lines = []
    with Board(files={} if source is None else {"app.py": source}):
        sys.modules.pop("app", None)
        sys.path.insert(0, "/")
        log.to(lines.append)
        try:
            return starting.application(trial), lines
        finally:
            log.to(print)
            sys.path.pop(0)


def test_application_that_is_broken_ends_a_trial_and_is_passed_over_otherwise():
    for source, kind in (
        (b"x = 1 +", SyntaxError), (b"import nothing", ImportError), (b"{}[1]", KeyError),
        (b"import sys; sys.exit()", SystemExit), (b"raise SystemExit(3)", SystemExit),
    ):  # fmt: skip
        raised(kind, application, source, True)
        app, lines = application(source, False)
        assert app is None and "application cannot be loaded" in lines[0], source


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
            raised(OSError, starting.settle, Slots, None)
            Slots.trial = False
            assert starting.settle(Slots, None) is False
            assert staging.record().phase == ACTIVATED
            assert staging.rebooted()[0] == "failed"
    finally:
        log.to(print)
