"""The text of a command's docstring: prose, lists, and tables of commands.

At a terminal prose is wrapped to its width. The commands of a table are not, because they are
there to be copied. Nor is what stands between backticks, where a line has room for it.
"""

import argparse
import re
import textwrap
from collections.abc import Iterator

WIDEST = 98  # columns of prose
GAP = 4  # columns between a command and its meaning
NARROW = 24  # columns of a meaning: with less it stands below its command
_ITEM = re.compile(r"(?:\d+\.|-) ")  # how an item of a list begins


class HelpText(argparse.HelpFormatter):
    """Help whose prose is as wide as the terminal, but never wider than WIDEST."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(shown(part, min(width, WIDEST)) for part in parts(text))


def parts(text: str) -> list[str]:
    """What stands between empty lines."""
    return [part for part in re.split(r"\n\s*\n", text.strip("\n")) if part.strip()]


def rows(part: str) -> list[tuple[str, str]]:
    """(words, meaning) of each line: words, a gap, and more words. [] of what is no table."""
    found: list[tuple[str, str]] = []
    for line in part.splitlines():
        row = re.fullmatch(r"(\S.*?) {2,}(\S.*)", line)
        if row:
            found.append((row[1], row[2]))
        elif found and line.startswith("        "):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            return []
    return found


def shown(part: str, width: int) -> str:
    """A part as a terminal of that width has it."""
    if found := rows(part):
        return "\n".join(table(found, width))
    return "\n".join(wrapped(text, width) for text in items(part))


def table(found: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Each command whole, and its meaning beside it where there is room, else below it."""
    beside = max(len(words) for words, _ in found) + GAP
    longest = max(len(word) for _, meaning in found for word in meaning.split())
    below = width - beside < max(NARROW, longest)
    for words, meaning in found:
        indent = " " * (GAP if below else beside)
        lines = textwrap.indent(wrapped(meaning, width - len(indent)), indent)
        yield f"{words}\n{lines}" if below else words + lines[len(words) :]


def items(part: str) -> Iterator[str]:
    """Each item of a list; prose is one."""
    text = ""
    for line in part.splitlines():
        if text and _ITEM.match(line):
            yield text
            text = ""
        text = f"{text} {line.strip()}".strip()
    yield text


def _joined(code: str, width: int) -> str:
    return code.replace(" ", "\0") if len(code) <= width else code


def wrapped(text: str, width: int) -> str:
    """Prose in lines; those of an item hang below its text."""
    item = _ITEM.match(text)
    whole = re.sub(r"`[^`]+`", lambda code: _joined(code[0], width), text)
    filled = textwrap.fill(
        whole,
        width,
        subsequent_indent=" " * (item.end() if item else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace("\0", " ")
