"""Inputs of every kind for each parser that faces the wire or a file: `make fuzz`.

Prints a table: parser, inputs, how many were taken, the most that one allocated, losses. Ends with
1 when there was a loss. A loss is an error that is not allowed, a hang, too much memory, or a
verdict that another reader does not share. It is printed with its input in hex: put that into
tests/fuzz/past once it is mended. The same seed makes the same inputs.
"""

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from campaign import PARSERS, Outcome, build, run  # noqa: E402

COUNT = 100_000
SHOWN = 5  # losses of a parser that are printed
SEED = 9
WORKERS = 2


def main() -> int:
    """Run them all; 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="inputs of each parser")
    parser.add_argument("--seed", type=int, default=SEED, help="makes other inputs")
    parser.add_argument("--arch", choices=("i386", "amd64"), default="i386", help="of MicroPython")
    parser.add_argument("--parser", action="append", choices=PARSERS, help="only this one")
    given = parser.parse_args()
    names = given.parser or list(PARSERS)
    print(f"at {commit()}, seed {given.seed}, {given.arch}\n")
    print(
        "| parser | inputs | taken | bytes at most | losses |\n|---|--:|--:|--:|--:|", flush=True
    )
    lost = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        compiled = build(Path(folder))
        one = lambda name: run(compiled, name, given.arch, given.count, given.seed)  # noqa: E731
        for name, outcome in zip(names, pool.map(one, names), strict=True):
            row(PARSERS[name].what, outcome)
            lost += outcome.losses[:SHOWN]
    for loss in lost:
        print(f"\nlost: {loss}")
    return int(bool(lost))


def row(what: str, outcome: Outcome) -> None:
    """A row of the table."""
    counts = outcome.inputs, outcome.taken, outcome.bytes, len(outcome.losses)
    print(f"| {what} | " + " | ".join(f"{count:,}" for count in counts) + " |", flush=True)


def commit() -> str:
    """The commit that is run; "+" when something was changed since."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "no commit"


if __name__ == "__main__":
    sys.exit(main())
