"""Everything that README.md quotes, measured here and now: `make bench`.

Takes some minutes. Sizes, wear and instructions are the same on every machine; speeds are not.
"""

import argparse
import sys

from bench import blocking, flash, heap, p256, roundtrip, size, stream
from bench.command import guarded

MEASUREMENTS = (size, flash, stream, p256, roundtrip, blocking, heap)  # the quick ones first


def main() -> int:
    """Run them all, whatever becomes of each; 1 when one could not be made."""
    argparse.ArgumentParser(prog="python -m bench", description=__doc__).parse_args()
    return max(guarded(measurement.main) for measurement in MEASUREMENTS)


if __name__ == "__main__":
    sys.exit(main())
