"""When the thing's shadow is told: after every connect, and between jobs when there is a reason.

What is told is in aws_shadow, which is loaded for it. Where the shadow is turned off, it is the
version alone, once at a start.

This is loaded at a connect and between jobs, and nothing of it stays while a job runs. What does
is a dict, which has no code:

    agent     sluice.agent.agent.Agent, which is told of
    config    module whose `adopt(settings, wanted)` puts settings in force
    vitals    module that knows how the board does
    reported  hash of what was reported; 1: it is to be reported again; None: nothing was
    seq       number of the journal's record when it was told last; None: all is to be told
    begun     ticks, ms, of that
    lost      times in a row that the session ended over it, as a policy may forbid it
    due       a dict that each notice puts its topic into, of its payload nothing is kept; and run
              `application`, when that ended or failed
"""

from micropython import const

from sluice.loading import Scope, plug_in

_LOST = const(2)  # sessions that telling may cost in a row, before the agent goes on without
_OFTEN_S = const(900)  # what moves all the time is not told more often, as AWS counts


def kept(config, vitals):
    """What stays of a shadow, for a dialect that has it told; `agent` is put in later."""
    found = {"agent": None, "config": config, "vitals": vitals, "reported": None}
    found.update({"seq": None, "begun": None, "lost": 0, "due": {}})
    return found


async def linked(shadow):
    """Tell it, before anything else; what is to be told the next time: itself, or None.

    raises   Retry when the session is lost
    """
    shadow["reported"], shadow["seq"] = shadow["reported"] and 1, None
    await _tell(shadow)
    return shadow if shadow["agent"].settings["shadow"] else None


async def between_jobs(shadow):
    """Tell it, when there is a reason. Raises Retry when the session is lost."""
    if _due(shadow):
        await _tell(shadow)


def reasons(shadow):
    """A function that says whether there is a reason to tell it."""
    return lambda: _due(shadow)


def _due(shadow):
    """A job or the application has ended, a notice came, or it is time."""
    agent = shadow["agent"]
    clock = agent.clock
    return shadow["lost"] < _LOST and (
        shadow["due"]
        or shadow["seq"] != agent.journal["seq"]
        or clock.ticks_diff(clock.ticks_ms(), shadow["begun"])
        > max(agent.settings["poll_s"], _OFTEN_S) * 1_000
    )


async def _tell(shadow):
    """Take what is desired and report what is; what moves alone, where that is the reason.

    A heap without room for it is said and passed over. Raises Retry when the session is lost.
    """
    agent = shadow["agent"]
    if shadow["lost"] >= _LOST:
        return
    shadow["lost"] += 1
    shadow["begun"], number = agent.clock.ticks_ms(), agent.journal["seq"]
    try:
        with Scope():  # the application has the room while the agent waits for a job
            known = shadow["reported"] not in (None, 1)
            if known and shadow["seq"] == number and not shadow["due"]:
                report = plug_in("sluice.clouds.aws_shadow", "report_moving")
            else:
                report = plug_in("sluice.clouds.aws_shadow", "report")
            await report(agent, shadow)
    except MemoryError:
        shadow["seq"], shadow["reported"] = number, shadow["reported"] and 1
        shadow["due"].clear()  # all of it is told when it is time, and not at once again
        from sluice.log import Log  # not above: it is hardly ever needed

        Log("shadow").w("no room to tell it")
    shadow["lost"] = 0
