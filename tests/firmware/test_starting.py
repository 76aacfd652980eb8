"""What is done once before there is an agent: the application, whatever it does when imported."""

import sys

import starting
from doubles import raised
from medium import Board

from ota import log

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
        (b"x = 1 +", SyntaxError), (b"import nothing", ImportError), (b"1 // 0", ZeroDivisionError),
        (b"import sys; sys.exit()", SystemExit), (b"raise SystemExit(3)", SystemExit),
    ):  # fmt: skip
        raised(kind, application, source, True)
        app, lines = application(source, False)
        assert app is None and "application cannot be loaded" in lines[0], source


def test_application_that_is_missing_is_none_on_trial_too():
    assert application(None, True) == application(None, False) == (None, [])
    assert application(b"x = 5", True)[0].x == 5
