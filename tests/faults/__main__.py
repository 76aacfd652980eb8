"""Everything that can fail, at every place where it can: `make faults`.

Prints a table: kind, cases, how they ended, losses. Ends with 1 when there was a loss. It takes an
hour and more; `--step 10` takes each tenth fault, `--no-boards` leaves out the simulated boards.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/scenarios"), str(Path(__file__).parent)]

from fault_boards import boards, heaps  # noqa: E402
from fault_sweeps import KINDS, Outcome, build, commit, sweeps  # noqa: E402

HEAPS = range(40, 113, 2)  # KiB
SHARES = 4


def main() -> int:
    """Run them all; 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="take every so many")
    parser.add_argument("--no-boards", action="store_true", help="leave the boards out")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind of fault")
    given = parser.parse_args()
    lost = []
    print(f"at {commit()}\n\n| what fails | cases | succeeded | failed, told why | losses |")
    print("|---|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        compiled = build(Path(folder) / "firmware")
        for kind, outcome in sweeps(compiled, given.kind or KINDS, given.step, SHARES):
            row(KINDS[kind][0], outcome)
            lost += outcome.losses
        if not given.no_boards and not given.kind:
            outcome = boards(Path(folder), given.step)
            row("simulated boards: each fault of the cloud, phase and transport", outcome)
            lost += outcome.losses
            outcome = heaps(Path(folder), HEAPS[:: given.step])
            row(f"simulated boards: heaps of {HEAPS[0]} to {HEAPS[-1]} KiB", outcome)
            lost += outcome.losses
    for loss in lost:
        print(f"\nlost: {loss}")
    return int(bool(lost))


def row(what: str, outcome: Outcome) -> None:
    """A row of the table."""
    counts = outcome.cases, outcome.succeeded, outcome.failed, len(outcome.losses)
    print(f"| {what} | " + " | ".join(f"{count:,}" for count in counts) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
