"""DOWNLOADING: fetch what is missing of the image, wherever an earlier attempt left off.

No other state is in this module, because the heap is fullest while an image comes.
"""

from micropython import const

from sluice.errors import Fail, Retry
from sluice.loading import Scope, plug_in

_SMALLER = "sluice.transfer.smaller"
_ATTEMPTS = const(16)  # attempts in a row that bring nothing, though the cloud is in reach


async def downloading(agent):
    """Every byte is in the slot."""
    try:
        await _bring(agent)
    except Retry as error:
        agent.work.fruitless += 1
        if agent.work.fruitless >= _ATTEMPTS:
            raise Fail("download made no progress:", error)
        raise
    return "complete"


async def _bring(agent):
    await agent.dialect.report(agent.job, "downloading", agent.info())
    if agent.job.files[1:]:
        await _fetch_files(agent)
    image = agent.work.update.open(agent.job)
    await agent.pause()
    if image.missing() >= 0:  # else the heap is spared the code for it, as after a reset
        await _fetch(agent, image)
        agent.work.update.note()
        agent.heap.worn = True  # and nothing is lost by a reset


async def _fetch(agent, image):
    """In a smaller form, if there is one for this board; else as it is."""
    file = agent.job.files[0]
    if file.smaller:
        try:
            with Scope():  # the download has no room for what chooses
                form = await plug_in(_SMALLER, "choose")(agent, image)
            if form:
                await _fill(agent, image, *form)
                return
        except (Fail, MemoryError) as error:
            form = None  # first of all: to go on takes room
            image = _as_it_is(agent, error)
    await _fill(agent, image, file, image)


def _as_it_is(agent, error):
    """The image, to be had from its beginning: what is there may be wrong."""
    reason = str(error)[:80] if isinstance(error, Fail) else "no room to inflate"
    agent.work.update.drop()
    agent.journal.whole(reason, written="")
    return agent.work.update.open(agent.job)


async def _fill(agent, image, file, form):
    """Fetch that file into `form`, which makes the image of it, or is it."""
    update = agent.work.update
    source = agent.source(file, agent.settings["block"])
    reported, had = agent.clock.ticks_ms(), image.received

    async def watch():
        """Between blocks: note, tell, and see whether the job is still ours."""
        nonlocal reported
        came = ()  # bytes of a smaller form, of how many
        if form is not image:
            await form.settle(agent.pause)
            came = ("%d/%d" % (form.came, form.size),)
        if image.received > had:
            agent.work.fruitless = 0
        now = agent.clock.ticks_ms()
        if update.checkpoint(*came):
            agent.heap.worn = True
        if agent.clock.ticks_diff(now, reported) >= agent.settings["report_s"] * 1000:
            reported = now
            info = agent.info()
            if came:
                info["form"] = came[0]
            agent.dialect.progress(agent.job, info)
        await agent.dialect.still(agent.job)

    try:
        with Scope():  # to close takes room, which a heap that was full has without this code
            await source.fetch(form, watch)
            await watch()
            if image.missing() >= 0:
                raise Fail("the image is not complete")
    finally:
        await source.close()


async def _fetch_files(agent):
    """What comes with the image comes first."""
    agent.drop()
    with Scope():  # the code for one makes room for that of the other
        await plug_in("sluice.files.fetch", "fetch")(agent)
    from sluice.transfer.update import Update

    agent.work.update = Update(agent.slots, agent.journal, agent.settings, agent.buffer)
