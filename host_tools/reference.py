"""The pages of docs/commands/, made of the commands' own parsers and docstrings."""

import argparse
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sluice import help_text
from sluice.cli import COMMANDS, parser
from sluice.compile import ROOT
from sluice.complaints import complaints
from sluice.examples import EXAMPLES, Example

FOLDER = ROOT / "docs/commands"
INDEX = "README.md"
MADE = "<!-- made by python -m sluice.made --write -->"
RULE = "|---|---|"
WIDTH = 76  # columns of a usage
CODES = {
    0: "The command did what it was asked.",
    1: "Something went wrong, and one line on stderr says what.",
    2: "The command line has a mistake, and stderr says which.",
    130: "Ctrl-C ended it.",
    141: "The program that read its output ended first.",
}
EVERYWHERE = """\
`sluice COMMAND --help` says the same in the terminal. `sluice` alone shows its help on stderr,
and exits with 2. So does a command without its action. The examples run in a checkout, each in a
folder without `lab`. Begin with `make setup` and `export PATH="$PWD/.venv/bin:$PATH"`.

- **`--state DIR`** names a state folder: a local cloud, its things and its boards. It may be left
  out where `SLUICE_STATE` names one, or where `./lab` is one.
- **Folders that `sluice` makes** are readable by you alone, because they hold private keys. For
  the same reason they have a `.gitignore`. In a folder of your own only `things` has one, and
  `signer.key` is yours to keep.
- **`DIR/cloud.json`** tells other programs where the local cloud is. Its `http_endpoint` is what
  boto3 takes as `endpoint_url`.
- **`sluice completion`** prints what completes commands and options in your shell."""
ERRORS = """\
An error is one line on stderr that begins with `sluice:`. Below are the command's own. The dots
stand for a name or a number. [Failures](../failures.md) has what a board reports."""


def pages() -> dict[str, str]:
    """{file name: text} of all pages."""
    top = _choices(parser())
    made = {f"{name}.md": page(name, row) for name, row in top.items()}
    return {INDEX: index(top)} | made


def made() -> dict[Path, str]:
    """{file: text}."""
    return {FOLDER / name: text for name, text in pages().items()}


def index(top: dict[str, argparse.ArgumentParser]) -> str:
    """The page that lists the commands."""
    rows = [f"| [`sluice {name}`]({name}.md) | {_first(row)} |" for name, row in top.items()]
    parts = [
        "# The command `sluice`",
        MADE,
        "\n".join(["| command | what it does |", RULE, *rows]),
    ]
    return "\n\n".join([*parts, EVERYWHERE, "## Exit codes", _codes({})]) + "\n"


def page(name: str, row: argparse.ArgumentParser) -> str:
    """The page of one command."""
    module = import_module(f"sluice.commands.{COMMANDS[name]}")
    _, _, rest = (row.description or "").partition("\n")
    actions, texts = _choices(row), _helps(row)
    parts = [f"# sluice {name}", MADE, _first(row), *_description(rest)]
    for action, inner in actions.items():
        parts += [f"## sluice {name} {action}", _sentence(texts[action]), *_usage(inner)]
    parts += [] if actions else ["## Usage", *_usage(row)]
    example = EXAMPLES.get(name)
    parts += _shown(example) if example else []
    parts += ["## Exit codes", _codes(example.codes if example else {})]
    return "\n\n".join([*parts, *_errors(module)]) + "\n"


