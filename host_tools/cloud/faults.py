"""What goes wrong on purpose: `sluice cloud run --faults FILE`.

FILE is a JSON object, read again whenever it changes. Each key is a fault, each value says when:

    "drop_blocks":      BLOCKS   the block is not sent
    "duplicate_blocks": BLOCKS   it is sent twice
    "corrupt_blocks":   BLOCKS   one character (JSON) or byte (CBOR) of its middle is another
    "truncate_blocks":  BLOCKS   four characters or bytes are missing from its middle
    "reorder_blocks":   BLOCKS   the answer that holds it is sent last block first
    "disconnect":       BLOCKS   the thing's session is ended when the block is due
    "reject":           TOPIC    the request is not looked at; the answer is a refusal with "code"
    "silence":          TOPIC    the request is not looked at, and not answered
    "drop_accepted":    TOPIC    the request is obeyed, and its accepted answer lost
    "delay":            TOPIC    the answers come "ms" milliseconds later
    "age_url":          PATH     a board's presigned URL is judged as it will be in "s" seconds
    "fail_http":        PATH     it gets the status "code", else 503
    "redirect":         PATH     it gets 307, or "code", and is sent to the same file; "to" names
                                 another host, such as "http://example.com"
    "redirect_again":   PATH     the same for an address that it was redirected to
    "ignore_range":     PATH     it gets 200 and the whole file where it asked for a range
    "shift_range":      PATH     Content-Range is one byte off
    "cut_body":         PATH     the connection ends half-way, or "after" so many bytes
    "chunk_body":       PATH     the body comes in HTTP chunks of 1,000 or "size" bytes, no length
    "close_after":      PATH     Connection: close

    BLOCKS   {"blocks": [3, 7]}, by index in the file, or {"every": 5}, each fifth one sent;
             "times": n hits each block n times at most, without it always
    TOPIC    {"topic": "update"}, which the topic must contain, without it all;
             "times": n hits n times at most, without it always;
             "skip": n passes over the first n
    PATH     the same with "path", which the URL's path must contain

Example: {"drop_blocks": {"every": 7, "times": 1}, "reject": {"topic": "/update", "code":
"RequestThrottled", "times": 2}}
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluice.cloud.jobs.over_mqtt import owner
from sluice.cloud.message import Message, compact
from sluice.cloud.streams import cbor
from sluice.errors import SluiceError

Rule = dict[str, Any]

STATUSES = range(200, 600)  # of HTTP


def drop(message: Message) -> list[Message]:
    return []


def duplicate(message: Message) -> list[Message]:
    return [message, message]


def corrupt(message: Message) -> list[Message]:
    middle = len(message.payload) // 2
    wrong = b"B" if message.payload[middle : middle + 1] == b"A" else b"A"
    return [_changed(message, middle, middle + 1, wrong)]


def truncate(message: Message) -> list[Message]:
    middle = len(message.payload) // 2
    return [_changed(message, middle, middle + 4, b"")]


def _changed(message: Message, start: int, end: int, data: bytes) -> Message:
    payload = message.payload[:start] + data + message.payload[end:]
    return Message(message.topic, payload, message.qos, message.block)


BLOCK_FAULTS: dict[str, Callable[[Message], list[Message]]] = {
    "drop_blocks": drop,
    "duplicate_blocks": duplicate,
    "corrupt_blocks": corrupt,
    "truncate_blocks": truncate,
}
# fmt: off
KEYS = {  # fault → the keys of its rule
    **dict.fromkeys(BLOCK_FAULTS, {"blocks", "every", "times"}),
    "reorder_blocks": {"blocks", "every", "times"},
    "disconnect":     {"blocks", "every", "times"},
    "reject":         {"topic", "times", "skip", "code"},
    "silence":        {"topic", "times", "skip"},
    "drop_accepted":  {"topic", "times", "skip"},
    "delay":          {"topic", "times", "skip", "ms"},
    "age_url":        {"path", "times", "s"},
    "fail_http":      {"path", "times", "code"},
    "redirect":       {"path", "times", "code", "to"},
    "redirect_again": {"path", "times", "code", "to"},
    "ignore_range":   {"path", "times"},
    "shift_range":    {"path", "times"},
    "cut_body":       {"path", "times", "after"},
    "chunk_body":     {"path", "times", "size"},
    "close_after":    {"path", "times"},
}
# fmt: on


class Faults:
    """The rules of a file, and what they have hit so far."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = (-1, -1)  # time and size; None: it was gone
        self._rules: dict[str, Rule] = {}
        self._hits: Counter = Counter()
        self._sent: Counter = Counter()
        self.refresh()

    def refresh(self) -> bool:
        """Read the file if it has changed since, and whether it was; then all counts anew.

        SluiceError, once for each change, when it makes no sense or is gone: the rules stay.
        """
        if self._file is None:
            return False
        seen = None
        with contextlib.suppress(OSError):
            about = self._file.stat()
            seen = about.st_mtime_ns, about.st_size
        if seen == self._seen:
            return False
        self._seen = seen
        self._rules = read_rules(self._file)
        self._hits.clear()
        self._sent.clear()
        return True

    def before(self, topic: str, payload: bytes = b"") -> list[Message] | None:
        """What to answer instead of looking at a request; None to look at it."""
        if self._hit_topic("silence", topic):
            return []
        if self._hit_topic("reject", topic):
            return refusal(topic, self._rules["reject"].get("code"), token(payload))
        return None

    def after(self, messages: list[Message], kick: Callable[[str], None]) -> list[Message]:
        """What becomes of messages about to be sent; `kick(thing)` ends a thing's session."""
        if not self._rules:
            return messages
        kept: list[Message] = []
        backwards = False
        for message in messages:
            if self._hit_topic("delay", message.topic):
                time.sleep(self._rules["delay"].get("ms", 0) / 1000)
            accepted = message.topic.endswith("/accepted")
            if accepted and self._hit_topic("drop_accepted", message.topic):
                continue
            if self._hit_block("disconnect", message):
                kick(owner(message.topic)[0])
                continue
            backwards |= self._hit_block("reorder_blocks", message)
            kept += self._blocks(message)
        return kept[::-1] if backwards else kept

    def _blocks(self, message: Message) -> list[Message]:
        for name, fault in BLOCK_FAULTS.items():
            if self._hit_block(name, message):
                return fault(message)
        return [message]

    def hit_path(self, name: str, path: str) -> Rule | None:
        """The rule of that name, if it hits a request for that path now."""
        rule = self._rules.get(name)
        if rule is None or rule.get("path", "") not in path or not self._count(name, rule, name):
            return None
        return rule

    def _hit_topic(self, name: str, topic: str) -> bool:
        rule = self._rules.get(name)
        if rule is None or rule.get("topic", "") not in topic:
            return False
        self._sent[name] += 1
        return self._sent[name] > rule.get("skip", 0) and self._count(name, rule, name)

    def _hit_block(self, name: str, message: Message) -> bool:
        rule = self._rules.get(name)
        if rule is None or message.block is None:
            return False
        self._sent[name] += 1
        due = message.block in rule.get("blocks", ())
        if rule.get("every"):
            due |= self._sent[name] % rule["every"] == 0
        return due and self._count(name, rule, (name, message.block))

    def _count(self, name: str, rule: Rule, what: Any) -> bool:
        if "times" in rule and self._hits[what] >= rule["times"]:
            return False
        self._hits[what] += 1
        return True


