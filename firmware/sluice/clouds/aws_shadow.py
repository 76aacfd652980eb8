"""The shadow of AWS IoT: what the board is, and the few settings that the cloud may change.

Loaded at every connect, and between jobs when there is a reason: a job or the application has
ended, or a notice has come on `update/delta`, of which nothing is kept but that it came. The
shadow is asked for what is desired, which is then the newest; `settings` of that is judged and put
in force, and what the board is goes back as reported: at every connect, and else when it is not
what was reported last.
So a notice that is large, doubled or old costs one request, and two that disagree do not talk for
ever. Now and then only what moves all the time is told anew: `report_moving`.

Where the shadow is turned off, the version alone is told in the classic one, once, at boot:
`report_version`.

memory   an answer of at most 4 KiB and its JSON, while it is read; a report of at most 2 KiB
source   AWS IoT developer guide, "Device Shadow MQTT topics", "Device Shadow service documents";
         document 001
"""

import gc
import json
from binascii import crc32

from micropython import const

from sluice.loading import plug_in
from sluice.log import Log

_ANSWER_MS = const(15_000)  # as for the answers of the Jobs service
_LIMIT = const(4_096)  # bytes of a shadow with its metadata, at most
_REFUSAL = const(256)  # bytes of why an update was refused, in the log
_TEXT = const(128)  # characters of how a job ended, at most
_BYTES = const(256)  # of the same in JSON, at most; of a setting that was refused
_REPORT = const(2_048)  # bytes of a report, at most: with its metadata it is twice as long

log = Log("shadow")


async def report(agent, shadow):
    """Take what is desired and report what is; where it is turned off, the version alone.

    shadow   what stays of it: see sluice.clouds.shadow
    raises   Retry when the session is lost
    """
    if not agent.settings["shadow"]:
        await report_version(agent, shadow)
        return
    link, reported, path = agent.link, shadow["reported"], _path(agent)
    if reported is None:
        await link.subscribe(path + "update/delta", shadow["due"].setdefault, 1, 0)
    shadow["seq"] = agent.journal["seq"]  # before asking: a notice that comes meanwhile counts
    shadow["due"].clear()
    _, answer = await _answer(link, path + "get", b"", _LIMIT)
    refused, settings = _adopt(agent, shadow["config"], answer)
    state = plug_in(shadow["vitals"], "steady")()
    state["version"] = agent.slots.version or "unknown"
    state[agent.settings["report_version"] or "version"] = state["version"]
    state["settings"], shown = settings, plug_in(shadow["vitals"], "shown")
    state["refused"] = [shown(text, _BYTES) for text in refused] or None
    _describe(agent, state)
    if "job" in state:
        state["job"]["reason"] = shown(state["job"]["reason"], _BYTES)
    hash = crc32(json.dumps(state))
    if hash != reported and await _tell(link, path + "update", _moving(shadow, state)):
        shadow["reported"] = hash


async def report_moving(agent, shadow):
    """Report what moves all the time, and nothing else. Raises Retry as `report` does."""
    message = _fitted(_moving(shadow, {}))
    await agent.link.deliver(_path(agent) + "update", message)


async def report_version(agent, shadow):
    """Have the firmware's version in the classic shadow. Raises Retry as `report` does."""
    state = {agent.settings["report_version"]: agent.slots.version or "unknown"}
    state["board"] = plug_in(shadow["vitals"], "NAME")
    _code(agent.trees, state)
    state["app_state"] = None  # it is not told here, and one that was told before may be wrong
    report = {"state": {"reported": state}}
    topic = "$aws/things/%s/shadow/update" % agent.settings["thing"]
    await agent.link.deliver(topic, json.dumps(report))


def _path(agent):
    name = agent.settings["shadow"]
    path = "shadow" if name == "classic" else "shadow/name/" + name
    return "$aws/things/%s/%s/" % (agent.settings["thing"], path)


def _moving(shadow, state):
    """The state with what moves all the time, which is no reason to report."""
    state.update(plug_in(shadow["vitals"], "moving")())
    gc.collect()
    state["free"] = gc.mem_free()
    return state


def _fitted(state):
    """The message that reports the state; of what is too much, the oldest is left out."""
    while True:
        message = json.dumps({"state": {"reported": state}}).encode()
        long = [key for key in ("log", "failures", "refused") if state.get(key)]
        if len(message) <= _REPORT or not long:
            return message
        state[long[0]] = state[long[0]][1:] or None


async def _tell(link, topic, state):
    """False when it was refused: then it is told with the next reason to look, not before."""
    taken, answer = await _answer(link, topic, _fitted(state), 0)
    if not taken:
        log.w("not told:", bytes(answer or b"too large")[:_REFUSAL])
    return taken


async def _answer(link, request, message, limit):
    """(accepted, payload) of the answer to a request; where none comes it is taken for accepted,
    with nothing to say.

    limit   bytes of what is accepted, None for more; 0: it is not wanted, as it is the report
            once more, with its metadata
    """
    answers = []
    hear = lambda topic, payload: answers.append((topic.endswith(b"/accepted"), payload))  # noqa: E731
    accepted, rejected = request + "/accepted", request + "/rejected"
    try:
        await link.subscribe(accepted, hear, 0, limit)
        await link.subscribe(rejected, hear, 0, _LIMIT)
        link.publish(request, message, qos=1)
        if not await link.wait(lambda: answers, _ANSWER_MS):
            log.w("no answer")
    finally:
        link.unsubscribe(accepted)
        link.unsubscribe(rejected)
    return answers[0] if answers else (True, b"{}")


def _adopt(agent, path, answer):
    """Put in force what is desired: (refusals, settings in force).

    Whatever is desired, it must not be able to stop the agent.
    """
    adopt, settings = plug_in(path, "adopt"), agent.settings
    block = settings["block"]
    try:
        refused, found = adopt(settings, _wanted(answer))
    except Exception as error:
        log.w("passed over:", repr(error))
        refused, found = ["it cannot be read"], adopt(settings, {})[1]
    if settings["block"] != block:
        agent.drop()  # an image in memory counts in blocks of the old size; the journal does not
    for text in refused:
        log.w("refused:", text)
    return refused, found


def _wanted(answer):
    """The settings that are desired; without a shadow none. Raises ValueError."""
    if answer is None:
        raise ValueError("too large")
    value = json.loads(answer)
    for key in ("state", "desired", "settings"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _code(trees, state):
    """The versions of what else runs, and the trees that it runs from: None for none."""
    state["agent"], state["app"] = trees.version("agent"), trees.version("app") or None
    state["trees"] = trees.label(trees.runs) or None


def _describe(agent, state):
    """What the board is, but for the free heap."""
    journal, slots = agent.journal, agent.slots
    state["slot"], state["trial"] = slots.running, agent.trees.trial or slots.trial
    # An agent that a trial goes back to may know nothing of it, and would leave it as it is.
    state["app_state"] = None if state["trial"] else agent.application.state
    _code(agent.trees, state)
    if journal["step"]:  # of the last job that ended
        reason = (journal["reason"] or "")[:_TEXT]
        status = journal["step"].upper()
        state["job"] = {"id": journal["job"], "status": status, "reason": reason}
