"""Lists in pages, by botocore's paginators: which member is the list, which say size and place.

A token says twice where the next page begins: as an index, and as a digest of its first item. So
the next page skips nothing, even if an item was deleted meanwhile. It is good for the very list
that it came from.

Source: botocore's paginators-1.json files.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel

from sluice.cloud.refusal import invalid

Parameters = dict[str, Any]

MOST = 1 << 31  # items of a list, so that an index is one that SQLite takes
PAGE = 250  # the most that the services give at once, and what who does not ask for a size gets


class Pages:
    """The lists of one service."""

    def __init__(self, service: str) -> None:
        found = Loader().load_service_model(service, "paginators-1")
        self._rules: dict[str, dict[str, str]] = found["pagination"]

    def members(self, operation: str) -> set[str]:
        """What an operation is asked with to get one page of its list; none if it is no list."""
        rule = self._rules.get(operation, {})
        return {rule[key] for key in ("input_token", "limit_key") if key in rule}

    def cut(self, model: OperationModel, given: Parameters, result: Parameters) -> Parameters:
        """One page of what an operation found; all of it, if it is no list."""
        rule = self._rules.get(model.name)
        if rule is None:
            return result
        place, items = rule["input_token"], result[rule["result_key"]]
        size = rule.get("limit_key")  # a list of tags has none
        asked = {key: value for key, value in given.items() if key not in (place, size)}
        question = digest([model.name, asked])
        first = start(given[place], question, items) if place in given else 0
        count = given.get(size, PAGE)
        found = items[first : first + count + 1]  # and the first of the next page
        page = {rule["result_key"]: found[:count]}
        if len(found) > count:
            page[rule["output_token"]] = token(question, first + count, found[count])
        return result | page


def digest(value: Any) -> str:
    """What tells one value from others."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def token(question: str, index: int, item: Any) -> str:
    """The place of an item in the answers to a question."""
    return base64.b64encode(json.dumps([question, index, digest(item)]).encode()).decode()


def start(text: str, question: str, items: Sequence) -> int:
    """The index that a token means by now; a Refusal for one that is not of this question.

    All items are searched only if the one at the index is another by now."""
    try:
        asked, index, mark = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, RecursionError):
        raise invalid("the token is none that was given") from None
    if asked != question or not isinstance(index, int) or not 0 <= index < MOST:
        raise invalid("the token is of another list")
    if [digest(item) for item in items[index : index + 1]] == [mark]:
        return index
    return next((at for at, item in enumerate(items) if digest(item) == mark), index)
