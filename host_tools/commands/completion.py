"""Print what makes a shell complete commands, options and files.

completion bash     put it into ~/.local/share/bash-completion/completions/sluice
completion zsh      put it as _sluice into a folder of $fpath
completion fish     put it into ~/.config/fish/completions/sluice.fish

Or for one session of bash: `eval "$(sluice completion bash)"`
"""

import argparse
import re
from pathlib import Path

# what shtab says of where to put it, which this command's help says
HEADER = re.compile(r"^# AUTOMATICALLY GENERATED.*\n(?:#.*\n)*\n*", re.MULTILINE)
SHELLS = ("bash", "zsh", "fish")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(args: argparse.Namespace) -> None:
    """`completion`."""
    import shtab

    whole = args.whole()
    describe(whole)
    print(HEADER.sub("", shtab.complete(whole, args.shell)))


def describe(parser: argparse.ArgumentParser) -> None:
    """Say what stands for a file, a folder or a board, in this parser and all below it."""
    import shtab

    from sluice import boards

    for action in parser._actions:
        if action.type is Path:
            folder = action.metavar == "DIR"
            action.complete = shtab.DIRECTORY if folder else shtab.FILE
        elif action.dest == "board":
            action.choices = boards.names()
        if action.nargs == argparse.PARSER:
            for one in action.choices.values():
                describe(one)