def read_rules(file: Path) -> dict[str, Rule]:
    """The rules of a file; SluiceError says what is wrong with it."""
    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SluiceError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SluiceError(f"{file} is not JSON") from None
    if not isinstance(rules, dict):
        raise SluiceError(f"{file} is not a JSON object")
    for name, rule in rules.items():
        if name not in KEYS:
            raise SluiceError(f"{file}: no fault {name!r}; there are {', '.join(KEYS)}")
        if not isinstance(rule, dict) or not set(rule) <= KEYS[name]:
            raise SluiceError(f"{file}: {name} takes {', '.join(sorted(KEYS[name]))}")
        for key, value in rule.items():
            if not allowed(name, key, value):
                raise SluiceError(f"{file}: {key} of {name} cannot be {json.dumps(value)}")
    return rules


def allowed(fault: str, key: str, value: Any) -> bool:
    """Whether a rule's key may have that value: a count, unless it is one of the few others."""
    if key in ("topic", "path", "to"):
        return isinstance(value, str)
    if key == "blocks":
        return isinstance(value, list) and all(map(counts, value))
    if key == "code" and fault == "reject":
        return isinstance(value, str) or counts(value)
    return counts(value) and (key != "code" or value in STATUSES)


def counts(value: Any) -> bool:
    """Whether a value is a whole number that is not negative, nor absurd."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def token(payload: bytes) -> dict[str, str]:
    """The client token of a request, by its key, to be said again in the answer."""
    request = None
    for read in (json.loads, cbor.loads):
        with contextlib.suppress(ValueError, RecursionError):
            request = read(payload)
            break
    found = request if isinstance(request, dict) else {}
    return {key: found[key] for key in ("c", "clientToken") if isinstance(found.get(key), str)}


def refusal(topic: str, code: str | int | None, echo: dict[str, str]) -> list[Message]:
    """A refusal of the request on that topic, in its service's words; [] where there are none."""
    text = "refused by a fault of the local cloud"
    found = owner(topic)
    if found is None:
        return []
    if found[1] == "streams":
        head, _, form = topic.rpartition("/")
        code = code or "InternalError"
        body = {"o": code, "m": text, "code": code, "message": text} | echo
        write = cbor.dumps if form == "cbor" else compact
        return [Message(f"{head.rpartition('/')[0]}/rejected/{form}", write(body))]
    code = code or (500 if found[1] == "shadow" else "InternalError")
    body = {"code": code, "message": text, "timestamp": int(time.time())} | echo
    return [Message(f"{topic}/rejected", compact(body))]
