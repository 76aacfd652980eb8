"""What `--wait` says while a job goes on: whole lines, and only what has changed.

Nothing is drawn over. A cloud and a board may print to the same terminal, and no line of theirs
is to be lost.
"""

from collections.abc import Iterator, Mapping

from sluice.fleet.shown import colour, going
from sluice.fleet.status import Execution, progress

SHOWN = 20  # things that get lines of their own
TENTHS = 10  # of a download: so many lines of it at most

Line = tuple[str, str]  # a text, and its colour


class News:
    """Of one job.

    each    a line for each thing, as a person wants it; where there are more than SHOWN, and for
            a program, a line of all, counted
    """

    def __init__(self, each: bool) -> None:
        self._each = each
        self._said = ""
        self._known: dict[str, tuple[object, ...]] = {}  # thing → how it stood when it was said

    def lines(
        self, counts: str, things: Mapping[str, Execution], trouble: str = "", last: bool = False
    ) -> Iterator[Line]:
        """What to say after a look.

        counts    the line of all
        trouble   what kept an answer from coming, "" for nothing
        last      the verdicts follow elsewhere: lines of things are not wanted any more
        """
        each = self._each and 0 < len(things) <= SHOWN
        line = trouble or ("" if each else counts)
        if line and line != self._said:
            yield line, ""
        self._said = line
        if each and not trouble and not last:
            yield from self._of_each(things)

    def _of_each(self, things: Mapping[str, Execution]) -> Iterator[Line]:
        for thing, one in sorted(things.items()):
            stands = standing(one)
            if self._known.get(thing) != stands:
                again = f", try {one.number}" if one.number > 1 else ""
                yield f"{thing}{again}: {one.verdict}{going(one)}", colour(one.status)
            self._known[thing] = stands


def standing(one: Execution) -> tuple[object, ...]:
    """What of a thing is worth a line when it changes."""
    if one.status != "IN_PROGRESS":
        return one.number, one.status
    step = one.details.get("self_test") or one.details.get("step")
    return one.number, one.status, step, tenth(one.details)


def tenth(details: Mapping[str, str]) -> int:
    """How many tenths of a download have come."""
    came = progress(details)
    return TENTHS * came.done // came.total if came else 0
