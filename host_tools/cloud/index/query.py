"""The query language of fleet indexing, as much of it as this cloud knows.

That is terms `field:value`, with AND or a blank between them and NOT before one. A value may have
`*` and `?` in it, or be a phrase in quotes. `*` alone is every thing. All else of the language is
refused by name, because a query that is half understood finds the wrong things.

Source: AWS IoT developer guide, "Query syntax".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

from sluice.cloud.refusal import Refusal

TERMS = 12
LEADING_BYTES = 100  # of a query with a value that begins with a wildcard
FIELDS = re.compile(
    r"thing(Name|Id|TypeName|GroupNames)|attributes\.[^.]+"
    r"|connectivity\.(connected|timestamp|disconnectReason|clientId)"
    r"|shadow\.(name\.[^.]+\.)?((reported|desired)\..+|hasDelta)"
)
WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
UNKNOWN = {  # what stands in a word → what that is in the language
    r"OR": "OR",
    r"-.*": "a hyphen that excludes: write NOT",
    r".*[()].*": "grouping with ( )",
    r"[^:]+:[\[{].*": "ranges",
    r"[^:]+:[<>].*": "comparisons",
    r".*[\\`@#%;,'/].*": "special characters and their escaping",
    r"[^:]*": "a term without a field",
    r".*:": "a field without a value",
    r"[^:]+:.*:.*": "a colon within a value: write it in quotes",
}


@dataclass(frozen=True)
class Term:
    """A field, and what it must be like, or must not."""

    field: str
    value: str
    negated: bool

    def matches(self, document: dict[str, Any]) -> bool:
        """Whether a thing's document is what is asked for."""
        found = any(like(value, self.value) for value in values(document, self.field.split(".")))
        return found != self.negated


def parse(text: str) -> list[Term]:
    """The terms of a query, all of which must match; a Refusal for what is not known here."""
    terms: list[Term] = []
    negated, joined = False, True
    if text.count('"') % 2:
        raise _wrong("a quote does not end")
    for word in WORD.findall(text):
        if word == "AND":
            if joined:
                raise _wrong("AND stands between two terms")
            joined = True
        elif word == "NOT":
            negated = not negated
        elif word == "*":
            terms.append(Term("thingName", "*", negated))
            negated, joined = False, False
        else:
            terms.append(_term(word, negated))
            negated, joined = False, False
    if joined or negated:
        raise _wrong("a term is missing")
    _check(text, terms)
    return terms


def _term(word: str, negated: bool) -> Term:
    field, colon, value = word.partition(":")
    quoted = len(value) > 2 and value[0] == value[-1] == '"'
    bare = f"{field}{colon}x" if quoted else word
    for pattern, what in UNKNOWN.items():
        if re.fullmatch(pattern, bare):
            raise _wrong(f"the local cloud does not know {what}")
    if not FIELDS.fullmatch(field):
        raise _wrong(f"the local cloud does not index {field}")
    return Term(field, value.strip('"'), negated)


def _check(text: str, terms: list[Term]) -> None:
    """Refuse what goes beyond the language's limits."""
    if len(terms) > TERMS:
        raise _wrong(f"a query has {TERMS} terms at most")
    leading = [term for term in terms if term.value[0] in "*?" and len(term.value) > 1]
    if len(leading) > 1:
        raise _wrong("one value of a query may begin with a wildcard")
    if leading and len(text) > LEADING_BYTES:
        raise _wrong(f"a query with a leading wildcard has {LEADING_BYTES} characters at most")


def _wrong(message: str) -> Refusal:
    return Refusal("InvalidQueryException", message)


def values(inner: Any, path: list[str]) -> Iterator[Any]:
    """What a document has at a path; each item of an array."""
    if isinstance(inner, list):
        for item in inner:
            yield from values(item, path)
    elif not path:
        yield inner
    elif isinstance(inner, dict):
        for length in range(1, len(path) + 1):  # a key may have dots in it
            key = ".".join(path[:length])
            if key in inner:
                yield from values(inner[key], path[length:])


def like(value: Any, wanted: str) -> bool:
    """Whether a value, or a word of a text, is like a pattern; case does not count."""
    if value is None:
        return False
    if isinstance(value, dict):
        return wanted == "*"
    if isinstance(value, bool):
        texts = [str(value)]
    elif isinstance(value, str):
        texts = [value, *value.split()]
    else:
        texts = [str(value), f"{value:g}"]
    pattern = translate(wanted.replace("[", "[[]"))  # sets are none of this language
    return any(re.match(pattern, text, re.IGNORECASE) for text in texts)
