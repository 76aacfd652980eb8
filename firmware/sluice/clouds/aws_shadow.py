"""The shadow of AWS IoT: what the board is, and the few settings that the cloud may change.

Loaded at every connect, and between jobs when there is a reason: a job has ended, or a notice has
come on `update/delta`, of which nothing is kept but that it came. The shadow is asked for what is
desired, which is then the newest; `settings` of that is judged and put in force, and what the
board is goes back as reported: at every connect, and else when it is not what was reported last.
So a notice that is large, doubled or old costs one request, and two that disagree do not talk for
ever.

Where no shadow is configured, the version alone is told in the classic one, once, at boot:
`report_version`.

memory   an answer of at most 4 KiB and its JSON, while it is read
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
_REFUSAL = const(256)  # bytes of why an update was refused, at most
_TEXT = const(128)  # characters of how a job ended, at most

log = Log("shadow")


async def report(agent, shadow):
    """Take what is desired and report what is.

    shadow   sluice.clouds.shadow.Shadow, which stays, as nothing of this module does
    raises   Retry when the session is lost
    """
    link, reported = agent.link, shadow.reported
    path = "shadow" if shadow.name == "classic" else "shadow/name/" + shadow.name
    path = "$aws/things/%s/%s/" % (agent.settings["thing"], path)
    if reported is None:
        await link.subscribe(path + "update/delta", shadow.ring, 1, 0)
    shadow.looked = agent.journal["seq"]  # before asking: a notice that comes meanwhile counts
    _, answer = await _answer(link, path + "get", b"", _LIMIT)
    refused, settings = _adopt(agent, shadow.adopts, answer)
    state = {shadow.key: agent.slots.version or "unknown", "board": shadow.board}
    state["settings"], state["refused"] = settings, refused or None
    _describe(agent, state)
    hash = crc32(json.dumps(state))
    state["free"] = gc.mem_free()  # always another: no reason to report
    if hash != reported and await _tell(link, path + "update", state):
        shadow.reported = hash


async def report_version(agent, shadow):
    """Have the firmware's version in the classic shadow. Raises Retry as `report` does."""
    state = {shadow.key: agent.slots.version or "unknown", "board": shadow.board}
    _code(agent.trees, state)
    report = {"state": {"reported": state}}
    topic = "$aws/things/%s/shadow/update" % agent.settings["thing"]
    await agent.link.deliver(topic, json.dumps(report))


async def _tell(link, topic, state):
    """False when it was refused: then it is told with the next reason to look, not before."""
    report = json.dumps({"state": {"reported": state}})
    taken, answer = await _answer(link, topic, report, _REFUSAL)
    if not taken:
        log.w("not told:", bytes(answer or b"too large"))
    return taken


async def _answer(link, request, message, limit):
    """(accepted, payload) of the answer to a request, None for one over `limit`; where none comes
    it is taken for accepted, with nothing to say."""
    answers = []
    hear = lambda topic, payload: answers.append((topic.endswith(b"/accepted"), payload))  # noqa: E731
    names = request + "/accepted", request + "/rejected"
    try:
        for name in names:
            await link.subscribe(name, hear, 0, limit)
        link.publish(request, message, qos=1)
        if not await link.wait(lambda: answers, _ANSWER_MS):
            log.w("no answer")
    finally:
        for name in names:
            link.unsubscribe(name)
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
    _code(agent.trees, state)
    if journal["step"]:  # of the last job that ended
        reason = (journal["reason"] or "")[:_TEXT]
        status = journal["step"].upper()
        state["job"] = {"id": journal["job"], "status": status, "reason": reason}
