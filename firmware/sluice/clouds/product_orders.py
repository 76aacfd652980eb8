"""How an order comes in, is judged as flash has it, and which of its devices is next.

Part of sluice.clouds.product. Two files keep an order over a reset. A file may be cut off,
damaged, or another firmware's. This module refuses such a file once, because otherwise the agent
would stumble over it at every start. What is not an order of ours is none. An order that is lost
is said again by its platform, or ordered anew.

source   document 004; result codes: DJI Cloud API, "Error code"
"""

import json

from micropython import const

from sluice.clouds.product import LATE, content, log
from sluice.errors import Refuse
from sluice.fields import field
from sluice.job import Job
from sluice.loading import plug_in

_WORDS = "sluice.clouds.product_words"
_NAME = const(64)  # characters of a tid, a bid or a serial number, at most
_TEXT = const(256)  # characters of a reason
_DEVICES = const(8)  # of an order, at most; the document says two
_FAILED, _OTHER_METHOD, _BAD, _UPDATING, _UNKNOWN = 312002, 312010, 312012, 312014, 312022
_CODE = const(1_000_000)  # of a result, at most
_UNTIL = 0x3FFF_FFFF_FFFF  # seconds since 1970, at most; too big for const() on 32 bits
_ENDS = ("ok", "failed", "timeout", "canceled", "rejected")
_CONSISTENT = const(2)  # firmware_upgrade_type
_NORMAL = const(3)
_KEPT = (  # what of a device's entry is for who updates it
    "sn",
    "product_version",
    "file_url",
    "md5",
    "file_size",
    "file_name",
    "firmware_upgrade_type",
    "signature",
    "sig-sha256-ecdsa",
    "sig-sha256-rsa",
    "certfile",
)


async def next_job(product):
    """The next job, or None: of the order that is open, else of the one that was heard."""
    order = product.order
    if product.job and not order["status"]:  # dropped, with the link in place: Gone
        await _words("end_device")(product, product.job.number - 1, "canceled", "stopped")
    elif order and order["status"] and not order["told"]:
        await _words("tell")(product)
    if product.heard:
        await turn_away(product)
    order = product.order
    return await _next(product) if order and not order["status"] else None


async def judged(product, job):
    """The next job, now that nothing speaks against this one."""
    product.order["judged"] = job.number
    product.save()
    return await _next(product)


async def turn_away(product):
    """Read what was heard: take an order if there is none open, and answer everything else."""
    body, product.heard = content(product.heard), None
    tid, bid = (_name(body, key) for key in ("tid", "bid"))
    order, reply = product.order, _words("reply")
    if not tid:
        log.w("not a message of the platform's")
    elif body.get("method") != "ota_create":
        reply(product, tid, bid, _OTHER_METHOD, "rejected", _name(body, "method"))
    elif not bid:
        reply(product, tid, bid, _BAD, "rejected")
    elif order and order["bid"] == bid:
        order["tid"] = tid  # said again: what went before was not heard
        if order["status"]:
            reply(product, tid, bid, order["result"], order["status"])
        elif order["accepted"]:
            reply(product, tid, bid, 0, "in_progress")
    elif order and not order["told"]:
        reply(product, tid, bid, _UPDATING, "rejected")
    else:
        try:
            _take(product, tid, bid, body)
        except (Refuse, OSError) as error:  # of a file system that is full
            log.w("refused", error)
            code = _FAILED if isinstance(error, OSError) else _BAD
            reply(product, tid, bid, code, "rejected", reason=str(error))


def _name(body, key):
    """A text of at most 64 characters in a message; None when it is none."""
    value = body.get(key) if body else None
    return value if isinstance(value, str) and 0 < len(value) <= _NAME else None


def _take(product, tid, bid, body):
    """The order is the open one, and in flash. Raises Refuse for one that makes no sense, OSError
    where there is no room for it: nothing is begun then, and the order before stays told."""
    entries = field(field(body, "data", dict), "devices", list, 1, _DEVICES)
    devices = [device_of(entry) for entry in entries]
    others = [device for device in devices if device["sn"] != product.gateway]
    devices = others + [device for device in devices if device["sn"] == product.gateway]
    sns = [device["sn"] for device in devices]
    if len(set(sns)) < len(sns):
        raise Refuse("job document names a device twice")
    types = [device["firmware_upgrade_type"] for device in devices]
    order = _words("opened")(product, bid, tid, sns, types)
    product.files[1].save(json.dumps({"bid": bid, "devices": devices}).encode())
    product.keep(order)
    product.order = order
    log.i("order", bid, *sns)


