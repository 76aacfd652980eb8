"""The cases of AWS IoT Core Device Advisor against a simulated board: `make qualify`.

Prints a table by AWS's names and ids. Ends with 1 when a case failed. It takes ten minutes, as
waits between attempts are real; `--quick` leaves those out.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("tests", "tests/net", "tests/scenarios", "tests/faults", "tests/qualify")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

from advisor import CASES, NotApplicable, Rig, Warns  # noqa: E402
from fault_sweeps import WORKERS, commit  # noqa: E402

NOTE = "Names and criteria are AWS's. Nothing here ran against AWS."


def judge(place: int) -> tuple[str, str]:
    """(verdict, what was seen) of one case."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return "pass", CASES[place].run(Rig(Path(folder)))
        except Warns as seen:
            return "pass, warned", str(seen)
        except NotApplicable as why:
            return "not used", str(why)
        except Exception as fault:  # whatever it is, the others are to be run
            return "FAIL", " ".join(f"{type(fault).__name__}: {fault}".split())[:600]


def main() -> int:
    """Run them all; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="make qualify", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without those that take minutes")
    given = parser.parse_args()
    chosen = [at for at, one in enumerate(CASES) if not (given.quick and one.slow)]
    print(f"at {commit()}. {NOTE}\n\n| case | AWS's id | verdict | seen |\n|---|---|---|---|")
    failed = 0
    with ProcessPoolExecutor(WORKERS) as pool:
        for at, (verdict, seen) in zip(chosen, pool.map(judge, chosen), strict=True):
            one = CASES[at]
            failed += verdict == "FAIL"
            id = f"`{one.id}`" if one.id != "-" else "-"
            print(f"| {one.group}: {one.name} | {id} | {verdict} | {seen} |", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
