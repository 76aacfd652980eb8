"""One job's fault kept apart from the others: the cloud says so, and goes on with the rest."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("sluice.cloud")


class Apart:
    """For what is done again and again, so that the same fault is told once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Whatever is raised within ends only this; `what` names it in the log."""
        try:
            yield
        except Exception as error:
            line = " ".join(f"{what}: {type(error).__name__}: {error}".split())
            if self._told.get(what) != line:
                LOG.error("%s", line)
            self._told[what] = line
