"""The `sluice` command: one dict of commands, one error type.

A command is a module of `sluice.commands` with a docstring (its help), `arguments(parser)`
and `run(args) -> int | None`, the exit code. To add one: the file, and its row here. Only the
module of the command that is meant is loaded: all of them take a second.
"""

import argparse
import codecs
import io
import os
import signal
import sys
from collections.abc import Collection
from functools import partial
from importlib import import_module
from pathlib import Path

from sluice.errors import SluiceError, meant
from sluice.help_text import HelpText
from sluice.terminal import fitted, interrupts, plain, remark

# fmt: off
COMMANDS = {  # name on the command line → module of sluice.commands
    "demo": "demo",
    "cloud": "cloud",
    "deploy": "deploy",
    "job": "job",
    "product": "product",
    "sign": "sign",
    "thing": "thing",
    "fleet": "fleet",
    "device": "device",
    "console": "console",
    "doctor": "doctor",
    "image": "image",
    "bundle": "bundle",
    "flash": "flash",
    "setup": "setup",
    "completion": "completion",
}
# fmt: on


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code, 141 when nobody reads what it prints any more."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("sluice", _replaced)
        sys.stdout.reconfigure(errors="sluice")
    try:
        try:
            words = sys.argv[1:] if argv is None else argv
            meant = next((word for word in words if not word.startswith("-")), "")
            with interrupts():
                return _run(parser([meant]).parse_args(words))
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except KeyboardInterrupt:  # while a command is loaded, too
        return 130
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        if isinstance(error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        return _complain(f"standard output: {error.strerror}")


def _replaced(error: UnicodeError) -> tuple[bytes, int]:
    """What an output's encoding has not: "?", but the bytes of a file's name as they are."""
    signs = map(ord, error.object[error.start : error.end])
    return bytes(s - 0xDC00 if 0xDC80 <= s <= 0xDCFF else ord("?") for s in signs), error.end


def _run(args: argparse.Namespace) -> int:
    """What went wrong becomes one line on stderr and exit code 1."""
    import subprocess

    try:
        return args.run(args) or 0
    except BrokenPipeError:
        raise
    except OSError as error:
        complaint = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except (SluiceError, UnicodeError, subprocess.SubprocessError) as error:
        complaint = str(error)
    return _complain(complaint)


def _complain(text: str) -> int:
    remark("sluice: " + plain(" ".join(text.split())))
    return 1


class Line(argparse.ArgumentParser):
    """A command's parser, which takes files before, between and behind options.

    A mistake is told as one line, with the word that was probably meant, and exit code 2. A
    command that has commands of its own, and got no word, shows its help on stderr: exit code 2.
    """

    _mixing = False

    def parse_known_args(self, args=None, namespace=None):  # noqa: D102
        nested = any(action.nargs == argparse.PARSER for action in self._get_positional_actions())
        if self._mixing:
            return super().parse_known_args(args, namespace)
        if nested and not args:
            self.print_help(sys.stderr)
            self.exit(2)
        self._refuse_unknown(args, nested)
        if nested:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def _refuse_unknown(self, words: list[str], nested: bool) -> None:
        """Before anything that is missing for that reason is told."""
        for word in words:
            if word == "--" or (nested and not word.startswith("-")):
                return  # a file, or for the command to judge
            name, known = word.partition("=")[0], self._option_string_actions
            if word.startswith("--") and not any(option.startswith(name) for option in known):
                self.error(f"unknown option {name}{meant(name, known)}")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse what is none of an argument's choices, the commands among them."""
        if action.choices is not None and value not in action.choices:
            if action.nargs == argparse.PARSER:
                kind = str(action.metavar).lower()
                self.error(f"unknown {kind} {value}{meant(value, action.choices)}")
            there = ", ".join(map(str, action.choices))
            text = f"{value} is none of {there}{meant(value, action.choices)}"
            raise argparse.ArgumentError(action, text)

    def error(self, message: str) -> None:  # noqa: D102
        said = plain(" ".join(message.split()))
        line = f"{self.prog}: {said} ({self.prog} --help tells more)"
        self.exit(2, fitted(line, sys.stderr) + "\n")


class Version(argparse.Action):
    """Tells what this installation is; finding that out takes git, or a file."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from sluice import __version__
        from sluice.places import commit
        from sluice.releases import DEFAULT, RELEASES

        release = RELEASES[DEFAULT].version
        print(f"sluice {__version__}, MicroPython {release}, commit {commit()}")
        parser.exit()


def parser(loaded: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The command line, built from COMMANDS; with the arguments of those commands in `loaded`."""
    top = Line(prog="sluice", description="Firmware updates for MicroPython.")
    top.add_argument("--version", action=Version, nargs=0, help="version, MicroPython, commit")
    top.set_defaults(whole=partial(parser, tuple(COMMANDS)))
    rows = top.add_subparsers(metavar="COMMAND", required=True)
    for name, module_name in COMMANDS.items():
        row = rows.add_parser(name, help=headline(module_name))
        if name in loaded:
            module = import_module(f"sluice.commands.{module_name}")
            row.formatter_class = HelpText
            row.description = (module.__doc__ or "").strip()
            row.set_defaults(run=getattr(module, "run", None))
            module.arguments(row)
    return top


def headline(module_name: str) -> str:
    """The first line of a command's docstring, read from its file: nothing is loaded for it."""
    file = Path(__file__).with_name("commands") / f"{module_name}.py"
    with file.open(encoding="utf-8") as text:
        return text.readline().strip().strip('"')


if __name__ == "__main__":
    sys.exit(main())
