"""What the platform is told: the agent's steps and outcomes in its words.

Part of sluice.clouds.product. Four of the document's statuses belong to no step. "sent": the
operation of another device got its order. "paused": interrupted work goes on. "canceled": that
operation says that it was stopped. "timeout": the order is late.

source   document 004; result codes: DJI Cloud API, "Error code"
"""

from micropython import const

from sluice.clouds.product import LATE, log
from sluice.errors import Retry

_ANSWER_MS = const(15_000)  # for an events_reply
_WHY = const(160)  # characters of a reason
_CONSISTENT = const(2)  # firmware_upgrade_type

# fmt: off
STATUS = {  # step → status, percent of the device's share, whether it is the upgrade's
    "accepted":    ("in_progress", 0,   False),
    "downloading": ("in_progress", 0,   False),
    "applying":    ("in_progress", 92,  True),
    "rebooting":   ("in_progress", 94,  True),
    "trying":      ("in_progress", 96,  True),
    "succeeded":   ("ok",          100, True),
    "failed":      ("failed",      0,   False),
    "rejected":    ("rejected",    0,   False),
}

RESULTS = (  # how a reason begins → the code that comes nearest to it
    ("unknown device", 312022),
    ("job document",   312012),
    ("not an address", 312012),
    ("no file",        312012),
    ("same version",   312017),
    ("downgrade",      312017),
    ("version",        312017),
    ("",               312002),  # a failure of no kind of its own
)
# fmt: on
WORST = ("failed", "timeout", "canceled", "rejected")  # of several ends, the first there is


async def report(product, job, step, info):
    """Tell a step, or a device's outcome. Raises Retry when nobody answers."""
    order = product.order
    if not order or order["bid"] != job.id:
        log.w("order is lost", job.id)
        order = product.order = _lost(product, job)
    status, share, upgrading = STATUS[step]
    if status != "in_progress":
        if status == "failed" and info["reason"] == LATE:
            status = "timeout"
        product.job = None
        at = min(job.number, len(order["ends"])) - 1
        await end_device(product, at, status, "" if status == "ok" else info["reason"])
        return
    changed = upgrading and not order["applied"]
    order["applied"] = order["applied"] or upgrading
    product.advance(share)
    if changed:
        product.save()
    await product.link.deliver(product.topic + "events", product.event(status))


def opened(product, bid, tid, sns, types):
    """An order of which nothing is done yet."""
    order = {"bid": bid, "tid": tid, "until": product.clock.now_s() + product.order_s}
    order.update({"sns": sns, "types": types, "ends": [None] * len(sns), "whys": [""] * len(sns)})
    order.update({"judged": 0, "accepted": False, "begun": -1, "percent": 0, "applied": False})
    order.update({"status": None, "result": 0, "told": False})
    return order


def _lost(product, job):
    """An order of which only the journal's record of a job is left."""
    order = opened(product, job.id, None, [product.gateway], [3])
    order.update({"judged": 1, "accepted": True, "begun": 0})
    return order


def begin(product, at):
    """A device's update begins, or goes on where it was cut off."""
    order = product.order
    if not order["accepted"]:
        order["accepted"] = True
        product.save()
        reply(product, order["tid"], order["bid"], 0, "in_progress")
    if order["begun"] == at:
        status = "paused"
    elif order["sns"][at] != product.gateway:
        status = "sent"
    else:
        status = None
    order["begun"] = at
    product.save()
    if status:
        product.link.publish(product.topic + "events", product.event(status), qos=1)


async def end_device(product, at, end, why):
    """A device's end is known: noted, and with the last one told as the order's."""
    order = product.order
    ends = order["ends"]
    if not ends[at]:
        ends[at], order["whys"][at] = end, why[:_WHY] and order["sns"][at] + ": " + why[:_WHY]
        log.i(order["sns"][at], end, why)
        if end != "ok":
            order["result"] = order["result"] or _result(why)
            if order["types"][at] == _CONSISTENT:
                _stop(order)
        if None in ends:
            order["applied"] = False
        else:
            order["status"] = _status(order)
        product.save()
    if order["status"]:
        await tell(product)


def _stop(order):
    """All devices of a consistency upgrade take the version, or none that has not yet."""
    for at, end in enumerate(order["ends"]):
        if not end and order["types"][at] == _CONSISTENT:
            order["ends"][at] = "canceled"


def _status(order):
    """What all ends together are."""
    ends = order["ends"]
    if ends.count("ok") == len(ends):
        order["percent"], order["applied"] = 100, True
        return "ok"
    if not order["accepted"]:
        return "rejected"
    worst = [end for end in WORST if end in ends][0]
    return "failed" if worst == "rejected" and "ok" in ends else worst


def _result(why):
    """The result code of a reason."""
    return next(code for words, code in RESULTS if why.startswith(words))


async def tell(product):
    """Tell the order's end until it was answered.

    A platform that sends another order is there: then the broker's word is enough.
    raises   Retry when nobody answers
    """
    order = product.order
    if not order["accepted"]:
        reply(product, order["tid"], order["bid"], order["result"], order["status"])
    await product.link.deliver(product.topic + "events", product.event(order["status"], 1))
    heard = lambda: product.answer is not None or product.heard  # noqa: E731
    if not await product.link.wait(heard, _ANSWER_MS):
        raise Retry("no answer", order["bid"])
    if product.answer:
        log.w("the platform answered", product.answer)
    order["told"] = True
    product.save()


def reply(product, tid, bid, result, status, method="ota_create", reason=None):
    """Answer an order, or what is none."""
    output, order = {"status": status}, product.order
    if reason:
        output["ext"] = {"reason": reason}
    elif order and order["bid"] == bid and order["ends"].count(None) < len(order["ends"]):
        output["ext"] = product.ends()
    text = product.message(tid, bid, method, {"result": result, "output": output})
    product.link.publish(product.topic + "services_reply", text, qos=1)
