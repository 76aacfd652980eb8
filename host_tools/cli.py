"""The `sluice` command: one dict of commands, one error type.

A command is a module of `host_tools.commands` with a docstring (its help), `arguments(parser)`
and `run(args) -> int | None`, the exit code. To add one: the file, and its row here. Only the
module of the command that is meant is loaded: all of them take half a second.
"""

import argparse
import sys
from importlib import import_module

from host_tools import __version__
from host_tools.errors import SluiceError

# fmt: off
COMMANDS = {  # name on the command line → module of host_tools.commands
    "demo": "demo",
    "cloud": "cloud",
    "deploy": "deploy",
    "job": "job",
    "product": "product",
    "sign": "sign",
    "thing": "thing",
    "device": "device",
    "console": "console",
    "doctor": "doctor",
    "image": "image",
    "flash": "flash",
}
# fmt: on


def main(argv: list[str] | None = None) -> int:
    """Run one command; a SluiceError becomes one line on stderr and exit code 1."""
    words = sys.argv[1:] if argv is None else argv
    args = parser(words[0] if words else None).parse_args(words)
    try:
        return args.run(args) or 0
    except SluiceError as error:
        print("sluice: " + " ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, built from COMMANDS; where `only` is a command, with that alone."""
    top = argparse.ArgumentParser(prog="sluice", description="Firmware updates for MicroPython.")
    top.add_argument("--version", action="version", version=f"sluice {__version__}")
    rows = top.add_subparsers(metavar="COMMAND", required=True)
    for name, module_name in COMMANDS.items():
        if only in COMMANDS and name != only:
            continue
        module = import_module(f"host_tools.commands.{module_name}")
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