def device_of(entry):
    """An entry of `devices` with what is kept of it. Raises Refuse."""
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "devices")
    field(entry, "sn", str, 1, _NAME)
    field(entry, "product_version", str, 0, _NAME, default="")
    field(entry, "firmware_upgrade_type", int, _CONSISTENT, _NORMAL)
    return {key: entry[key] for key in _KEPT if key in entry}


async def _next(product):
    """The next device to judge; then the first to update, others before the gateway; or None.

    What needs no job, an unknown device or a version that runs already, ends here.
    """
    order = product.order
    devices = await kept_devices(product)
    while not order["status"]:
        judging = order["judged"] < len(order["ends"])
        at = order["judged"] if judging else order["ends"].index(None)
        verdict = _foreseen(product, devices, at)
        if verdict:
            await _words("end_device")(product, at, *verdict)
        elif not judging:
            _words("begin")(product, at)
            return _job(product, devices[at], at, False)
        elif not order["ends"][at]:
            return _job(product, devices[at], at, True)
        if judging:
            order["judged"] += 1
    return None


def _foreseen(product, devices, at):
    """(end, why) of a device that nothing is to be done for; None when it is to be updated."""
    order = product.order
    if order["ends"][at]:
        return None
    if len(devices) != len(order["ends"]):
        return "failed", "order is unreadable"
    if product.clock.now_s() > order["until"]:
        return "timeout", LATE
    device = devices[at]
    if device["sn"] != product.gateway:
        return None if device["sn"] in product.known else ("rejected", "unknown device")
    rank = plug_in("sluice.trust.policy", "rank")
    wanted = rank(device.get("product_version") or "")
    runs = wanted is not None and wanted == rank(product.version)
    if not device.get("file_url"):
        return ("ok", "") if runs else ("rejected", "no file, and not the version that runs")
    return ("ok", "") if runs and order["types"][at] == _CONSISTENT else None


def _job(product, device, at, queued):
    """The job of a device; what it asks is read by sluice.jobs.documents.devices."""
    document = {"devices": [device], "gateway": product.gateway, "known": product.known}
    return Job(product.order["bid"], at + 1, 1, queued, document)


def _words(name):
    return plug_in(_WORDS, name)


async def kept_order(product):
    """The order in the first file; None when there is none, or what is there is none."""
    found, data = None, None
    try:
        data = product.files[0].load()
        found = content(data)
    except MemoryError:  # at a start: what has no room then never has
        pass
    if found and _judged(found):
        return found
    if data:
        log.w("order is unreadable")
    return None


async def kept_devices(product):
    """The entries in the second file, if they are of the order that is open; else []."""
    kept = content(product.files[1].load()) or {}
    entries = kept.get("devices")
    if kept.get("bid") != product.order["bid"] or not isinstance(entries, list):
        return []
    try:
        return [device_of(entry) for entry in entries]
    except Refuse as error:
        log.w("order is unreadable", error)
        return []


def _judged(order):
    """True when every member of an order is there and of its kind."""
    count = len(order["sns"]) if isinstance(order.get("sns"), list) else 0
    if not 1 <= count <= _DEVICES:
        return False
    for key, will_do in (
        ("sns", lambda value: _text(value, _NAME)),
        ("types", lambda value: value in (_CONSISTENT, _NORMAL)),
        ("ends", lambda value: value is None or value in _ENDS),
        ("whys", lambda value: _text(value, _TEXT)),
    ):
        values = order.get(key)
        if not isinstance(values, list) or len(values) != count:
            return False
        if not all(will_do(value) for value in values):
            return False
    for key, low, high in (
        ("until", 0, _UNTIL),
        ("judged", 0, count),
        ("begun", -1, count - 1),
        ("percent", 0, 100),
        ("result", 0, _CODE),
    ):
        value = order.get(key)
        if type(value) is not int or not low <= value <= high:
            return False
    flags = all(type(order.get(key)) is bool for key in ("accepted", "applied", "told"))
    named = _text(order.get("bid"), _NAME) and order["bid"]
    said = order.get("tid", 0) is None or _text(order.get("tid"), _NAME)
    return flags and named and said and _ended(order)


def _ended(order):
    """True when the order has a status exactly where all of its devices have an end."""
    if None in order["ends"]:
        return order.get("status", 0) is None and not order["told"]
    return order.get("status") in _ENDS


def _text(value, high):
    return type(value) is str and len(value) <= high
