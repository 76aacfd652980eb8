"""`make audit`: whether there are advisories about the dependencies that are pinned.

    python -m sluice.audit PROGRAM FILE…

PROGRAM is pip-audit, and each FILE lists pinned dependencies with their hashes. It asks one index
of advisories after the other, because an index may be out of reach, or know nothing. Exits with 1
when there is an advisory, and with 2 when not all could be looked up.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

SERVICES = ("pypi", "osv")
PATIENCE_S = 600


@dataclass
class Found:
    """What an index of advisories has told."""

    looked_up: int = 0
    advisories: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    trouble: str = ""  # why there is nothing


def read(report: dict[str, Any]) -> Found:
    """The sense of pip-audit's report in JSON."""
    found = Found()
    for row in report["dependencies"]:
        if "skip_reason" in row:
            found.unknown.append(row["name"])
            continue
        found.looked_up += 1
        for advisory in row["vulns"]:
            mended = " or ".join(advisory["fix_versions"]) or "no version"
            found.advisories.append(
                f"{row['name']} {row['version']}: {advisory['id']}, mended in {mended}"
            )
    return found


def ask(program: str, service: str, file: str) -> Found:
    """Ask one index about one file; what it does not know is not looked up."""
    line = [program, "--format=json", "--progress-spinner=off", "--disable-pip"]
    line += ["--require-hashes", f"--vulnerability-service={service}", f"--requirement={file}"]
    try:
        done = subprocess.run(
            line, capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE_S
        )
        return read(json.loads(done.stdout))
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        return Found(trouble=last[0][:200])
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(trouble=str(error))


def both(one: Found, other: Found) -> Found:
    """What was told of two files."""
    return Found(
        one.looked_up + other.looked_up,
        one.advisories + other.advisories,
        one.unknown + other.unknown,
        one.trouble or other.trouble,
    )


def main(arguments: list[str]) -> int:
    """Look all up, and say how it went."""
    program, *files = arguments
    for service in SERVICES:
        found = reduce(both, (ask(program, service, file) for file in files))
        if found.looked_up:
            break
        why = found.trouble or "it knows none of the dependencies"
        print(f"audit: no advisories can be had of {service}: {why}")
    for line in found.advisories:
        print(f"audit: {line}")
    if not found.looked_up:
        print("audit: nothing was looked up")
        return 2
    print(f"audit: {found.looked_up} looked up, {len(found.advisories)} advisories")
    if found.unknown or found.trouble:
        print(f"audit: not looked up: {', '.join(found.unknown) or found.trouble}")
        return 1 if found.advisories else 2
    return 1 if found.advisories else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
