"""Resources of policies as MQTT filters.

AWS compares a resource with a topic letter by letter: `*` is any letters, over levels too, `?` is
one. MQTT's filters know whole levels only. So a `*` that is a whole level becomes each number of
levels that a topic of AWS can have. One within a level has no filter, but in the topics of AWS's
own services, whose words are known: there it stands for those words.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

LEVELS = 8  # of a topic: AWS allows 7 slashes
THING_LEVELS = 3  # $aws/things/<thing>
SHARED = "$share"  # the first level of a filter that several sessions share


class Marks(NamedTuple):
    """Letters of the private use area, which no MQTT client of ours sends."""

    many: str = "\ue000"
    one: str = "\ue001"
    free: str = "\ue002"  # a level of a known topic that may be any name


ANY = Marks()
Filter = tuple[str, str]  # (acltype of Mosquitto's dynamic security, filter)
SENDS = {"iot:Publish": "publishClientSend", "iot:Receive": "publishClientReceive"}


class Inexpressible(Exception):
    """What MQTT's filters cannot say."""


@lru_cache(4096)
def filters(pattern: str, action: str, allow: bool) -> tuple[Filter, ...]:
    """What Mosquitto is told for an action on a pattern with marks."""
    if is_brokers(pattern, action):
        raise Inexpressible("a topic of the broker's own")
    if action == "iot:Subscribe":
        return tuple(_subscriptions(pattern, allow))
    if action not in SENDS or {"+", "#"} & set(pattern):
        return ()  # no topic has these letters: the pattern stands for none
    found = set(_topics(pattern, allow, "+/#", known))
    return tuple((SENDS[action], one) for one in sorted(found))


def is_brokers(pattern: str, action: str) -> bool:
    """Whether topics are meant that Mosquitto has and AWS has not: by `$CONTROL/…` it is
    commanded. A client id may spell it, where a policy has `${iot:ClientId}`."""
    first = pattern.split("/")[0]
    if not first.startswith("$") or first == "$aws" or {ANY.many, ANY.one} & set(first):
        return False  # no wildcard stands for a first level with a `$`
    return action != "iot:Subscribe" or first != SHARED


def expression(pattern: str, one: str = ".") -> re.Pattern[str]:
    """A pattern with marks as a regular expression. No `*` is tried twice, so that no pattern and
    no text, which devices may send, takes long. `one` is what stands for `?`."""
    head, *rest = (
        "".join(one if letter == ANY.one else re.escape(letter) for letter in piece)
        for piece in pattern.split(ANY.many)
    )
    if not rest:
        return re.compile(head, re.DOTALL)
    *middle, tail = rest
    return re.compile(f"{head}{''.join(f'(?>.*?{piece})' for piece in middle)}.*{tail}", re.DOTALL)


def _subscriptions(pattern: str, allow: bool) -> Iterator[Filter]:
    """AWS compares the filter itself. With wildcards of both kinds in one resource, Mosquitto lets
    names stand where the resource has a `+`."""
    if not {ANY.many, ANY.one} & set(pattern):
        yield "subscribeLiteral", pattern
        return
    if not allow and {"+", "#"} & set(pattern):
        raise Inexpressible("a Deny with wildcards of AWS and of MQTT")
    for one in sorted(set(_topics(pattern, allow, "#" if allow else "+/#", known_filters))):
        yield "subscribePattern", one


def _topics(
    pattern: str, allow: bool, rest: str, words: Callable[[str], tuple[str, ...]]
) -> Iterator[str]:
    """The filters of a pattern; `rest` stands for a `*` that is the last level, `words` of a
    thing's prefix are what AWS's services know."""
    pattern = re.sub(f"{ANY.many}+", ANY.many, pattern)
    if pattern == ANY.many:
        yield from ("#", "$aws/#")
        return
    levels = pattern.split("/")
    if all(level == ANY.many or not {ANY.many, ANY.one} & set(level) for level in levels):
        yield from _written_out(levels, rest)
    elif levels[0] != "$aws" or not allow:
        raise Inexpressible("a wildcard within a level")
    else:
        yield from _of_services(pattern, words)


def _written_out(levels: list[str], rest: str, done: int = 0) -> Iterator[str]:
    """Each `*` as every number of levels that leaves room for the others."""
    if not levels:
        return
    head, tail = levels[0], levels[1:]
    if head != ANY.many:
        yield from _joined(head, tail, rest, done + 1)
    elif not tail:
        yield rest
        if done == 0:
            yield "$aws/#"
    else:
        for count in range(1, LEVELS - done - len(tail) + 1):
            head = "/".join("+" * count)
            yield from _joined(head, tail, rest, done + count)
            if done == 0:
                yield from _joined(f"$aws{head[1:]}", tail, rest, count)


def _joined(head: str, tail: list[str], rest: str, done: int) -> Iterator[str]:
    if not tail:
        yield head
    for one in _written_out(tail, rest, done):
        yield f"{head}/{one}"


def _of_services(pattern: str, known_of: Callable[[str], tuple[str, ...]]) -> Iterator[str]:
    """The known topics that a pattern stands for, whatever their free levels are."""
    whole = expression(pattern, f"[^{ANY.free}]")
    thing = (pattern.split("/") + [""] * THING_LEVELS)[2]  # "" where a `*` stands for it, too
    wild = not thing or bool({ANY.many, ANY.one} & set(thing))
    prefix = f"$aws/things/{ANY.free if wild else thing}"
    found = [topic for topic in known_of(prefix) if whole.fullmatch(topic)]
    if not found:
        raise Inexpressible("a wildcard within a name")
    for topic in found:
        yield topic.replace(ANY.free, "+")


@lru_cache(256)
def known(prefix: str) -> tuple[str, ...]:
    """The topics of AWS's services for a thing; `$next` is one of the jobs' names."""
    answers = ("", "/accepted", "/rejected")
    jobs = ["get", "start-next", f"{ANY.free}/get", f"{ANY.free}/update", "$next/get"]
    rows = [f"jobs/{name}{answer}" for name in jobs for answer in answers]
    rows += ["jobs/notify", "jobs/notify-next"]
    rows += [
        f"streams/{ANY.free}/{word}/{form}"
        for word in ("describe", "description", "get", "data", "rejected")
        for form in ("json", "cbor")
    ]
    for where in ("shadow", f"shadow/name/{ANY.free}"):
        rows += [
            f"{where}/{word}{tail}" for word in ("get", "update", "delete") for tail in answers
        ]
        rows += [f"{where}/update/delta", f"{where}/update/documents"]
    return tuple(f"{prefix}/{row}" for row in rows)


@lru_cache(256)
def known_filters(prefix: str) -> tuple[str, ...]:
    """The same, and with a `+` for any of their levels."""
    rows = [topic.removeprefix(f"{prefix}/").split("/") for topic in known(prefix)]
    found = {"/".join(levels) for row in rows for levels in _widened(row)}
    return tuple(f"{prefix}/{row}" for row in sorted(found))


def _widened(levels: list[str]) -> Iterator[list[str]]:
    """A topic, and what it is with a `+` for any of its levels."""
    if not levels:
        yield []
        return
    for rest in _widened(levels[1:]):
        yield [levels[0], *rest]
        yield ["+", *rest]
