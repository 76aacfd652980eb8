"""Reads how the fleet stands while somebody looks, and tells viewers what has changed."""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from sluice.errors import SluiceError
from sluice.fleet.clients import plainly
from sluice.fleet.status import FleetStatus, JobsStatus, JobStatus, ThingStatus
from sluice.page import shapes
from sluice.page.history import History
from sluice.page.picture import Picture, Piece, Viewer
from sluice.page.sectors import Filling, filling

LOG = logging.getLogger("sluice.page")
VIEWERS = 16  # streams of events at once
SOONEST_S = 1.0  # between two readings, whoever looks at what
BEAT_S = 15  # a viewer hears that often, whatever happens, so that a lost one is noticed
PATIENCE_S = 60  # between two readings that fail, at most
DOCUMENTS = 100  # of jobs, remembered because they never change


class Reader(Protocol):
    """What `sluice.fleet.reader.Reader` is."""

    def fleet(self) -> FleetStatus:
        """All things."""

    def thing(self, name: str) -> ThingStatus:
        """One thing."""

    def jobs(self) -> JobsStatus:
        """The newest jobs."""

    def job(self, name: str) -> JobStatus:
        """One job, with its document and its executions."""


class Looking:
    """One look after the other, each in a thread, never two at once.

    name    of the cloud, for people
    poll_s  between two looks
    where   the options that say which cloud is meant
    """

    def __init__(self, reader: Reader, name: str, poll_s: float, where: str = "") -> None:
        self.poll_s = poll_s
        self._reader = reader
        self._name, self._where = name, where
        self._history = History()
        self._fillings: OrderedDict[str, Filling | None] = OrderedDict()  # by job

    def look(self, focuses: set[tuple[str, str]]) -> list[Piece]:
        """All that there is to be shown. Raises SluiceError."""
        with plainly():
            fleet, jobs = self._reader.fleet(), self._reader.jobs().jobs[: shapes.JOBS]
        pieces = [Piece("index", "", shapes.index(fleet, jobs, self._name, self._where))]
        for one in shapes.shown(fleet):
            self._history.note(one, time.time())
            pieces.append(Piece("thing", one.thing, shapes.thing(one)))
        pieces += [Piece("job", one.job, shapes.job(one)) for one in jobs]
        return pieces + list(self._closely(focuses))

    def _closely(self, focuses: set[tuple[str, str]]) -> Iterator[Piece]:
        for kind, name in sorted(focuses):
            try:
                with plainly():
                    shape = self._thing(name) if kind == "thing" else self._job(name)
            except SluiceError as error:  # it is gone, or never was
                shape = {"name": name, "error": shapes.clip(str(error))}
            yield Piece(f"{kind}-details", name, shape)

    def _thing(self, name: str) -> dict:
        one = self._reader.thing(name)
        course = self._history.note(one, time.time())
        return shapes.thing_details(one, course, self._filling(one.job.job if one.job else ""))

    def _job(self, name: str) -> dict:
        one = self._reader.job(name)
        return shapes.job_details(one, filling(one.document))

    def _filling(self, job: str) -> Filling | None:
        if job and job not in self._fillings:
            self._fillings[job] = filling(self._reader.job(job).document)
            if len(self._fillings) > DOCUMENTS:
                self._fillings.popitem(last=False)
        return self._fillings.get(job)


async def apart(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises, in a thread that nobody waits for when the server ends: AWS
    may be silent for long."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, raised = None, None
        try:
            result = work()
        except Exception as error:
            raised = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, raised)

    threading.Thread(target=run, daemon=True).start()
    return await future


class Live:
    """Viewers, and the reading for them.

    reach   makes the reading; called in a thread, once somebody looks
    """

    def __init__(self, reach: Callable[[], Looking]) -> None:
        self._reach = reach
        self._looking: Looking | None = None
        self._picture = Picture()
        self._viewers: list[Viewer] = []
        self._changed = asyncio.Event()  # set and replaced when there is something new
        self._hurry = asyncio.Event()
        self._task: asyncio.Task | None = None

    async def watch(self, focus: tuple[str, str] | None) -> AsyncIterator[str]:
        """Server-sent events for one who looks, for as long as they do."""
        if self.full:  # others were quicker
            return
        viewer = Viewer(focus)
        self._viewers.append(viewer)
        self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        try:
            yield "retry: 2000\n\n"
            while True:
                changed = self._changed
                if news := self._picture.news(viewer):
                    yield news
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await changed.wait()
                        continue
                yield ": nothing new\n\n"
        finally:
            self._viewers.remove(viewer)

    @property
    def full(self) -> bool:
        """Whether nobody else may look."""
        return len(self._viewers) >= VIEWERS

    async def _read(self) -> None:
        """Read again and again, until nobody looks any more."""
        failures = 0
        while self._viewers:
            begin = time.monotonic()
            self._hurry.clear()
            try:
                pieces = await apart(self._look)
                failures = 0
            except SluiceError as error:
                failures += 1
                pieces = [Piece("trouble", "", {"text": shapes.clip(str(error))})]
            except Exception:  # the page must not end for what one look met
                LOG.exception("the fleet cannot be read")
                failures += 1
                pieces = [Piece("trouble", "", {"text": "the fleet cannot be read: see the log"})]
            if self._picture.paint(pieces):
                self._changed.set()
                self._changed = asyncio.Event()
            await self._rest(begin, failures)
        self._picture.paint([])

    def _look(self) -> list[Piece]:
        if self._looking is None:
            self._looking = self._reach()
        return self._looking.look({one.focus for one in self._viewers if one.focus})

    async def _rest(self, begin: float, failures: int) -> None:
        """Until the next reading: sooner when somebody wants to see something else."""
        poll_s = self._looking.poll_s if self._looking else SOONEST_S
        with suppress(TimeoutError):
            async with asyncio.timeout(min(poll_s * 2 ** min(failures, 8), PATIENCE_S)):
                await self._hurry.wait()
        await asyncio.sleep(max(0.0, SOONEST_S - (time.monotonic() - begin)))
