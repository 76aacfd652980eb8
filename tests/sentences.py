"""The sentences of a Markdown page, as a reader counts them.

    .venv/bin/python tests/sentences.py PAGE…     those that are too long, and where they stand

A paragraph, an item of a list and a cell of a table are judged each by itself. Code blocks,
headings and comments have no sentences. What stands in backticks is one word, whatever is in it,
and so is a list of such names.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST = 30  # words of a sentence
_FENCED = re.compile(r"^( *)```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"``.+?``|`[^`]+`", re.DOTALL)
_NAMES = re.compile(r"code(?:,\s+(?:(?:and|or)\s+)?code)+(?:\s+(?:and|or)\s+code)?")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[a-z][^>]*>")
_ITEM = re.compile(r" *(?:[-*+]|\d+\.) +")
_CELLS = re.compile(r"(?<!\\)\|")
_END = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=\S)")


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the line of the page on which its paragraph, item or row begins."""

    line: int
    text: str

    @property
    def words(self) -> int:
        """How many words it has; signs alone, such as a dash, are none."""
        return sum(any(letter.isalnum() for letter in word) for word in self.text.split())


def sentences(page: str) -> Iterator[Sentence]:
    """Each sentence of a page's text."""
    for line, text in _pieces(_without_code(page)):
        for sentence in _END.split(text):
            if sentence.strip():
                yield Sentence(line, " ".join(sentence.split()))


def too_long(page: str, longest: int = LONGEST) -> list[Sentence]:
    """The sentences of a page that have more words than that."""
    return [one for one in sentences(page) if one.words > longest]


def _without_code(page: str) -> str:
    """The page with the same lines, without what is no prose; inline code is one word."""
    for pattern in (_FENCED, _COMMENT):
        page = pattern.sub(lambda found: "\n" * found[0].count("\n"), page)
    page = _CODE.sub(lambda found: "code" + "\n" * found[0].count("\n"), page)
    page = _NAMES.sub(lambda found: "code" + "\n" * found[0].count("\n"), page)
    page = _LINK.sub(r"\1", page)
    return _TAG.sub("", page)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each paragraph, item of a list and cell of a table."""
    begin, gathered = 0, []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare = line.lstrip("> ")
        ends = not bare or bare.startswith(("#", "|")) or bool(_ITEM.match(line.lstrip(">")))
        if ends and gathered:
            yield begin, " ".join(gathered)
            gathered = []
        if bare.startswith("|"):
            yield from ((number, cell) for cell in _CELLS.split(bare))
        elif bare and not bare.startswith("#"):
            begin = begin if gathered else number
            gathered.append(_ITEM.sub("", line.lstrip(">"), count=1) if ends else bare)


def main(names: list[str]) -> int:
    """Print what is too long; 1 when there was something."""
    found = [(name, one) for name in names for one in too_long(Path(name).read_text())]
    for name, one in found:
        print(f"{name}:{one.line}: {one.words} words: {one.text}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
