"""Everything that README.md quotes, measured here and now: `make bench`.

    .venv/bin/python -m bench [--quick | --long] [TABLE…]
    .venv/bin/python -m bench --readme

Takes under 15 minutes on two idle cores, with `--quick` under two. What counts instructions and
bytes runs two at a time. What takes time runs alone, afterwards. A run writes results.json and the
plots; with --readme both pages are written of what results.json says, and nothing is measured.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from bench import (
    agent,
    blocking,
    bundles,
    crowd,
    flash,
    forms,
    heap,
    imports,
    many,
    p256,
    pages,
    plots,
    roundtrip,
    size,
    smaller,
    way,
    wire,
)
from bench.numbers import Effort, Number, Table, load, merged, save
from bench.tables import rendered
from sluice.errors import SluiceError

MODULES = (
    *(size, way, agent, blocking, heap, roundtrip, wire, flash, smaller, forms),
    *(p256, bundles, imports, crowd, many),
)
TABLES: tuple[Table, ...] = tuple(module.TABLE for module in MODULES)
LONGEST_FIRST = ("heap", "way", "agent", "blocking")
AT_A_TIME = 2  # counts of instructions do not mind each other
BUSY = 1.0  # load of a machine that is not idle


def main() -> int:
    """Run what was asked for, whatever becomes of each; 1 when one could not be made."""
    args = arguments()
    if args.readme:
        pages.write(TABLES, load())
        return 0
    effort = Effort.QUICK if args.quick else Effort.LONG if args.long else Effort.USUAL
    chosen = [t for t in TABLES if t.name in (args.table or [t.name])]
    if effort == Effort.QUICK:
        chosen = [table for table in chosen if table.quick]
    begin, failed = time.monotonic(), False
    for table, found in measured(chosen, effort):
        failed |= isinstance(found, SluiceError)
        if isinstance(found, SluiceError):
            print(f"bench: {table.name}: {' '.join(str(found).split())}", file=sys.stderr)
        else:
            keep(table, found, effort)
    print(f"{time.monotonic() - begin:.0f} s in all", flush=True)
    return int(failed)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    names = [table.name for table in TABLES]
    parser.add_argument("table", nargs="*", help=", ".join(names))
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--quick", action="store_true", help="a part of it, in two minutes")
    some.add_argument("--long", action="store_true", help="all of it, as long as it takes")
    some.add_argument("--readme", action="store_true", help="write the pages of results.json")
    args = parser.parse_args()
    if set(args.table) - set(names):
        parser.error(f"tables are {', '.join(names)}")
    return args


def measured(
    chosen: Iterable[Table], effort: Effort
) -> Iterator[tuple[Table, list[Number] | SluiceError]]:
    """Each table with its numbers, or why it has none: as they are done."""
    beside = [table for table in chosen if not table.alone]
    beside.sort(key=lambda t: (*LONGEST_FIRST, t.name).index(t.name))
    # Processes, because one that is forked beside another's board would hold its lock, too.
    with ProcessPoolExecutor(AT_A_TIME) as pool:
        begun = [(table, pool.submit(numbers_of, table, effort)) for table in beside]
        for table, found in begun:
            yield table, found.result()
    for table in chosen:
        if table.alone:
            yield table, numbers_of(table, effort)


def numbers_of(table: Table, effort: Effort) -> list[Number] | SluiceError:
    """What a measurement yields."""
    load_1 = os.getloadavg()[0]
    if table.alone and load_1 > AT_A_TIME + BUSY:
        print(f"bench: {table.name}: this machine is busy, load {load_1}", file=sys.stderr)
    begin = time.monotonic()
    try:
        found = list(table.measure(effort))
    except SluiceError as error:
        return error
    print(f"bench: {table.name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return found


def keep(table: Table, found: list[Number], effort: Effort) -> None:
    """Show a table; its numbers are kept as soon as there are any."""
    print(rendered(table, found), end="\n\n", flush=True)
    known = merged(load(), found, whole=effort != Effort.QUICK)
    names = [table.name for table in TABLES]
    save(sorted(known, key=lambda number: names.index(number.table)))
    plots.write(known)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
