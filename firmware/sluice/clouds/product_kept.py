"""An order as flash has it, judged: what is not an order of ours is none.

Part of clouds.product. Two files keep an order over a reset. A file may be cut off, damaged,
or another firmware's: what the agent would stumble over is refused here, once, or it would stumble
at every start. An order that is lost is said again by its platform, or ordered anew.
"""

from micropython import const

from sluice.clouds.product import content, log
from sluice.clouds.product_orders import CONSISTENT, NORMAL, device_of
from sluice.errors import Refuse

_NAME = const(64)  # characters of an id or a serial number
_TEXT = const(256)  # characters of a reason
_DEVICES = const(8)
_CODE = const(1_000_000)  # of a result, at most
_UNTIL = 0x3FFF_FFFF_FFFF  # seconds since 1970, at most; too big for const() on 32 bits
_ENDS = ("ok", "failed", "timeout", "canceled", "rejected")


async def order(product):
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


async def devices(product):
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
        ("types", lambda value: value in (CONSISTENT, NORMAL)),
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
