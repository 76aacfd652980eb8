"""What `--wait` says while a job goes on: whole lines, and only what has changed.

Nothing is drawn over. A cloud and a board may print to the same terminal, and no line of theirs
is to be lost.
"""

from collections.abc import Iterator

from sluice.fleet.shown import colour, going
from sluice.fleet.status import Execution
from sluice.fleet.watch import SHOWN, Watch

TENTHS = 10  # of a download: so many lines of it at most

Line = tuple[str, str]  # a text, and its colour


class News:
    """Of a job that is watched.

    each    a line for each thing, as a person wants it; where there are more than SHOWN, and for
            a program, a line of all, counted
    """

    def __init__(self, watch: Watch, each: bool) -> None:
        self._watch, self._each = watch, each
        self._said = ""
        self._known: dict[str, tuple[object, ...]] = {}  # thing → how it stood when it was said

    def lines(self, over: bool, trouble: str) -> Iterator[Line]:
        """What to say after a look.

        over      the job has ended: a thing that is alone gets its verdict elsewhere
        trouble   what kept an answer from coming, "" for nothing
        """
        each = self._each and 0 < len(self._watch.devices) <= SHOWN
        line = trouble or ("" if each else self._watch.headline)
        if line and line != self._said:
            yield line, ""
        self._said = line
        if each and not trouble and not (over and self._watch.alone):
            yield from self._of_each()

    def _of_each(self) -> Iterator[Line]:
        for thing, one in sorted(self._watch.devices.items()):
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
    return one.number, one.status, step, tenth(one.details.get("receive", ""))


def tenth(receive: str) -> int:
    """How many tenths of "received/total" have come."""
    done, _, total = receive.partition("/")
    if not (done.isdecimal() and total.isdecimal() and int(total)):
        return 0
    return TENTHS * int(done) // int(total)
