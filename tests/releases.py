"""Which releases of MicroPython the tests of a session run on.

without a word           all on `sluice.toolchain.DEFAULT`, and what differs on every release
--micropython 1.26       all on that one; `$SLUICE_MICROPYTHON` says the same
--micropython all        all on every release

A test that runs MicroPython asks for the fixture `release`, mostly through another fixture. What
differs between releases is marked: `pytest.mark.differs`, or `DIFFERS = True` in a file of device
tests. Where a test runs on several, its id ends with the release.
"""

import os

import pytest

from sluice.toolchain import ASKED, DEFAULT, RELEASES, micropython, version_of

OPTION = "--micropython"


def offer(parser: pytest.Parser) -> None:
    """The option."""
    text = f"the release of MicroPython to run on: {', '.join(RELEASES)}, or all"
    parser.addoption(OPTION, metavar="RELEASE", help=text)


def settle(config: pytest.Config) -> None:
    """Read option and variable, once: a worker of xdist inherits both. pytest.UsageError."""
    if not hasattr(config, "workerinput"):
        config.option.micropython = config.option.micropython or os.environ.get(ASKED)
    os.environ[ASKED] = wanted(config)[0]


def wanted(config: pytest.Config, differs: bool = False) -> tuple[str, ...]:
    """The releases for a test. pytest.UsageError when there is no such release."""
    asked = config.option.micropython
    if asked == "all" or (not asked and differs):
        return tuple(RELEASES)
    for name, release in RELEASES.items():
        if asked in (name, release.version):
            return (name,)
    if asked:
        known = ", ".join(RELEASES)
        raise pytest.UsageError(f"{OPTION}: there is no release {asked}, but {known}, and all")
    return (DEFAULT,)


def heading(config: pytest.Config) -> str:
    """What the session runs on, as the programs themselves say."""
    every = wanted(config)
    also = [name for name in wanted(config, differs=True) if name not in every]
    text = "MicroPython " + ", ".join(version_of(micropython("i386", name)) for name in every)
    more = ", ".join(version_of(micropython("i386", name)) for name in also)
    return f"{text}; what differs also on {more}" if more else text
