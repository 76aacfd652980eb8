"""The `sluice` command: one dict of commands, one error type.

A command is a module of `sluice.commands` with a docstring (its help), `arguments(parser)`
and `run(args) -> int | None`, the exit code. To add one: the file, and its row here. Only the
module of the command that is meant is loaded: all of them take half a second.
"""

import argparse
import os
import signal
import subprocess
import sys
from importlib import import_module

from sluice import __version__
from sluice.errors import SluiceError

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
}
# fmt: on


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code, 141 when nobody reads what it prints any more."""
    try:
        try:
            words = sys.argv[1:] if argv is None else argv
            return _run(parser(words[0] if words else None).parse_args(words))
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


def _run(args: argparse.Namespace) -> int:
    """What went wrong becomes one line on stderr and exit code 1."""
    try:
        return args.run(args) or 0
    except BrokenPipeError:
        raise
    except OSError as error:
        complaint = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except (SluiceError, subprocess.SubprocessError) as error:
        complaint = str(error)
    return _complain(complaint)


def _complain(text: str) -> int:
    print("sluice: " + " ".join(text.split()), file=sys.stderr)
    return 1


class Line(argparse.ArgumentParser):
    """A command's parser, which takes files before, between and behind options."""

    _mixing = False

    def parse_known_args(self, args=None, namespace=None):  # noqa: D102
        nested = any(action.nargs == argparse.PARSER for action in self._get_positional_actions())
        if nested or self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, built from COMMANDS; where `only` is a command, with that alone."""
    top = Line(prog="sluice", description="Firmware updates for MicroPython.")
    top.add_argument("--version", action="version", version=f"sluice {__version__}")
    rows = top.add_subparsers(metavar="COMMAND", required=True)
    for name, module_name in COMMANDS.items():
        if only in COMMANDS and name != only:
            continue
        module = import_module(f"sluice.commands.{module_name}")
        text = (module.__doc__ or "").strip()
        row = rows.add_parser(
            name,
            help=text.splitlines()[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        row.set_defaults(run=getattr(module, "run", None))
        module.arguments(row)
    return top


if __name__ == "__main__":
    sys.exit(main())