def _choices(row: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's actions, by name."""
    found = [one for one in row._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def _helps(row: argparse.ArgumentParser) -> dict[str, str]:
    """What each of a command's actions does, by its name."""
    found = [one for one in row._actions if isinstance(one, argparse._SubParsersAction)]
    return {each.dest: each.help or "" for one in found for each in one._choices_actions}


def _first(row: argparse.ArgumentParser) -> str:
    """What a command does."""
    return _sentence((row.description or "").strip().partition("\n")[0])


def _sentence(text: str) -> str:
    """A text as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _description(text: str) -> Iterator[str]:
    """The paragraphs of a docstring; lines of words, a gap and words are a table."""
    for part in help_text.parts(text):
        if found := help_text.rows(part):
            cells = [f"| {_code(_named(words))} | {_cell(meaning)} |" for words, meaning in found]
            yield "\n".join(["| command | what it does |", RULE, *cells])
        else:
            yield part.strip()


def _named(words: str) -> str:
    """A command line with its program's name."""
    return f"sluice {words}" if words.split()[0] in COMMANDS else words


def _code(text: str) -> str:
    """As code in a cell of a table."""
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    """As the text of a cell."""
    return text.replace("|", r"\|")


# --- usage ---------------------------------------------------------------------------------------


def _usage(row: argparse.ArgumentParser) -> Iterator[str]:
    """How a command is written, and what its arguments mean."""
    words = [row.prog, *_words(row)]
    text = textwrap.fill(
        " ".join(word.replace(" ", "\0") for word in words),
        WIDTH,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace("\0", " ")
    yield f"```text\n{text}\n```"
    rows = [f"| {_code(_spelled(one))} | {_meaning(one)} |" for one in _arguments(row)]
    if rows:
        yield "\n".join(["| argument | meaning |", RULE, *rows])
    if row.epilog:
        yield row.epilog


def _arguments(row: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a command, those without a dash first."""
    found = [
        one
        for one in row._actions
        if not isinstance(one, argparse._HelpAction) and one.help != argparse.SUPPRESS
    ]
    return sorted(found, key=lambda one: bool(one.option_strings))


def _words(row: argparse.ArgumentParser) -> Iterator[str]:
    """Each argument as a usage has it; alternatives are one word."""
    shown: set[int] = set()
    for one in _arguments(row):
        group = next((g for g in row._mutually_exclusive_groups if one in g._group_actions), None)
        if id(group or one) in shown:
            continue
        shown.add(id(group or one))
        those = [each for each in _arguments(row) if group and each in group._group_actions]
        text = " | ".join(map(_spelled, those or [one]))
        needed = group.required if group else one.required and one.nargs not in ("?", "*")
        pair = ("(" if group else "", ")" if group else "") if needed else ("[", "]")
        yield text.join(pair) + _more(one)


def _more(one: argparse.Action) -> str:
    """The mark of what may be said several times."""
    return "…" if isinstance(one, argparse._AppendAction) or one.nargs in ("*", "+") else ""


def _spelled(one: argparse.Action) -> str:
    """An argument as it is typed."""
    choices = one.choices and "{" + ",".join(map(str, one.choices)) + "}"
    value = one.metavar or choices or one.dest.upper()
    if not one.option_strings:
        return str(value)
    if isinstance(one, argparse.BooleanOptionalAction):
        return " | ".join(one.option_strings)
    return one.option_strings[-1] if one.nargs == 0 else f"{one.option_strings[-1]} {value}"


def _meaning(one: argparse.Action) -> str:
    """What the parser says of an argument, percent signs expanded as argparse does."""
    text = (one.help or "–") % (vars(one) | {"prog": "sluice"})
    return _cell(text)


# --- example, exit codes, errors -----------------------------------------------------------------


def _shown(example: Example) -> list[str]:
    """An example, with what comes before and behind it."""
    return ["## Example", *filter(None, [example.about, f"```sh\n{example.lines}```"])]


def _codes(own: dict[int, str]) -> str:
    """The table of exit codes."""
    rows = [f"| {code} | {own.get(code, text)} |" for code, text in sorted((CODES | own).items())]
    return "\n".join(["| code | meaning |", RULE, *rows])


def _errors(module: ModuleType) -> list[str]:
    """What the command itself may complain of."""
    texts = complaints(module)
    return ["## Errors", ERRORS, "```text\n" + "\n".join(texts) + "\n```"] if texts else []
