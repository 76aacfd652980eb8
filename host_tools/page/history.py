"""The heap and the speed of boards over time: a bounded memory of what they told."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from sluice.fleet.status import Execution, Progress, ThingStatus, number, progress

POINTS = 120  # of each curve
THINGS = 200  # those told of last


@dataclass(frozen=True)
class Before:
    """What ran in a slot until a job made the other slot run."""

    slot: str
    version: str
    job: str


@dataclass
class Course:
    """What one thing told."""

    heap: deque = field(default_factory=lambda: deque(maxlen=POINTS))  # (time, bytes free)
    speed: deque = field(default_factory=lambda: deque(maxlen=POINTS))  # (time, share a second)
    execution: tuple[str, int] | None = None
    progress: Progress | None = None  # the last that this execution told
    told_at: float = 0.0
    heap_at: float | None = None  # when it last told of its heap
    runs: tuple[str, str] = ("", "")  # slot, and version in it
    before: Before | None = None


class History:
    """The courses of things."""

    def __init__(self) -> None:
        self._courses: OrderedDict[str, Course] = OrderedDict()

    def of(self, thing: str) -> Course:
        """What a thing told; empty for one that was never seen."""
        return self._courses.get(thing) or Course()

    def note(self, status: ThingStatus, now: float) -> Course:
        """Take what is new in how a thing stands, at a time in seconds since 1970."""
        course = self._courses.setdefault(status.thing, Course())
        self._courses.move_to_end(status.thing)
        while len(self._courses) > THINGS:
            self._courses.popitem(last=False)
        _heap(course, status.told_at or now, status.free)
        _runs(course, status)
        if status.job:
            self._note_execution(course, status.job, now)
        return course

    def _note_execution(self, course: Course, one: Execution, now: float) -> None:
        key = one.job, one.number
        if course.execution != key:
            course.execution, course.progress, course.told_at = key, None, 0.0
        came = progress(one.details)
        if came is None or came == course.progress:
            return
        at = one.changed_at or now
        if at <= course.told_at:  # it is given in whole seconds by some
            at = now
        last = course.progress
        if last and last.total == came.total and came.done > last.done and at > course.told_at:
            share = (came.done - last.done) / came.total / (at - course.told_at)
            course.speed.append((round(at, 1), share))
        course.progress, course.told_at = came, at
        _heap(course, at, number(one.details.get("heap", "")))


def _runs(course: Course, status: ThingStatus) -> None:
    """Take which slot runs, and remember what ran before in the other."""
    slot, version = course.runs
    if slot and status.slot not in ("", slot) and status.job:
        course.before = Before(slot, version, status.job.job)
    course.runs = status.slot, status.image


def _heap(course: Course, at: float, free: int | None) -> None:
    """Take what is newer than the last; a point of the curve is what is another, too."""
    if free is None or at <= (course.heap_at or 0.0):
        return
    if not course.heap or course.heap[-1][1] != free:
        course.heap.append((round(at, 1), free))
    course.heap_at = at
